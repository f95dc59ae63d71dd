//! Exports into files.

use std::time::Duration;

use spanlake_catalog::{
    Catalog, Erasures as _, Error, Export, ExportFailure, ExportLease, ExportRun, ExportStatus, Exports as _,
    Files as _, NewErasure, NewExport, OPEN_EXPORTS_MAX, Progress, RunEnd, Subject, Then, UntoldErasure,
};
use spanlake_model::{
    AgentId, AppId, Erasure, ErasureId, ErasureScope, ExportId, ExporterId, Receipt, TenantId, TraceId,
};

use crate::database::Database;
use crate::files::{committed, registered};
use crate::samples::{OTHER, SECOND_WRITER, TENANT, WRITER, at, file, replacement};

const APP: AppId = AppId::from_bytes([3; 16]);
const OTHER_APP: AppId = AppId::from_bytes([4; 16]);
const AGENT: AgentId = AgentId::from_bytes([5; 16]);
const ONE: ExporterId = ExporterId::from_bytes([1; 16]);
const TWO: ExporterId = ExporterId::from_bytes([2; 16]);

fn id(number: u8) -> ExportId {
    ExportId::from_bytes([number; 16])
}

/// Due at its number of seconds.
fn new(number: u8) -> NewExport {
    NewExport {
        id: id(number),
        tenant: TENANT,
        app: APP,
        agent: None,
        caller: vec![0, 254, 255],
        spec: r#"{"v":1,"table":"späns"}"#.into(),
        sealed: Some(vec![255, 0, 1]),
        schedule: None,
        created_at: at(i64::from(number)),
        not_before: at(i64::from(number)),
    }
}

fn scheduled(number: u8) -> NewExport {
    NewExport { schedule: Some("*/5 * * * *".into()), ..new(number) }
}

fn run(number: u64) -> ExportRun {
    ExportRun {
        run: number,
        path: format!("run={number:06}/manifest.json"),
        sha256: "ab".repeat(32),
        rows: u64::from(u32::MAX) + number,
        deletes: 2,
        bytes: 3,
        files: 4,
        created_at: at(50),
    }
}

fn end(number: u64, then: Then) -> RunEnd {
    let through =
        vec![Receipt { writer: WRITER, sequence: number * 10 }, Receipt { writer: SECOND_WRITER, sequence: 1 }];
    RunEnd {
        written: Some((run(number), format!("{{\"run\":{number}}}"))),
        through,
        told: Vec::new(),
        then,
        at: at(60),
    }
}

async fn claimed(catalog: &Catalog, owner: ExporterId, seconds: i64) -> Option<(ExportLease, Export)> {
    let claimed = catalog.claim_export(owner, at(seconds), at(seconds + 30)).await.unwrap();
    claimed.map(|claimed| (claimed.lease, claimed.export))
}

async fn shown(catalog: &Catalog, number: u8) -> Export {
    catalog.export(TENANT, id(number)).await.unwrap().unwrap()
}

pub(crate) async fn an_export_reads_back_whole_and_for_its_tenant_only(database: &Database) {
    let catalog = database.open().await;
    let of_agent = NewExport { agent: Some(AGENT), sealed: None, ..scheduled(2) };
    for new in [new(1), of_agent.clone(), NewExport { app: OTHER_APP, ..new(3) }, NewExport { tenant: OTHER, ..new(4) }]
    {
        catalog.add_export(new).await.unwrap();
    }
    let first = shown(&catalog, 1).await;
    assert_eq!((first.asked.clone(), first.status, first.run, first.last), (new(1), ExportStatus::Waiting, 1, None));
    assert_eq!(shown(&catalog, 2).await.asked, of_agent);
    assert_eq!(catalog.export(OTHER, id(1)).await.unwrap(), None);
    assert_eq!(catalog.cancel_export(OTHER, id(1), at(9)).await.unwrap(), None);
    assert_eq!(shown(&catalog, 1).await.status, ExportStatus::Waiting);
    let ids = |exports: Vec<Export>| exports.iter().map(|export| export.asked.id).collect::<Vec<_>>();
    assert_eq!(ids(catalog.exports(TENANT, APP, None, None, 9).await.unwrap()), [id(2), id(1)], "newest first");
    assert_eq!(ids(catalog.exports(TENANT, APP, None, None, 1).await.unwrap()), [id(2)]);
    assert_eq!(ids(catalog.exports(TENANT, APP, None, Some((at(2), id(2))), 9).await.unwrap()), [id(1)]);
    assert_eq!(ids(catalog.exports(TENANT, APP, Some(AGENT), None, 9).await.unwrap()), [id(2)]);
    let again = catalog.add_export(new(1)).await;
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
}

