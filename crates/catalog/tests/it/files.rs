//! Data files, watermarks, writers.

use std::time::Duration;

use spanlake_catalog::{
    Catalog, Commit, DataFile, Error, Files as _, Removed, Since, Snapshot, Watermark, Writer, WriterLease,
};
use spanlake_model::{AppId, Day, FileId, SpanId, SpanKey, Table, TenantId, TimeRange, Timestamp, TraceId};

use crate::database::Database;
use crate::samples::{OTHER, SECOND_WRITER, TENANT, WRITER, at, commit, file, replacement, take_in};

pub(crate) async fn registered(catalog: &Catalog) -> WriterLease {
    catalog.register_writer(WRITER, "http://ingest-0:9000", at(0)).await.unwrap()
}

pub(crate) async fn snapshot(catalog: &Catalog, tenant: TenantId) -> Snapshot {
    catalog.snapshot(tenant, Table::Spans, TimeRange::all()).await.unwrap()
}

pub(crate) fn ids(files: &[DataFile]) -> Vec<FileId> {
    files.iter().map(|file| file.id).collect()
}

/// Commits each file by itself and answers them with their versions.
pub(crate) async fn committed(catalog: &Catalog, lease: WriterLease, files: Vec<DataFile>) -> Vec<DataFile> {
    let mut stored = Vec::new();
    for (file, sequence) in files.into_iter().zip(1..) {
        let version =
            take_in(catalog, commit(lease, file.tenant, sequence, vec![file.clone()])).await.unwrap().unwrap();
        stored.push(DataFile { version, ..file });
    }
    stored
}

pub(crate) async fn a_commit_moves_files_and_watermark_together(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    assert_eq!(lease, WriterLease { writer: WRITER, epoch: 1 });
    let files = vec![file(TENANT, at(0)), file(TENANT, at(86_400))];
    let version = take_in(&catalog, commit(lease, TENANT, 5, files.clone())).await.unwrap().unwrap();
    let seen = snapshot(&catalog, TENANT).await;
    let mut expected: Vec<_> = files.into_iter().map(|file| DataFile { version, ..file }).collect();
    expected.sort_by_key(|file| file.id);
    assert_eq!(seen.files, expected);
    assert_eq!(seen.watermarks, [Watermark { writer: WRITER, sequence: 5 }]);
    assert_eq!(seen.writers, [Writer { id: WRITER, address: "http://ingest-0:9000".into() }]);
}

pub(crate) async fn a_commit_asked_twice_changes_nothing(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let flush = commit(lease, TENANT, 5, vec![file(TENANT, at(0))]);
    assert_eq!(take_in(&catalog, flush.clone()).await.unwrap(), Some(1));
    let before = snapshot(&catalog, TENANT).await;
    assert_eq!(take_in(&catalog, flush.clone()).await.unwrap(), None);
    // Nor does one that stops short of the watermark, even with other files.
    assert_eq!(take_in(&catalog, commit(lease, TENANT, 4, vec![file(TENANT, at(1))])).await.unwrap(), None);
    assert_eq!(snapshot(&catalog, TENANT).await, before);
    // No version was used up either.
    assert_eq!(take_in(&catalog, commit(lease, TENANT, 6, vec![file(TENANT, at(2))])).await.unwrap(), Some(2));
}

pub(crate) async fn a_fenced_writer_cannot_commit(database: &Database) {
    let catalog = database.open().await;
    let old = registered(&catalog).await;
    let new = registered(&catalog).await;
    assert_eq!(new.epoch, old.epoch + 1);
    let before = snapshot(&catalog, TENANT).await;
    let refused = take_in(&catalog, commit(old, TENANT, 1, vec![file(TENANT, at(0))])).await;
    assert!(matches!(refused, Err(Error::Fenced { epoch }) if epoch == old.epoch), "{refused:?}");
    assert!(matches!(catalog.retire_writer(old).await, Err(Error::Fenced { .. })));
    assert_eq!(snapshot(&catalog, TENANT).await, before);
    assert_eq!(take_in(&catalog, commit(new, TENANT, 1, vec![file(TENANT, at(0))])).await.unwrap(), Some(1));
}

