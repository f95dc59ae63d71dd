//! What a query may use.

use std::sync::Arc;

use arrow::array::RecordBatch;
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::prelude::{col, ident};
use spanlake_engine::{Config, Error, SnapshotRequest, TenantSession};
use spanlake_model::{Code, Fault, Span, Table, TimeRange};

use crate::world::{World, caller, span, tenant, trace};

fn all() -> SnapshotRequest {
    SnapshotRequest { table: Table::Spans, range: TimeRange::all(), after: None }
}

async fn session(world: &Arc<World>, config: Config) -> TenantSession {
    world.engine(config).snapshot(&caller(1, 1), &all()).await.unwrap()
}

#[tokio::test]
async fn more_files_than_a_query_may_open_are_refused_with_advice() {
    let world = World::new();
    for version in 1..=3 {
        world.file(tenant(1), version, &[span(1, 1, 0)], &[]).await;
    }
    let config = Config { files_max: 2, ..Config::default() };
    let error = world.engine(config).snapshot(&caller(1, 1), &all()).await.unwrap_err();
    assert!(matches!(error, Error::TooManyFiles { files: 3, max: 2 }));
    let fault = Fault::from(error);
    assert_eq!(fault.code, Code::InvalidQueryParams);
    assert!(fault.message.contains("narrow"));
}

#[tokio::test]
async fn the_deadline_ends_a_query() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    // The pieces in memory answer the snapshot at once; the plan does not.
    let session = session(&world, Config { deadline_ms: 0, ..Config::default() }).await;
    let error = session.collect(session.frame().unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { deadline_ms: 0 }), "{error:?}");
    assert_eq!(Fault::from(error).code, Code::Timeout);
}

#[tokio::test]
async fn a_query_that_needs_more_memory_than_its_share_is_told_so() {
    let world = World::new();
    let spans: Vec<_> = (1..200).map(|byte| Span { input: Some("x".repeat(2_000)), ..span(1, byte, 0) }).collect();
    world.file(tenant(1), 1, &spans, &[]).await;
    let session = session(&world, Config { query_memory_bytes: 100_000, ..Config::default() }).await;
    let sorted = session.frame().unwrap().sort(vec![ident("name").sort(true, false)]).unwrap();
    let error = session.collect(sorted).await.unwrap_err();
    assert!(matches!(error, Error::QueryMemory { bytes: 100_000 }), "{error:?}");
    assert_eq!(Fault::from(error).code, Code::InvalidQueryParams);
}

#[tokio::test]
async fn a_query_that_reads_more_than_its_share_is_told_so() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    let session = session(&world, Config { query_read_bytes: 100, ..Config::default() }).await;
    let error = session.collect(session.frame().unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::ReadBytes { bytes_max: 100 }), "{error:?}");
    assert_eq!(Fault::from(error).code, Code::InvalidQueryParams);
}

#[tokio::test]
async fn a_tenant_with_too_many_queries_waits_for_itself_and_nobody_else_does() {
    let world = World::new();
    // One by its own limit, or by the installation's: whichever is less.
    for (of_installation, own) in [(1, None), (2, Some(1)), (1, Some(2))] {
        waits_for_itself(&world, of_installation, own).await;
    }
}

async fn waits_for_itself(world: &Arc<World>, of_installation: usize, own: Option<u32>) {
    let bounds = Config {
        queries_at_once: 2,
        tenant_queries_at_once: of_installation,
        tenant_queries_waiting: 1,
        ..Config::default()
    };
    let crowd = caller(1, 1).with_queries_at_once(own);
    let engine = Arc::new(world.engine(bounds));
    let first = engine.snapshot(&crowd, &all()).await.unwrap();
    let waiting = tokio::spawn({
        let engine = engine.clone();
        async move { engine.snapshot(&crowd, &all()).await.map(drop) }
    });
    // The one that was spawned joins the line.
    tokio::task::yield_now().await;
    let refused = engine.snapshot(&crowd, &all()).await.unwrap_err();
    assert!(matches!(refused, Error::Crowded { at_once: 1, waiting_max: 1 }), "{refused:?}");
    let fault = Fault::from(refused);
    assert!(fault.code == Code::RateLimited && fault.retry_after.is_some());
    assert!(fault.message.contains("queries_at_once in /v1/limits"), "it names the limit: {}", fault.message);
    let other = engine.snapshot(&caller(2, 1), &all()).await.unwrap();
    assert_eq!(engine.queries_running(), 2);
    drop(first);
    waiting.await.unwrap().unwrap();
    drop(other);
    assert_eq!(engine.queries_running(), 0);
}

