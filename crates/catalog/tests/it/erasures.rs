//! Erasures and retention.

use std::time::Duration;

use spanlake_catalog::{
    Accounts as _, Catalog, ErasedFile, Erasures as _, Error, Files as _, NewErasure, OPEN_ERASURES_MAX,
    OPEN_TRACES_MAX, Subject,
};
use spanlake_model::{
    AppId, Code, Erasure, ErasureId, ErasureScope, Fault, FileId, Receipt, Table, TenantId, TimeRange, TraceId,
};

use crate::database::Database;
use crate::files::snapshot;
use crate::samples::{OTHER, SECOND_WRITER, TENANT, WRITER, account, at, commit, file, replacement};

const APP: AppId = AppId::from_bytes([3; 16]);

fn erasure(number: u16, tenant: TenantId, scope: ErasureScope) -> NewErasure {
    let mut id = [0; 16];
    id[14..].copy_from_slice(&number.to_be_bytes());
    let bounds =
        vec![Receipt { writer: WRITER, sequence: 7 }, Receipt { writer: SECOND_WRITER, sequence: u64::from(u32::MAX) }];
    let erasure = Erasure { id: ErasureId::from_bytes(id), tenant, scope, bounds };
    NewErasure::new(erasure, Subject::User, at(i64::from(number)))
}

fn traces() -> ErasureScope {
    let trace = |byte| TraceId::from_bytes([byte; 16]).unwrap();
    ErasureScope::Traces(APP, [trace(200), trace(1)].into_iter().collect())
}

async fn hiding(catalog: &Catalog, tenant: TenantId) -> Vec<Erasure> {
    snapshot(catalog, tenant).await.erasures
}

pub(crate) async fn an_erasure_is_in_every_later_snapshot_of_its_tenant(database: &Database) {
    let catalog = database.open().await;
    let scopes = [traces(), ErasureScope::App(APP), ErasureScope::Tenant];
    let all: Vec<_> = (1..).zip(scopes).map(|(number, scope)| erasure(number, TENANT, scope)).collect();
    for new in &all {
        catalog.add_erasure(new.clone()).await.unwrap();
    }
    let expected: Vec<_> = all.iter().map(|new| new.erasure.clone()).collect();
    assert_eq!(hiding(&catalog, TENANT).await, expected);
    assert_eq!(hiding(&catalog, OTHER).await, []);
    let again = catalog.add_erasure(all[0].clone()).await;
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
}

pub(crate) async fn an_erasure_hides_until_it_is_rewritten_and_is_proof_for_ever(database: &Database) {
    let catalog = database.open().await;
    let new = erasure(1, TENANT, traces());
    catalog.add_erasure(new.clone()).await.unwrap();
    let id = new.erasure.id;
    let proof = catalog.erasure(TENANT, id).await.unwrap().unwrap();
    assert_eq!((proof.subject, proof.app, proof.traces, proof.requested_at), (Subject::User, Some(APP), 2, at(1)));
    assert_eq!((proof.rewritten_at, proof.finished_at, proof.file_count), (None, None, 0));
    catalog.rewritten(id, at(5)).await.unwrap();
    catalog.rewritten(id, at(6)).await.unwrap();
    assert_eq!(hiding(&catalog, TENANT).await, []);
    let proof = catalog.erasure(TENANT, id).await.unwrap().unwrap();
    assert_eq!((proof.traces, proof.rewritten_at, proof.finished_at), (2, Some(at(5)), None));
    assert_eq!(catalog.finish_erasures(at(7)).await.unwrap(), 1);
    assert_eq!(catalog.finish_erasures(at(8)).await.unwrap(), 0);
    assert_eq!(catalog.erasure(TENANT, id).await.unwrap().unwrap().finished_at, Some(at(7)));
    assert_eq!(catalog.erasure(OTHER, id).await.unwrap(), None, "another tenant's is not there");
}

