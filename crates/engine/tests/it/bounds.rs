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
async fn a_file_that_cannot_be_read_is_no_fault_of_the_caller() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    world.lose_file(0).await;
    let session = session(&world, Config::default()).await;
    let error = session.collect(session.frame().unwrap().select(vec![col("name")]).unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    assert_eq!(Fault::from(error).code, Code::ServiceUnavailable);
}
