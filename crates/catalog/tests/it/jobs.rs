//! Days and walks that compactors share out.

use spanlake_catalog::{
    Catalog, DataFile, DayLease, Ended, Error, Files as _, Jobs as _, Orphan, Sweeps as _, TenantDay, Wanted,
};
use spanlake_model::{CompactorId, Day, FileId, Table};

use crate::database::Database;
use crate::files::{committed, ids, registered, snapshot};
use crate::samples::{OTHER, TENANT, at, commit, file, replacement, take_in};

const ONE: CompactorId = CompactorId::from_bytes([1; 16]);
const TWO: CompactorId = CompactorId::from_bytes([2; 16]);

const RULES: &str = "8 of 1000";

fn wanted(now: i64, least_files: u64) -> Wanted {
    let (small_bytes, alone_bytes_min) = (1_000, 700);
    Wanted { now: at(now), least_files, closed_before: Day(0), small_bytes, alone_bytes_min, rules: RULES.into() }
}

fn day(tenant: spanlake_model::TenantId, files: u64) -> TenantDay {
    TenantDay { tenant, table: Table::Spans, day: Day::of(at(0)), files }
}

/// Commits `count` files of the first day, each of a version of its own.
async fn flushed(catalog: &Catalog, tenant: spanlake_model::TenantId, count: i64) -> Vec<DataFile> {
    let lease = registered(catalog).await;
    committed(catalog, lease, (0..count).map(|second| file(tenant, at(second))).collect()).await
}

async fn claimed(catalog: &Catalog, owner: CompactorId, now: i64) -> Option<DayLease> {
    catalog.claim(owner, day(TENANT, 0), at(now), at(now + 100)).await.unwrap()
}

pub(crate) async fn days_with_the_most_files_come_first(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let many = |tenant, start: i64, count: i64| (0..count).map(move |index| file(tenant, at(start + index)));
    let stored = committed(&catalog, lease, many(TENANT, 0, 3).chain(many(TENANT, 86_400, 1)).collect()).await;
    committed(&catalog, lease, many(OTHER, 0, 5).collect()).await;
    assert_eq!(catalog.days(wanted(0, 2), 10).await.unwrap(), [day(OTHER, 5), day(TENANT, 3)]);
    assert_eq!(catalog.days(wanted(0, 2), 1).await.unwrap(), [day(OTHER, 5)]);
    assert_eq!(catalog.days(wanted(0, 4), 10).await.unwrap(), [day(OTHER, 5)]);
    catalog.replace(replacement(TENANT, &ids(&stored[..2]), vec![])).await.unwrap();
    assert_eq!(catalog.days(wanted(0, 0), 10).await.unwrap(), [day(OTHER, 5)], "a single file is never wanted");
}

pub(crate) async fn files_of_final_size_make_no_day_worth_a_look(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let large = (0..9).map(|second| DataFile { bytes: 1_001, ..file(TENANT, at(second)) });
    committed(&catalog, lease, large.chain([file(TENANT, at(9))]).collect()).await;
    committed(&catalog, lease, (0..2).map(|second| file(OTHER, at(second))).collect()).await;
    assert_eq!(catalog.days(wanted(0, 2), 10).await.unwrap(), [day(OTHER, 2)]);
}

pub(crate) async fn a_settled_day_comes_again_only_with_new_files(database: &Database) {
    let catalog = database.open().await;
    let stored = flushed(&catalog, TENANT, 3).await;
    let lease = claimed(&catalog, ONE, 0).await.unwrap();
    let settled = Ended::Settled { version: stored[2].version, rules: RULES.into(), finished_at: None };
    catalog.end(lease, settled).await.unwrap();
    assert_eq!(catalog.days(wanted(0, 2), 10).await.unwrap(), []);
    let other = Wanted { rules: "4 of 1000".into(), ..wanted(0, 2) };
    assert_eq!(catalog.days(other, 10).await.unwrap(), [day(TENANT, 3)], "or by other rules");
    let writer = registered(&catalog).await;
    take_in(&catalog, commit(writer, TENANT, 9, vec![file(TENANT, at(5))])).await.unwrap();
    assert_eq!(catalog.days(wanted(0, 2), 10).await.unwrap(), [day(TENANT, 4)]);
}

