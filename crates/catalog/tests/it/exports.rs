//! Exports into files.

use std::time::Duration;

use spanlake_catalog::{
    AfterFailure, Catalog, Erasures as _, Error, Export, ExportFailure, ExportLease, ExportRun, ExportStatus,
    Exports as _, Files as _, NewErasure, NewExport, OPEN_EXPORTS_MAX, Progress, RunEnd, Subject, Then,
    UNTOLD_TRACES_MAX, UntoldErasure,
};
use spanlake_model::{
    AgentId, AppId, Erasure, ErasureId, ErasureScope, ExportId, ExporterId, Receipt, TenantId, TraceId, TraceSet,
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
        scores_through: vec![Receipt { writer: WRITER, sequence: number }],
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
        catalog
            .fail_run(lease, ExportFailure { code: "x".into(), message: "y".into() }, AfterFailure::GivenUp, at(62))
            .await,
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
    for number in 1..=3_u64 {
        let due = 100 * i64::try_from(number).unwrap();
        let (lease, export) = claimed(&catalog, ONE, due).await.unwrap();
        assert_eq!(export.run, number);
        let before = end(number.saturating_sub(1), Then::Done);
        let before = if number == 1 { (vec![], vec![]) } else { (before.through, before.scores_through) };
        assert_eq!((export.through, export.scores_through), before);
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
    catalog.fail_run(lease, failure.clone(), AfterFailure::Again(at(20)), at(10)).await.unwrap();
    let waiting = shown(&catalog, 1).await;
    assert_eq!((waiting.status, waiting.failures, waiting.error), (ExportStatus::Waiting, 1, Some(failure.clone())));
    assert_eq!(waiting.failing_since, Some(at(10)));
    assert_eq!(claimed(&catalog, ONE, 19).await, None);
    let (lease, _) = claimed(&catalog, ONE, 20).await.unwrap();
    catalog.fail_run(lease, failure, AfterFailure::GivenUp, at(21)).await.unwrap();
    let failed = shown(&catalog, 1).await;
    assert_eq!((failed.status, failed.failures, failed.finished_at), (ExportStatus::Failed, 2, Some(at(21))));
    assert_eq!((failed.asked.sealed, failed.failing_since), (None, Some(at(10))), "since the first time");
    assert_eq!(claimed(&catalog, ONE, 1_000).await, None);
}

async fn paused(catalog: &Catalog, number: u8, seconds: i64) {
    let (lease, _) = claimed(catalog, ONE, seconds).await.unwrap();
    assert_eq!(lease.export, id(number));
    let failure = ExportFailure { code: "x".into(), message: "y".into() };
    catalog.fail_run(lease, failure, AfterFailure::Paused, at(seconds)).await.unwrap();
}

pub(crate) async fn a_paused_schedule_goes_on_when_it_is_resumed_and_anew_when_it_missed_an_erasure(
    database: &Database,
) {
    let catalog = database.open().await;
    let trace = TraceId::from_bytes([9; 16]).unwrap();
    let traces = || ErasureScope::Traces(APP, [trace].into_iter().collect());
    let everything = ErasureId::from_bytes([99; 16]);
    // Nothing is missed; something that it could not tell any more; something that came while it was paused.
    for (number, missed) in [(1, false), (2, true), (3, true)] {
        catalog.add_export(scheduled(number)).await.unwrap();
        if number == 2 {
            erase(&catalog, number, TENANT, traces()).await;
        }
        paused(&catalog, number, 10).await;
        if number == 3 {
            erase(&catalog, number, TENANT, traces()).await;
        }
        let export = shown(&catalog, number).await;
        assert_eq!(
            (export.status, export.finished_at, export.failing_since),
            (ExportStatus::Paused, None, Some(at(10)))
        );
        assert!(export.asked.sealed.is_some(), "it needs its credentials yet");
        assert_eq!(claimed(&catalog, ONE, 5_000).await, None);
        assert_eq!(catalog.resume_export(OTHER, id(number), everything, at(20)).await.unwrap(), None);
        let resumed = catalog.resume_export(TENANT, id(number), everything, at(20)).await.unwrap().unwrap();
        assert_eq!((resumed.status, resumed.failures, resumed.failing_since), (ExportStatus::Waiting, 0, None));
        assert_eq!((resumed.asked.not_before, resumed.error), (at(20), None));
        let (lease, _) = claimed(&catalog, ONE, 20).await.unwrap();
        let untold = if missed { vec![UntoldErasure { id: everything, traces: None }] } else { vec![] };
        assert_eq!(catalog.untold_erasures(lease).await.unwrap(), untold, "export {number}");
        let again = catalog.resume_export(TENANT, id(number), everything, at(30)).await.unwrap().unwrap();
        assert_eq!(again.status, ExportStatus::Running, "what is not paused stays as it is");
        catalog.end_run(lease, RunEnd { told: vec![everything], ..end(1, Then::Again(at(9_000))) }).await.unwrap();
        catalog.cancel_export(TENANT, id(number), at(40)).await.unwrap();
    }
    catalog.add_export(scheduled(4)).await.unwrap();
    paused(&catalog, 4, 10).await;
    let cancelled = catalog.cancel_export(TENANT, id(4), at(50)).await.unwrap().unwrap();
    assert_eq!((cancelled.status, cancelled.asked.sealed), (ExportStatus::Cancelled, None));
}

pub(crate) async fn a_list_of_erasures_that_grows_too_long_becomes_everything(database: &Database) {
    let catalog = database.open().await;
    for new in [scheduled(1), NewExport { app: OTHER_APP, ..scheduled(2) }] {
        catalog.add_export(new).await.unwrap();
    }
    let many = |first: u32| -> TraceSet {
        let ids = first..first + u32::try_from(UNTOLD_TRACES_MAX / 5).unwrap();
        ids.map(|number| TraceId::from_bytes(u128::from(number + 1).to_be_bytes()).unwrap()).collect()
    };
    for number in 0..5_u8 {
        erase(&catalog, number, TENANT, ErasureScope::Traces(APP, many(u32::from(number) * 100_000))).await;
        // Those that hide rows are bounded as well.
        catalog.rewritten(ErasureId::from_bytes([number; 16]), at(1)).await.unwrap();
    }
    let elsewhere = erase(&catalog, 8, TENANT, ErasureScope::Traces(OTHER_APP, many(0))).await;
    let (lease, _) = claimed(&catalog, ONE, 10).await.unwrap();
    assert_eq!(catalog.untold_erasures(lease).await.unwrap().len(), 5, "as many as it keeps");
    let last = erase(&catalog, 9, TENANT, ErasureScope::Traces(APP, many(7))).await;
    assert_eq!(catalog.untold_erasures(lease).await.unwrap(), [UntoldErasure { id: last, traces: None }]);
    let (lease, _) = claimed(&catalog, ONE, 10).await.unwrap();
    let untold = catalog.untold_erasures(lease).await.unwrap();
    assert_eq!(
        untold.iter().map(|untold| (untold.id, untold.traces.is_some())).collect::<Vec<_>>(),
        [(elsewhere, true)]
    );
}

pub(crate) async fn an_agents_schedule_hears_of_what_the_agent_had(database: &Database) {
    let catalog = database.open().await;
    let of = |number, agent| NewExport { agent, ..scheduled(number) };
    let stranger = AgentId::from_bytes([6; 16]);
    for new in [of(1, None), of(2, Some(AGENT)), of(3, Some(stranger)), NewExport { agent: Some(stranger), ..new(4) }] {
        catalog.add_export(new).await.unwrap();
    }
    assert_eq!(catalog.agents_told(TENANT, APP).await.unwrap(), [AGENT, stranger]);
    assert_eq!(catalog.agents_told(TENANT, OTHER_APP).await.unwrap(), []);
    assert_eq!(catalog.agents_told(OTHER, APP).await.unwrap(), []);
    let trace = |byte| TraceId::from_bytes([byte; 16]).unwrap();
    let erasure = ErasureId::from_bytes([1; 16]);
    let scope = ErasureScope::Traces(APP, [trace(1), trace(2)].into_iter().collect());
    let stored = Erasure { id: erasure, tenant: TENANT, scope, bounds: Vec::new() };
    let new = NewErasure {
        touched: vec![trace(3)],
        of_agents: vec![(AGENT, vec![trace(2)]), (stranger, vec![])],
        ..NewErasure::new(stored, Subject::Traces, at(0))
    };
    catalog.add_erasure(new).await.unwrap();
    let everything = erase(&catalog, 2, TENANT, ErasureScope::App(APP)).await;
    let told =
        |traces: &[u8]| UntoldErasure { id: erasure, traces: Some(traces.iter().map(|byte| trace(*byte)).collect()) };
    let whole = || UntoldErasure { id: everything, traces: None };
    for expected in [vec![told(&[1, 2, 3]), whole()], vec![told(&[2]), whole()], vec![whole()]] {
        let (lease, _) = claimed(&catalog, ONE, 3).await.unwrap();
        assert_eq!(catalog.untold_erasures(lease).await.unwrap(), expected);
    }
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
    catalog.add_erasure(NewErasure::new(erasure, Subject::Traces, at(0))).await.unwrap();
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