pub(crate) async fn a_retired_lease_cannot_commit(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    catalog.retire_writer(lease).await.unwrap();
    catalog.retire_writer(lease).await.unwrap();
    let refused = take_in(&catalog, commit(lease, TENANT, 1, vec![file(TENANT, at(0))])).await;
    assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
    assert_eq!(snapshot(&catalog, TENANT).await, Snapshot::default());
}

pub(crate) async fn a_stranger_cannot_commit(database: &Database) {
    let catalog = database.open().await;
    let lease = WriterLease { writer: WRITER, epoch: 1 };
    let refused = take_in(&catalog, commit(lease, TENANT, 1, vec![file(TENANT, at(0))])).await;
    assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
    assert!(matches!(catalog.retire_writer(lease).await, Err(Error::Fenced { .. })));
    assert_eq!(snapshot(&catalog, TENANT).await, Snapshot::default());
}

pub(crate) async fn a_failed_commit_leaves_nothing(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let first = committed(&catalog, lease, vec![file(TENANT, at(0))]).await;
    let before = snapshot(&catalog, TENANT).await;
    // The second file's id is taken; the first must not stay behind, nor the watermark move.
    let clash = DataFile { id: first[0].id, ..file(TENANT, at(2)) };
    let refused = take_in(&catalog, commit(lease, TENANT, 2, vec![file(TENANT, at(1)), clash])).await;
    assert!(matches!(refused, Err(Error::Exists { .. })), "{refused:?}");
    assert_eq!(snapshot(&catalog, TENANT).await, before);
    assert_eq!(take_in(&catalog, commit(lease, TENANT, 2, vec![file(TENANT, at(1))])).await.unwrap(), Some(2));
}

pub(crate) async fn a_misfiled_file_is_refused(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let good = file(TENANT, at(0));
    let misfiled = [
        file(OTHER, at(0)),
        DataFile { day: Day(good.day.0 + 1), ..good.clone() },
        DataFile { max_start: at(86_400), ..good.clone() },
        DataFile { min_start: at(1), ..good.clone() },
    ];
    for bad in misfiled {
        let refused = take_in(&catalog, commit(lease, TENANT, 1, vec![good.clone(), bad.clone()])).await;
        assert!(matches!(refused, Err(Error::Misfiled { file }) if file == bad.id), "{refused:?}");
        let refused = catalog.replace(replacement(TENANT, &[], vec![bad.clone()])).await;
        assert!(matches!(refused, Err(Error::Misfiled { .. })), "{refused:?}");
    }
    for tenant in [TENANT, OTHER] {
        let seen = snapshot(&catalog, tenant).await;
        assert_eq!((seen.files, seen.watermarks), (vec![], vec![]));
    }
}

pub(crate) async fn versions_rise_per_tenant_and_table(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    for (tenant, sequence, version) in [(TENANT, 1, 1), (TENANT, 7, 2), (OTHER, 8, 1), (TENANT, 9, 3)] {
        let flush = commit(lease, tenant, sequence, vec![file(tenant, at(0))]);
        assert_eq!(take_in(&catalog, flush).await.unwrap(), Some(version));
    }
    let versions: Vec<_> = snapshot(&catalog, TENANT).await.files.iter().map(|file| file.version).collect();
    assert_eq!(versions, [1, 2, 3]);
}