pub(crate) async fn an_export_belongs_to_one_until_its_lease_ends(database: &Database) {
    let catalog = database.open().await;
    for number in [5, 2] {
        catalog.add_export(new(number)).await.unwrap();
    }
    assert_eq!(claimed(&catalog, ONE, 1).await, None, "none is due");
    let (lease, export) = claimed(&catalog, ONE, 10).await.unwrap();
    assert_eq!(
        (lease.export, export.status, export.started_at),
        (id(2), ExportStatus::Running, Some(at(10))),
        "due longest"
    );
    assert_eq!(claimed(&catalog, TWO, 10).await.unwrap().0.export, id(5));
    assert_eq!(claimed(&catalog, TWO, 39).await, None);
    let progress = Progress { rows: 7, bytes: 8, files: 9, total_rows: Some(10) };
    catalog.keep_export(lease, at(60), progress).await.unwrap();
    assert_eq!(shown(&catalog, 2).await.progress, progress);
    let (stolen, export) = claimed(&catalog, TWO, 61).await.unwrap();
    assert_eq!((stolen.export, export.progress), (id(2), Progress::default()), "an attempt begins at nothing");
    for refused in [
        catalog.keep_export(lease, at(99), progress).await,
        catalog.end_run(lease, end(1, Then::Done)).await,
        catalog.leave_export(lease).await,
        catalog.fail_run(lease, ExportFailure { code: "x".into(), message: "y".into() }, None, at(62)).await,
    ] {
        assert!(matches!(refused, Err(Error::Changed(_))), "{refused:?}");
    }
    assert_eq!(shown(&catalog, 2).await.status, ExportStatus::Running);
    catalog.leave_export(stolen).await.unwrap();
    assert_eq!(claimed(&catalog, ONE, 61).await.unwrap().0.export, id(2), "what was left is for anyone at once");
}

pub(crate) async fn an_export_that_was_abandoned_is_told_from_one_that_was_given_back(database: &Database) {
    let catalog = database.open().await;
    catalog.add_export(new(1)).await.unwrap();
    let claim = async |seconds| catalog.claim_export(ONE, at(seconds), at(seconds + 30)).await.unwrap().unwrap();
    let first = claim(10).await;
    let second = claim(40).await;
    catalog.leave_export(second.lease).await.unwrap();
    let third = claim(41).await;
    assert_eq!([first, second, third].map(|claimed| claimed.was_abandoned), [false, true, false]);
}

pub(crate) async fn who_has_exports_running_waits_for_those_who_have_none(database: &Database) {
    let catalog = database.open().await;
    for new in [new(1), new(2), new(3), NewExport { tenant: OTHER, ..new(4) }, NewExport { tenant: OTHER, ..new(5) }] {
        catalog.add_export(new).await.unwrap();
    }
    let mut order = Vec::new();
    while let Some((lease, _)) = claimed(&catalog, ONE, 10).await {
        order.push(lease.export);
    }
    assert_eq!(order, [1, 4, 2, 5, 3].map(id));
}

pub(crate) async fn what_a_running_export_may_read_is_not_removed(database: &Database) {
    let catalog = database.open().await;
    let writer = registered(&catalog).await;
    let stored = committed(&catalog, writer, vec![file(TENANT, at(0)), file(TENANT, at(1))]).await;
    for new in [new(1), NewExport { tenant: OTHER, ..new(2) }] {
        catalog.add_export(new).await.unwrap();
    }
    let (lease, _) = claimed(&catalog, ONE, 90).await.unwrap();
    claimed(&catalog, TWO, 90).await.unwrap();
    catalog.keep_export(lease, at(900), Progress::default()).await.unwrap();
    // Samples are replaced at second 100.
    catalog.replace(replacement(TENANT, &[stored[0].id], vec![])).await.unwrap();
    let removable = async |seconds| catalog.removable(at(seconds), Duration::from_secs(60), 10).await.unwrap().len();
    assert_eq!(removable(899).await, 0, "the export began before");
    assert_eq!(removable(900).await, 1, "nobody has it any more");
    catalog.keep_export(lease, at(2_000), Progress::default()).await.unwrap();
    assert_eq!(removable(900).await, 0);
    catalog.end_run(lease, end(1, Then::Done)).await.unwrap();
    assert_eq!(removable(900).await, 1);
    let late = NewExport { not_before: at(950), ..new(3) };
    catalog.add_export(late).await.unwrap();
    while claimed(&catalog, ONE, 950).await.is_some() {}
    assert_eq!(shown(&catalog, 3).await.status, ExportStatus::Running);
    assert_eq!(removable(960).await, 1, "it began when the file had been replaced");
}

