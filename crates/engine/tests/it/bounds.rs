//! What a query may use.

use std::sync::Arc;

use spanlake_engine::datafusion::prelude::{col, ident};
use spanlake_engine::{Config, Error, SnapshotRequest, TenantSession};
use spanlake_model::{Code, Fault, Span, Table, TimeRange};

use crate::world::{World, caller, span, tenant};

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
    let bounds =
        Config { queries_at_once: 2, tenant_queries_at_once: 1, tenant_queries_waiting: 1, ..Config::default() };
    let engine = Arc::new(world.engine(bounds));
    let first = engine.snapshot(&caller(1, 1), &all()).await.unwrap();
    let waiting = tokio::spawn({
        let engine = engine.clone();
        async move { engine.snapshot(&caller(1, 1), &all()).await.map(drop) }
    });
    // The one that was spawned joins the line.
    tokio::task::yield_now().await;
    let refused = engine.snapshot(&caller(1, 1), &all()).await.unwrap_err();
    assert!(matches!(refused, Error::Crowded { waiting_max: 1 }), "{refused:?}");
    let fault = Fault::from(refused);
    assert!(fault.code == Code::RateLimited && fault.retry_after.is_some());
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