pub(crate) async fn a_large_file_of_a_day_that_is_over_is_wanted_alone(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let sizes = [(0, 1_001), (86_400, 700), (2 * 86_400, 699), (3 * 86_400, 1_001)];
    let of_size = |(second, bytes)| DataFile { bytes, ..file(TENANT, at(second)) };
    committed(&catalog, lease, sizes.into_iter().map(of_size).collect()).await;
    let first = Day::of(at(0)).0;
    let over = Wanted { closed_before: Day(first + 3), ..wanted(0, 2) };
    let found = |days: Vec<TenantDay>| days.iter().map(|found| found.day.0 - first).collect::<Vec<_>>();
    assert_eq!(found(catalog.days(over, 10).await.unwrap()), [1, 0], "what may be merged with others comes first");
    assert_eq!(found(catalog.days(wanted(0, 2), 10).await.unwrap()), [0; 0], "while days are not over");
}

pub(crate) async fn a_day_that_is_over_is_finished_once(database: &Database) {
    let catalog = database.open().await;
    let stored = flushed(&catalog, TENANT, 2).await;
    flushed(&catalog, OTHER, 1).await;
    let over = Wanted { closed_before: Day(Day::of(at(0)).0 + 1), ..wanted(0, 8) };
    assert_eq!(catalog.days(wanted(0, 8), 10).await.unwrap(), []);
    assert_eq!(catalog.days(over.clone(), 10).await.unwrap(), [day(TENANT, 2)], "two files are enough, one is not");
    let lease = claimed(&catalog, ONE, 0).await.unwrap();
    assert!(!lease.is_finished);
    catalog
        .end(lease, Ended::Settled { version: stored[1].version, rules: RULES.into(), finished_at: Some(at(1)) })
        .await
        .unwrap();
    assert_eq!(catalog.days(over.clone(), 10).await.unwrap(), []);
    let lease = claimed(&catalog, ONE, 0).await.unwrap();
    assert!(lease.is_finished);
    catalog
        .end(lease, Ended::Settled { version: stored[1].version, rules: RULES.into(), finished_at: None })
        .await
        .unwrap();
    assert!(claimed(&catalog, ONE, 0).await.unwrap().is_finished, "it is not forgotten");
}

pub(crate) async fn a_day_belongs_to_one_until_its_lease_ends(database: &Database) {
    let catalog = database.open().await;
    flushed(&catalog, TENANT, 3).await;
    let lease = claimed(&catalog, ONE, 0).await.unwrap();
    assert_eq!(catalog.days(wanted(99, 2), 10).await.unwrap(), [], "nobody else need look");
    assert_eq!(claimed(&catalog, TWO, 99).await, None);
    catalog.renew(lease, at(150)).await.unwrap();
    assert_eq!(claimed(&catalog, TWO, 149).await, None);
    assert_eq!(catalog.days(wanted(150, 2), 10).await.unwrap(), [day(TENANT, 3)]);
    let taken = claimed(&catalog, TWO, 150).await.unwrap();
    // Whoever lost it learns so, and changes nothing.
    assert!(matches!(catalog.renew(lease, at(900)).await, Err(Error::Changed(_))));
    let late =
        catalog.end(lease, Ended::Settled { version: 99, rules: RULES.into(), finished_at: Some(at(160)) }).await;
    assert!(matches!(late, Err(Error::Changed(_))), "{late:?}");
    catalog.end(taken, Ended::Left).await.unwrap();
    assert_eq!(catalog.days(wanted(150, 2), 10).await.unwrap(), [day(TENANT, 3)]);
    assert!(claimed(&catalog, ONE, 150).await.is_some(), "given back");
}