pub(crate) async fn tenants_wait_in_the_order_they_asked(database: &Database) {
    let catalog = database.open().await;
    let third = TenantId::from_bytes([9; 16]);
    let all = [(3, TENANT), (1, OTHER), (2, third), (4, OTHER)].map(|(at, tenant)| erasure(at, tenant, traces()));
    for new in &all {
        catalog.add_erasure(new.clone()).await.unwrap();
    }
    assert_eq!(catalog.tenants_to_erase(10).await.unwrap(), [OTHER, third, TENANT]);
    assert_eq!(catalog.tenants_to_erase(1).await.unwrap(), [OTHER]);
    catalog.rewritten(all[2].erasure.id, at(9)).await.unwrap();
    assert_eq!(catalog.tenants_to_erase(10).await.unwrap(), [OTHER, TENANT]);
}

pub(crate) async fn a_crowd_of_erasures_is_refused_for_now(database: &Database) {
    let catalog = database.open().await;
    // One by one it would take a while.
    database
        .tamper(
            "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 1000) \
             INSERT INTO erasures (id, tenant_id, subject, scope, traces, trace_count, bounds, requested_at) \
             SELECT '00000000-0000-0000-0000-00000001' || CAST(1000 + number AS TEXT), \
             '01010101-0101-0101-0101-010101010101', 'tenant', 'tenant', '', 0, '', 0 FROM numbers",
        )
        .await;
    assert_eq!(hiding(&catalog, TENANT).await.len() as u64, OPEN_ERASURES_MAX);
    let refused = catalog.add_erasure(erasure(9_999, TENANT, traces())).await.unwrap_err();
    assert_eq!(Fault::from(refused).code, Code::RateLimited);
    catalog.add_erasure(erasure(9_999, OTHER, traces())).await.unwrap();
    catalog.rewritten(hiding(&catalog, TENANT).await[0].id, at(1)).await.unwrap();
    catalog.add_erasure(erasure(9_998, TENANT, traces())).await.unwrap();
    // Few that name many are a crowd as well.
    catalog.rewritten(hiding(&catalog, TENANT).await[0].id, at(2)).await.unwrap();
    database.tamper("UPDATE erasures SET trace_count = 500").await;
    let refused = catalog.add_erasure(erasure(9_997, TENANT, traces())).await.unwrap_err();
    assert!(matches!(refused, Error::Crowded { max: OPEN_TRACES_MAX, .. }), "{refused:?}");
}

/// Two files of the tenant, and an erasure that takes a row from each.
async fn erased(catalog: &Catalog) -> (ErasureId, [ErasedFile; 2], FileId) {
    let lease = catalog.register_writer(WRITER, "", at(0)).await.unwrap();
    let inputs = [file(TENANT, at(1)), file(TENANT, at(2))];
    catalog.commit(commit(lease, TENANT, 1, inputs.to_vec())).await.unwrap();
    let new = erasure(1, TENANT, traces());
    catalog.add_erasure(new.clone()).await.unwrap();
    let id = new.erasure.id;
    let output = file(TENANT, at(1));
    let notes = [(0, Some(output.id)), (1, None)].map(|(at, replaced_by)| ErasedFile {
        erasure: id,
        file: inputs[at].id,
        day: inputs[at].day,
        rows: 3,
        replaced_by,
    });
    let stays = output.id;
    catalog.erase(replacement(TENANT, &[inputs[0].id], vec![output]), &notes[..1]).await.unwrap();
    catalog.erase(replacement(TENANT, &[inputs[1].id], vec![]), &notes[1..]).await.unwrap();
    (id, notes, stays)
}

pub(crate) async fn the_proof_names_every_file_that_rows_were_taken_from(database: &Database) {
    let catalog = database.open().await;
    let (id, mut notes, stays) = erased(&catalog).await;
    assert_eq!(snapshot(&catalog, TENANT).await.files.iter().map(|file| file.id).collect::<Vec<_>>(), [stays]);
    let proof = catalog.erasure(TENANT, id).await.unwrap().unwrap();
    notes.sort_by_key(|note| note.file);
    assert_eq!((proof.rows, proof.file_count, &proof.files[..]), (6, 2, &notes[..]));
}

pub(crate) async fn a_lost_race_leaves_neither_file_nor_note(database: &Database) {
    let catalog = database.open().await;
    let (id, notes, _) = erased(&catalog).await;
    let before = snapshot(&catalog, TENANT).await;
    let late = ErasedFile { file: FileId::from_bytes([5; 16]), ..notes[0] };
    let lost = catalog.erase(replacement(TENANT, &[notes[0].file], vec![file(TENANT, at(9))]), &[late]).await;
    assert!(matches!(lost, Err(Error::Changed(_))), "{lost:?}");
    assert_eq!(snapshot(&catalog, TENANT).await, before);
    assert_eq!(catalog.erasure(TENANT, id).await.unwrap().unwrap().file_count, 2);
}