pub(crate) async fn a_run_ends_once_with_its_manifest(database: &Database) {
    let catalog = database.open().await;
    catalog.add_export(new(1)).await.unwrap();
    let (lease, _) = claimed(&catalog, ONE, 10).await.unwrap();
    catalog.end_run(lease, end(1, Then::Done)).await.unwrap();
    let done = shown(&catalog, 1).await;
    assert_eq!((done.status, done.last, done.finished_at), (ExportStatus::Done, Some(run(1)), Some(at(60))));
    assert_eq!(done.asked.sealed, None, "credentials are forgotten as soon as they may be");
    let again = catalog.end_run(lease, end(1, Then::Done)).await;
    assert!(matches!(again, Err(Error::Changed(_))), "{again:?}");
    assert_eq!(claimed(&catalog, TWO, 1_000).await, None, "what is done is not taken");
    assert_eq!(catalog.manifest(TENANT, id(1), None).await.unwrap().as_deref(), Some("{\"run\":1}"));
    assert_eq!(catalog.manifest(OTHER, id(1), None).await.unwrap(), None);
    assert_eq!(catalog.export_runs(OTHER, id(1), None, 9).await.unwrap(), []);
}

pub(crate) async fn a_scheduled_export_goes_on_where_it_was(database: &Database) {
    let catalog = database.open().await;
    catalog.add_export(scheduled(1)).await.unwrap();
    for number in 1..=3 {
        let due = 100 * i64::try_from(number).unwrap();
        let (lease, export) = claimed(&catalog, ONE, due).await.unwrap();
        assert_eq!(export.run, number);
        let before = if number == 1 { vec![] } else { end(number - 1, Then::Done).through };
        assert_eq!(export.through, before);
        assert_eq!(export.last, (number > 1).then(|| run(number - 1)));
        catalog.end_run(lease, end(number, Then::Again(at(due + 100)))).await.unwrap();
        assert_eq!(claimed(&catalog, ONE, due + 99).await, None);
    }
    let (lease, _) = claimed(&catalog, ONE, 400).await.unwrap();
    let nothing = RunEnd { written: None, ..end(9, Then::Again(at(500))) };
    catalog.end_run(lease, nothing.clone()).await.unwrap();
    let export = shown(&catalog, 1).await;
    assert_eq!((export.run, export.through, export.last), (4, nothing.through, Some(run(3))), "no changes, no run");
    assert_eq!(catalog.export_runs(TENANT, id(1), None, 2).await.unwrap(), [run(3), run(2)]);
    assert_eq!(catalog.export_runs(TENANT, id(1), Some(2), 2).await.unwrap(), [run(1)]);
    assert_eq!(catalog.manifest(TENANT, id(1), Some(2)).await.unwrap().as_deref(), Some("{\"run\":2}"));
    assert_eq!(catalog.manifest(TENANT, id(1), None).await.unwrap().as_deref(), Some("{\"run\":3}"));
    assert_eq!(catalog.manifest(TENANT, id(1), Some(4)).await.unwrap(), None);
}

pub(crate) async fn a_failed_run_waits_counts_and_is_given_up_when_told(database: &Database) {
    let catalog = database.open().await;
    catalog.add_export(new(1)).await.unwrap();
    let failure = ExportFailure { code: "timeout".into(), message: "too slow".into() };
    let (lease, _) = claimed(&catalog, ONE, 10).await.unwrap();
    catalog.fail_run(lease, failure.clone(), Some(at(20)), at(10)).await.unwrap();
    let waiting = shown(&catalog, 1).await;
    assert_eq!((waiting.status, waiting.failures, waiting.error), (ExportStatus::Waiting, 1, Some(failure.clone())));
    assert_eq!(claimed(&catalog, ONE, 19).await, None);
    let (lease, _) = claimed(&catalog, ONE, 20).await.unwrap();
    catalog.fail_run(lease, failure, None, at(21)).await.unwrap();
    let failed = shown(&catalog, 1).await;
    assert_eq!((failed.status, failed.failures, failed.finished_at), (ExportStatus::Failed, 2, Some(at(21))));
    assert_eq!(failed.asked.sealed, None);
    assert_eq!(claimed(&catalog, ONE, 1_000).await, None);
}