#[tokio::test]
async fn a_stream_keeps_its_turn_and_gives_it_back_when_it_is_dropped() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    let engine = world.engine(Config::default());
    let session = engine.snapshot(&caller(1, 1), &all()).await.unwrap();
    let stream = session.stream(session.frame().unwrap()).await.unwrap();
    drop(session);
    assert_eq!(engine.queries_running(), 1);
    drop(stream);
    assert_eq!(engine.queries_running(), 0);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_no_fault_of_the_caller() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    world.lose_file(0).await;
    let session = session(&world, Config::default()).await;
    let error = session.collect(session.frame().unwrap().select(vec![col("name")]).unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    assert_eq!(Fault::from(error).code, Code::ServiceUnavailable);
}

/// Of each trace, as the sort of a list by cost asks.
fn totals(session: &TenantSession) -> DataFrame {
    let spans = session.priced(session.frame().unwrap()).unwrap();
    spans.aggregate(vec![col("trace_id")], vec![session.call_totals()]).unwrap()
}

#[tokio::test]
async fn a_step_that_holds_its_thread_stops_once_nobody_waits_for_it() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0), span(2, 1, 0)], &[]).await;
    let session = session(&world, Config::default()).await;
    let run = |frame: DataFrame| async move { frame.collect().await };
    // Outside of a stream of ours, nothing but the step itself can stop it.
    let (wanted, unwanted) = (totals(&session), totals(&session));
    assert_eq!(run(wanted).await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    drop(session);
    let error = run(unwanted).await.unwrap_err();
    assert!(error.to_string().contains("nobody waits"), "{error}");
}

#[tokio::test]
async fn a_fold_stops_at_the_deadline_and_counts_in_the_querys_memory() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    let count = |rows: &mut usize, batch: &RecordBatch| {
        *rows += batch.num_rows();
        Ok::<_, Error>(1_000_000)
    };
    let late = session(&world, Config { deadline_ms: 0, ..Config::default() }).await;
    let error = late.fold(late.frame().unwrap(), count).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { deadline_ms: 0 }), "{error:?}");
    let poor = session(&world, Config { query_memory_bytes: 900_000, ..Config::default() }).await;
    let error = poor.fold(poor.frame().unwrap(), count).await.unwrap_err();
    assert!(matches!(error, Error::QueryMemory { bytes: 900_000 }), "{error:?}");
    let rich = session(&world, Config::default()).await;
    let folded = rich.fold(rich.frame().unwrap(), count).await.unwrap();
    assert_eq!(folded.finish(|parts| parts.into_iter().sum::<usize>()).await.unwrap(), 1);
}

#[tokio::test]
async fn planning_touches_no_data_file() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    world.file(tenant(1), 2, &[span(2, 1, 0)], &[]).await;
    let engine = world.engine(Config::default());
    let ask = async || engine.snapshot(&caller(1, 1), &all()).await.unwrap();
    let plan = async |session: &TenantSession| {
        let near = session.near(&[trace(1)]).await?;
        let newest = session.frame()?.sort(vec![col("start_time").sort(false, false)])?.limit(0, Some(1))?;
        for frame in [newest, near.frame()?.filter(col("model").is_not_null())?, totals(session)] {
            frame.create_physical_plan().await?;
        }
        Ok::<_, Error>(near)
    };
    plan(&ask().await).await.unwrap();
    // Once it is warm, also not to find the files that hold a trace.
    for number in 0..2 {
        world.lose_file(number).await;
    }
    let near = plan(&ask().await).await.unwrap();
    let error = near.collect(near.frame().unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "the files are gone: {error:?}");
}
