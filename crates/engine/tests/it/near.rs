//! Reading only the files that hold a trace.

use spanlake_engine::datafusion::prelude::{col, lit};
use spanlake_engine::datafusion::scalar::ScalarValue;
use spanlake_engine::{Config, Error, Named, SnapshotRequest, TenantSession};
use spanlake_model::{Span, SpanKey, Table, TimeRange, TraceId};
use spanlake_store::rows::decode;

use crate::world::{World, app, caller, fresh, id, span, tenant, trace};

fn all() -> SnapshotRequest {
    SnapshotRequest { table: Table::Spans, range: TimeRange::all(), after: None }
}

async fn names(session: &TenantSession, of: TraceId) -> Vec<String> {
    let wanted = lit(ScalarValue::FixedSizeBinary(16, Some(of.as_bytes().to_vec())));
    let batches = session.collect(session.frame().unwrap().filter(col("trace_id").eq(wanted)).unwrap()).await.unwrap();
    let mut names: Vec<_> = batches.iter().flat_map(|batch| decode(batch).unwrap()).map(|span| span.name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn all_spans_of_a_trace_are_near_it_wherever_they_lie() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0), span(2, 2, 0)], &[]).await;
    world.file(tenant(1), 2, &[span(3, 3, 0)], &[]).await;
    world.file(tenant(1), 3, &[span(1, 4, 9), span(3, 5, 9)], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &[span(1, 6, 10), span(4, 7, 10)], &[])]);
    let session = world.engine(Config::default()).snapshot(&caller(1, 1), &all()).await.unwrap();
    for (of, expected) in [
        (1, &["span 1", "span 4", "span 6"][..]),
        (2, &["span 2"]),
        (3, &["span 3", "span 5"]),
        (4, &["span 7"]),
        (5, &[]),
    ] {
        assert_eq!(names(&session.near(&[trace(of)]).await.unwrap(), trace(of)).await, expected, "trace {of}");
    }
}

#[tokio::test]
async fn a_row_that_a_file_elsewhere_replaces_stays_hidden_near_its_trace() {
    let world = World::new();
    let key = SpanKey { app_id: app(1), trace_id: trace(1), span_id: id(1) };
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    world.file(tenant(1), 2, &[span(2, 2, 0)], &[key]).await;
    let session = world.engine(Config::default()).snapshot(&caller(1, 1), &all()).await.unwrap();
    assert!(names(&session.near(&[trace(1)]).await.unwrap(), trace(1)).await.is_empty());
}

#[tokio::test]
async fn files_that_hold_none_of_the_traces_are_not_opened_once_they_are_known() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    world.file(tenant(1), 2, &[span(2, 2, 0)], &[]).await;
    let engine = world.engine(Config::default());
    let session = engine.snapshot(&caller(1, 1), &all()).await.unwrap();
    session.near(&[trace(1)]).await.unwrap();
    drop(session);
    world.lose_file(1).await;
    let session = engine.snapshot(&caller(1, 1), &all()).await.unwrap();
    assert_eq!(names(&session.near(&[trace(1)]).await.unwrap(), trace(1)).await, ["span 1"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_indexed_is_no_fault_of_the_caller() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    world.lose_file(0).await;
    let session = world.engine(Config::default()).snapshot(&caller(1, 1), &all()).await.unwrap();
    assert!(matches!(session.near(&[trace(1)]).await, Err(Error::Index(_))));
}

#[tokio::test]
async fn all_spans_that_name_a_session_are_near_it_and_files_without_one_are_not_opened_once_they_are_known() {
    let of_session = |name: &str, span: Span| Span { session_id: Some(name.into()), ..span };
    let world = World::new();
    world.file(tenant(1), 1, &[of_session("a", span(1, 1, 0)), of_session("b", span(2, 2, 0))], &[]).await;
    world.file(tenant(1), 2, &[of_session("b", span(3, 3, 0))], &[]).await;
    world.file(tenant(1), 3, &[span(1, 4, 9)], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &[of_session("a", span(4, 5, 10))], &[])]);
    let engine = world.engine(Config::default());
    let session = engine.snapshot(&caller(1, 1), &all()).await.unwrap();
    session.near_named(Named::Session, &["c".into()]).await.unwrap();
    drop(session);
    world.lose_file(1).await;
    world.lose_file(2).await;
    let session = engine.snapshot(&caller(1, 1), &all()).await.unwrap();
    let near = session.near_named(Named::Session, &["a".into()]).await.unwrap();
    let naming = near.frame().unwrap().filter(col("session_id").eq(lit("a"))).unwrap();
    let rows: usize = near.collect(naming).await.unwrap().iter().map(arrow::array::RecordBatch::num_rows).sum();
    assert_eq!(rows, 2);
}