pub(crate) async fn a_day_that_failed_waits_and_counts(database: &Database) {
    let catalog = database.open().await;
    flushed(&catalog, TENANT, 3).await;
    for failures in 0..3 {
        let lease = claimed(&catalog, ONE, 1_000).await.unwrap();
        assert_eq!(lease.failures, failures);
        catalog.end(lease, Ended::Failed { not_before: at(1_000) }).await.unwrap();
    }
    let lease = claimed(&catalog, ONE, 1_000).await.unwrap();
    catalog.end(lease, Ended::Failed { not_before: at(2_000) }).await.unwrap();
    assert_eq!(catalog.days(wanted(1_999, 2), 10).await.unwrap(), []);
    assert_eq!(claimed(&catalog, TWO, 1_999).await, None);
    assert_eq!(catalog.days(wanted(2_000, 2), 10).await.unwrap(), [day(TENANT, 3)]);
    let lease = claimed(&catalog, TWO, 2_000).await.unwrap();
    catalog.end(lease, Ended::Settled { version: 1, rules: RULES.into(), finished_at: None }).await.unwrap();
    assert_eq!(claimed(&catalog, TWO, 2_000).await.unwrap().failures, 0, "in a row");
}

pub(crate) async fn of_racing_claims_one_wins(database: &Database) {
    let catalog = database.open().await;
    let claims = crate::races::at_once(8, |index| {
        let catalog = catalog.clone();
        async move { claimed(&catalog, CompactorId::from_bytes([index; 16]), 0).await }
    });
    assert_eq!(claims.await.into_iter().flatten().count(), 1);
}

pub(crate) async fn a_walk_belongs_to_one_and_goes_on_where_it_was(database: &Database) {
    let catalog = database.open().await;
    let claim = |owner, now| catalog.claim_sweep(owner, "orphans", at(now), at(now + 100));
    let mut lease = claim(ONE, 0).await.unwrap().unwrap();
    assert_eq!(lease.position, "");
    assert_eq!(claim(TWO, 99).await.unwrap(), None);
    assert!(catalog.claim_sweep(TWO, "else", at(0), at(1)).await.unwrap().is_some());
    lease.position = "t/a".into();
    catalog.end_sweep(lease.clone(), at(500)).await.unwrap();
    assert_eq!(claim(TWO, 499).await.unwrap(), None);
    assert_eq!(claim(TWO, 500).await.unwrap().unwrap().position, "t/a");
    assert!(matches!(catalog.end_sweep(lease, at(900)).await, Err(Error::Changed(_))));
}

fn orphan(of: &DataFile) -> Orphan {
    let (id, tenant, table, day, path) = (of.id, of.tenant, of.table, of.day, of.path.clone());
    Orphan { id, tenant, table, day, path, bytes: of.bytes }
}

pub(crate) async fn only_files_that_no_row_names_are_unknown(database: &Database) {
    let catalog = database.open().await;
    let stored = flushed(&catalog, TENANT, 2).await;
    catalog.replace(replacement(TENANT, &[stored[0].id], vec![])).await.unwrap();
    let strangers: Vec<_> = (0..1_200).map(|_| file(TENANT, at(0)).id).collect();
    let asked: Vec<FileId> = ids(&stored).into_iter().chain(strangers.clone()).collect();
    assert_eq!(catalog.unknown(&asked).await.unwrap(), strangers);
    assert_eq!(catalog.unknown(&[]).await.unwrap(), []);
}

pub(crate) async fn a_condemned_file_can_never_be_committed(database: &Database) {
    let catalog = database.open().await;
    let stored = flushed(&catalog, TENANT, 1).await;
    let late = file(TENANT, at(0));
    // One has been committed since it was looked at: it stays.
    assert_eq!(catalog.condemn(&[orphan(&late), orphan(&stored[0])], at(100)).await.unwrap(), 1);
    assert_eq!(catalog.condemn(&[orphan(&late)], at(200)).await.unwrap(), 0);
    assert_eq!(snapshot(&catalog, TENANT).await.files, stored);
    let writer = registered(&catalog).await;
    let refused = take_in(&catalog, commit(writer, TENANT, 9, vec![late.clone()])).await;
    assert!(matches!(refused, Err(Error::Exists { .. })), "{refused:?}");
    let removable = catalog.removable(at(160), std::time::Duration::from_secs(60), 10).await.unwrap();
    assert_eq!(removable.iter().map(|file| &file.path).collect::<Vec<_>>(), [&late.path]);
    assert_eq!(catalog.days(wanted(0, 2), 10).await.unwrap(), []);
}