pub(crate) async fn a_snapshot_holds_the_tenants_files_that_touch_the_range(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let midnight = Day::of(at(0)).start();
    let hour = |hours: u64| midnight.plus(Duration::from_secs(hours * 3_600));
    let spanning = |first: u64, last: u64| DataFile { max_start: hour(last), ..file(TENANT, hour(first)) };
    let stored = committed(&catalog, lease, vec![spanning(1, 3), spanning(5, 5), spanning(25, 30)]).await;
    committed(&catalog, lease, vec![file(OTHER, hour(2))]).await;

    let cases: [(u64, u64, &[usize]); 8] = [
        (0, 48, &[0, 1, 2]),
        (0, 1, &[]),
        (2, 3, &[0]),
        (3, 4, &[0]),
        (4, 5, &[]),
        (3, 6, &[0, 1]),
        (24, 26, &[2]),
        (31, 48, &[]),
    ];
    for (start, end, expected) in cases {
        let range = TimeRange::new(hour(start), hour(end)).unwrap();
        let seen = catalog.snapshot(TENANT, Table::Spans, range).await.unwrap();
        let expected: Vec<_> = expected.iter().map(|index| stored[*index].clone()).collect();
        assert_eq!(seen.files, expected, "hours {start} to {end}");
        assert!(stored.iter().all(|file| expected.contains(file) == range.touches(file.min_start, file.max_start)));
        // Watermarks and writers do not depend on the range.
        assert_eq!((seen.watermarks.len(), seen.writers.len()), (1, 1));
    }
    assert_eq!(snapshot(&catalog, TenantId::from_bytes([3; 16])).await.files, []);
}

pub(crate) async fn all_of_time_can_be_asked_for(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let edges = [i64::MIN, -1, 0, i64::MAX - 1].map(|nanos| file(TENANT, Timestamp::from_nanos(nanos)));
    let stored = committed(&catalog, lease, edges.to_vec()).await;
    assert_eq!(snapshot(&catalog, TENANT).await.files, stored);
    let before_the_epoch = TimeRange::new(Timestamp::from_nanos(-2), Timestamp::from_nanos(0)).unwrap();
    let seen = catalog.snapshot(TENANT, Table::Spans, before_the_epoch).await.unwrap();
    assert_eq!(seen.files, [stored[1].clone()]);
}

pub(crate) async fn a_writer_that_does_not_know_the_newest_files_cannot_commit(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let other = catalog.register_writer(SECOND_WRITER, "", at(0)).await.unwrap();
    let first = commit(lease, TENANT, 5, vec![file(TENANT, at(0))]);
    assert_eq!(catalog.commit(first.clone()).await.unwrap(), Some(1));
    let before = snapshot(&catalog, TENANT).await;
    let second = commit(other, TENANT, 3, vec![file(TENANT, at(1))]);
    let refused = catalog.commit(second.clone()).await;
    assert!(matches!(refused, Err(Error::Behind { version: 1 })), "{refused:?}");
    let ahead = catalog.commit(Commit { known_version: 9, ..second.clone() }).await;
    assert!(matches!(ahead, Err(Error::Behind { version: 1 })), "{ahead:?}");
    assert_eq!(snapshot(&catalog, TENANT).await, before);
    // One whose answer was lost is told that it is done, whatever it knows.
    assert_eq!(catalog.commit(first).await.unwrap(), None);
    assert_eq!(catalog.commit(Commit { known_version: 1, ..second }).await.unwrap(), Some(2));
    // Another tenant's table has versions of its own.
    assert_eq!(catalog.commit(commit(other, OTHER, 4, vec![file(OTHER, at(1))])).await.unwrap(), Some(1));
}

pub(crate) async fn what_came_since_a_version_is_listed_also_when_merged(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let since = |version| catalog.files_since(TENANT, Table::Spans, version);
    assert_eq!(since(0).await.unwrap(), Since::default());
    let stored = committed(&catalog, lease, vec![file(TENANT, at(0)), file(TENANT, at(1)), file(TENANT, at(2))]).await;
    committed(&catalog, lease, vec![file(OTHER, at(0))]).await;
    assert_eq!(since(3).await.unwrap(), Since { version: 3, files: vec![] });
    assert_eq!(since(1).await.unwrap(), Since { version: 3, files: stored[1..].to_vec() });
    let merged = DataFile { version: 2, ..file(TENANT, at(0)) };
    catalog.replace(replacement(TENANT, &ids(&stored[..2]), vec![merged.clone()])).await.unwrap();
    assert_eq!(since(1).await.unwrap(), Since { version: 3, files: vec![merged, stored[2].clone()] });
}