pub(crate) async fn a_cancelled_export_is_lost_to_whoever_works_on_it(database: &Database) {
    let catalog = database.open().await;
    catalog.add_export(new(1)).await.unwrap();
    let (lease, _) = claimed(&catalog, ONE, 10).await.unwrap();
    let cancelled = catalog.cancel_export(TENANT, id(1), at(11)).await.unwrap().unwrap();
    assert_eq!((cancelled.status, cancelled.finished_at), (ExportStatus::Cancelled, Some(at(11))));
    let ended = catalog.end_run(lease, end(1, Then::Done)).await;
    assert!(matches!(ended, Err(Error::Changed(_))), "{ended:?}");
    let again = catalog.cancel_export(TENANT, id(1), at(99)).await.unwrap().unwrap();
    assert_eq!(again.finished_at, Some(at(11)), "the first time stays");
    assert_eq!(claimed(&catalog, TWO, 1_000).await, None);
}

pub(crate) async fn a_crowd_of_exports_is_refused_for_now(database: &Database) {
    let catalog = database.open().await;
    for number in 0..u8::try_from(OPEN_EXPORTS_MAX).unwrap() {
        catalog.add_export(new(number)).await.unwrap();
    }
    let refused = catalog.add_export(new(200)).await;
    assert!(matches!(refused, Err(Error::Crowded { max: OPEN_EXPORTS_MAX, .. })), "{refused:?}");
    catalog.add_export(NewExport { tenant: OTHER, ..new(201) }).await.unwrap();
    catalog.cancel_export(TENANT, id(0), at(1)).await.unwrap();
    catalog.add_export(new(200)).await.unwrap();
}

pub(crate) async fn of_racing_exporters_one_gets_the_export(database: &Database) {
    let catalog = database.open().await;
    for round in 1..20_u8 {
        catalog.add_export(new(round)).await.unwrap();
        let claims = (1..=4).map(|owner| {
            let catalog = catalog.clone();
            let owner = ExporterId::from_bytes([owner; 16]);
            tokio::spawn(async move { claimed(&catalog, owner, 100).await })
        });
        let mut won = 0;
        for claim in claims.collect::<Vec<_>>() {
            won += usize::from(claim.await.unwrap().is_some());
        }
        assert_eq!(won, 1, "round {round}");
        catalog.cancel_export(TENANT, id(round), at(100)).await.unwrap();
    }
}

async fn erase(catalog: &Catalog, number: u8, tenant: TenantId, scope: ErasureScope) -> ErasureId {
    let id = ErasureId::from_bytes([number; 16]);
    let erasure = Erasure { id, tenant, scope, bounds: Vec::new() };
    let new = NewErasure { erasure, score_bounds: Vec::new(), subject: Subject::Traces, requested_at: at(0) };
    catalog.add_erasure(new).await.unwrap();
    id
}

pub(crate) async fn each_erasure_is_told_to_each_schedule_it_concerns_until_it_was_told(database: &Database) {
    let catalog = database.open().await;
    let trace = |byte| TraceId::from_bytes([byte; 16]).unwrap();
    let traces = |app| ErasureScope::Traces(app, [trace(9), trace(2)].into_iter().collect());
    erase(&catalog, 1, TENANT, traces(APP)).await;
    for new in [scheduled(1), new(2), NewExport { app: OTHER_APP, ..scheduled(3) }] {
        catalog.add_export(new).await.unwrap();
    }
    let named = erase(&catalog, 2, TENANT, traces(APP)).await;
    erase(&catalog, 3, OTHER, ErasureScope::Tenant).await;
    let everything = erase(&catalog, 4, TENANT, ErasureScope::Tenant).await;
    let elsewhere = erase(&catalog, 5, TENANT, ErasureScope::App(OTHER_APP)).await;
    let whole = |id| UntoldErasure { id, traces: None };
    let mut leases = Vec::new();
    for expected in [
        vec![UntoldErasure { id: named, traces: Some(vec![trace(2), trace(9)]) }, whole(everything)],
        vec![],
        vec![whole(everything), whole(elsewhere)],
    ] {
        let (lease, _) = claimed(&catalog, ONE, 10).await.unwrap();
        assert_eq!(catalog.untold_erasures(lease).await.unwrap(), expected);
        leases.push(lease);
    }
    let told = RunEnd { told: vec![named], ..end(1, Then::Again(at(20))) };
    catalog.end_run(leases[0], told).await.unwrap();
    let (lease, _) = claimed(&catalog, ONE, 20).await.unwrap();
    assert_eq!(catalog.untold_erasures(lease).await.unwrap(), [whole(everything)]);
    catalog.cancel_export(TENANT, id(1), at(30)).await.unwrap();
    assert_eq!(catalog.untold_erasures(lease).await.unwrap(), [], "nobody waits to be told");
}