pub(crate) async fn an_erasure_is_finished_when_the_files_it_emptied_are_deleted(database: &Database) {
    let catalog = database.open().await;
    let (id, notes, _) = erased(&catalog).await;
    catalog.rewritten(id, at(100)).await.unwrap();
    assert_eq!(catalog.finish_erasures(at(101)).await.unwrap(), 0, "replaced files are still there");
    let lingering = Duration::from_secs(60);
    assert_eq!(catalog.erased_removable(at(159), lingering, 10).await.unwrap(), []);
    let removable = catalog.erased_removable(at(160), lingering, 10).await.unwrap();
    assert_eq!(removable.len(), 2);
    catalog.forget(&notes.map(|note| note.file)).await.unwrap();
    assert_eq!(catalog.erased_removable(at(160), lingering, 10).await.unwrap(), []);
    assert_eq!(catalog.finish_erasures(at(161)).await.unwrap(), 1);
}

/// Files start at day 0, 10 and 20 of `at`.
async fn three_ages(catalog: &Catalog, tenant: TenantId) -> [FileId; 3] {
    let lease = catalog.register_writer(WRITER, "", at(0)).await.unwrap();
    let files = [0, 10, 20].map(|days| file(tenant, at(days * 86_400)));
    catalog.commit(commit(lease, tenant, 1, files.to_vec())).await.unwrap();
    files.map(|file| file.id)
}

pub(crate) async fn rows_are_kept_as_long_as_their_tenant_says(database: &Database) {
    let catalog = database.open().await;
    for (tenant, email) in [(TENANT, "ann@example.com"), (OTHER, "bob@example.com")] {
        catalog.sign_up(account(tenant, email)).await.unwrap();
    }
    let (now, own) = (at(20 * 86_400), three_ages(&catalog, TENANT).await);
    three_ages(&catalog, OTHER).await;
    let expired = async |most| {
        let files = catalog.expired(Table::Spans, now, most).await.unwrap();
        files.into_iter().map(|file| file.id).collect::<Vec<_>>()
    };
    assert_eq!(expired(9).await, [], "spans are kept for ever unless the tenant has said otherwise");
    assert_eq!(catalog.kept_days(TENANT, Table::Spans).await.unwrap(), None);
    catalog.keep_days(TENANT, Table::Spans, Some(10)).await.unwrap();
    assert_eq!(expired(9).await, own[..1], "the bound itself is kept");
    catalog.keep_days(TENANT, Table::Spans, Some(9)).await.unwrap();
    assert_eq!((expired(9).await, expired(1).await), (own[..2].to_vec(), own[..1].to_vec()));
    assert_eq!(catalog.kept_days(TENANT, Table::Spans).await.unwrap(), Some(9));
    assert_eq!(catalog.kept_days(OTHER, Table::Spans).await.unwrap(), None);
    assert_eq!(
        (snapshot(&catalog, TENANT).await.kept_days, snapshot(&catalog, OTHER).await.kept_days),
        (Some(9), None)
    );
    catalog.keep_days(TENANT, Table::Spans, None).await.unwrap();
    assert_eq!((expired(9).await, snapshot(&catalog, TENANT).await.kept_days), (vec![], None));
    let nobody = catalog.keep_days(TenantId::from_bytes([9; 16]), Table::Spans, Some(1)).await;
    assert!(matches!(nobody, Err(Error::Changed(_))), "{nobody:?}");
}

/// An erasure comes in one piece with the files and watermarks it is to be held against.
pub(crate) async fn a_snapshot_of_any_range_holds_the_erasures(database: &Database) {
    let catalog = database.open().await;
    catalog.add_erasure(erasure(1, TENANT, traces())).await.unwrap();
    let range = TimeRange::new(at(0), at(1)).unwrap();
    assert_eq!(catalog.snapshot(TENANT, Table::Spans, range).await.unwrap().erasures.len(), 1);
}