pub(crate) async fn a_file_that_replaces_rows_is_in_every_snapshot_of_its_day(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let morning = Day::of(at(0)).start();
    let hour = |hours: u64| morning.plus(Duration::from_secs(hours * 3_600));
    let key = SpanKey {
        app_id: AppId::from_bytes([1; 16]),
        trace_id: TraceId::from_bytes([2; 16]).unwrap(),
        span_id: SpanId::from_bytes([3; 8]).unwrap(),
    };
    let moved = DataFile { superseded: vec![key], ..file(TENANT, hour(9)) };
    let stored = committed(&catalog, lease, vec![file(TENANT, hour(1)), moved]).await;
    let range = |first, last| TimeRange::new(hour(first), hour(last)).unwrap();
    let early = catalog.snapshot(TENANT, Table::Spans, range(0, 2)).await.unwrap();
    assert_eq!((ids(&early.files), early.version), (ids(&stored), 2), "its row hides one that starts earlier");
    let tomorrow = catalog.snapshot(TENANT, Table::Spans, range(24, 48)).await.unwrap();
    assert_eq!((ids(&tomorrow.files), tomorrow.version), (vec![], 2));
}

pub(crate) async fn superseded_keys_survive(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let key = |number: u64| SpanKey {
        app_id: AppId::from_bytes([number.to_le_bytes()[0]; 16]),
        trace_id: TraceId::from_bytes([255 - number.to_le_bytes()[0]; 16]).unwrap(),
        span_id: SpanId::from_bytes((number + 1).to_be_bytes()).unwrap(),
    };
    let superseded: Vec<_> = (0..100).map(key).collect();
    let flushed = DataFile { superseded: superseded.clone(), ..file(TENANT, at(0)) };
    let stored = committed(&catalog, lease, vec![flushed]).await;
    assert_eq!(snapshot(&catalog, TENANT).await.files, stored);
    let merged = DataFile { superseded, version: stored[0].version, ..file(TENANT, at(0)) };
    catalog.replace(replacement(TENANT, &ids(&stored), vec![merged.clone()])).await.unwrap();
    assert_eq!(snapshot(&catalog, TENANT).await.files, [merged]);
}

pub(crate) async fn a_day_lists_its_live_files_in_order(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let flushed = vec![file(TENANT, at(0)), file(TENANT, at(86_400)), file(TENANT, at(1)), file(TENANT, at(2))];
    let stored = committed(&catalog, lease, flushed).await;
    committed(&catalog, lease, vec![file(OTHER, at(0))]).await;
    catalog.replace(replacement(TENANT, &[stored[2].id], vec![])).await.unwrap();
    let seen = catalog.day(TENANT, Table::Spans, Day::of(at(0))).await.unwrap();
    assert_eq!(seen, [stored[0].clone(), stored[3].clone()]);
    assert_eq!(catalog.day(TENANT, Table::Spans, Day(0)).await.unwrap(), []);
}

pub(crate) async fn a_replacement_is_all_or_nothing(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let stored = committed(&catalog, lease, (0..3).map(|second| file(TENANT, at(second))).collect()).await;
    let merged = |version| DataFile { version, rows: 2, max_start: at(2), ..file(TENANT, at(0)) };

    let first = merged(2);
    catalog.replace(replacement(TENANT, &ids(&stored[..2]), vec![first.clone()])).await.unwrap();
    let after = snapshot(&catalog, TENANT).await;
    assert_eq!(after.files, [first.clone(), stored[2].clone()]);

    // One input is live and one is gone.
    let late = catalog.replace(replacement(TENANT, &[stored[2].id, stored[1].id], vec![merged(3)])).await;
    assert!(matches!(late, Err(Error::Changed(_))), "{late:?}");
    // All inputs are live and an output's id is taken.
    let clash = DataFile { id: first.id, ..merged(3) };
    let refused = catalog.replace(replacement(TENANT, &[stored[2].id], vec![merged(3), clash])).await;
    assert!(matches!(refused, Err(Error::Exists { .. })), "{refused:?}");
    let unknown = catalog.replace(replacement(TENANT, &[FileId::from_bytes([9; 16])], vec![merged(3)])).await;
    assert!(matches!(unknown, Err(Error::Changed(_))), "{unknown:?}");
    assert_eq!(snapshot(&catalog, TENANT).await, after);
}

pub(crate) async fn only_the_tenants_own_files_can_be_replaced(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let stored = committed(&catalog, lease, vec![file(TENANT, at(0))]).await;
    let stolen = catalog.replace(replacement(OTHER, &ids(&stored), vec![])).await;
    assert!(matches!(stolen, Err(Error::Changed(_))), "{stolen:?}");
    assert_eq!(snapshot(&catalog, TENANT).await.files, stored);
}

pub(crate) async fn a_replaced_file_is_removable_only_after_lingering(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let stored = committed(&catalog, lease, vec![file(TENANT, at(0)), file(TENANT, at(1))]).await;
    let lingering = Duration::from_secs(60);
    assert_eq!(catalog.removable(at(100_000), lingering, 10).await.unwrap(), []);
    // Samples are replaced at second 100.
    catalog.replace(replacement(TENANT, &[stored[0].id], vec![])).await.unwrap();
    assert_eq!(catalog.removable(at(159), lingering, 10).await.unwrap(), []);
    let removed = Removed { id: stored[0].id, tenant: TENANT, path: stored[0].path.clone() };
    assert_eq!(catalog.removable(at(160), lingering, 10).await.unwrap(), [removed]);
    assert_eq!(catalog.removable(at(160), lingering, 0).await.unwrap(), []);
    catalog.forget(&[stored[0].id]).await.unwrap();
    catalog.forget(&[stored[0].id]).await.unwrap();
    assert_eq!(catalog.removable(at(160), lingering, 10).await.unwrap(), []);
}

pub(crate) async fn a_live_file_is_never_forgotten(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let stored = committed(&catalog, lease, vec![file(TENANT, at(0))]).await;
    catalog.forget(&ids(&stored)).await.unwrap();
    assert_eq!(snapshot(&catalog, TENANT).await.files, stored);
}

pub(crate) async fn a_retired_writer_vanishes_from_the_snapshot(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    let second = catalog.register_writer(SECOND_WRITER, "", at(1)).await.unwrap();
    let stored = committed(&catalog, lease, vec![file(TENANT, at(0))]).await;
    assert_eq!(snapshot(&catalog, TENANT).await.writers.len(), 2);
    catalog.retire_writer(lease).await.unwrap();
    let seen = snapshot(&catalog, TENANT).await;
    assert_eq!(seen.writers, [Writer { id: second.writer, address: String::new() }]);
    assert_eq!(seen.files, stored);
}

pub(crate) async fn a_returning_writer_finds_its_watermarks(database: &Database) {
    let catalog = database.open().await;
    let lease = registered(&catalog).await;
    assert_eq!(catalog.watermarks(WRITER).await.unwrap(), []);
    for (tenant, sequence) in [(OTHER, 3), (TENANT, 4), (TENANT, 9)] {
        take_in(&catalog, commit(lease, tenant, sequence, vec![])).await.unwrap().unwrap();
    }
    catalog.retire_writer(lease).await.unwrap();
    let back = catalog.register_writer(WRITER, "http://ingest-1:9000", at(50)).await.unwrap();
    assert_eq!(back.epoch, lease.epoch + 1);
    assert_eq!(catalog.watermarks(WRITER).await.unwrap(), [(TENANT, Table::Spans, 9), (OTHER, Table::Spans, 3)]);
    assert_eq!(catalog.watermarks(SECOND_WRITER).await.unwrap(), []);
    assert_eq!(snapshot(&catalog, TENANT).await.writers[0].address, "http://ingest-1:9000");
    assert_eq!(take_in(&catalog, commit(back, TENANT, 9, vec![])).await.unwrap(), None);
}
