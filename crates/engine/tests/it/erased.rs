//! Rows that are not to be seen any more: erased, or past their time.

use std::sync::Arc;

use spanlake_engine::datafusion::physical_plan::displayable;
use spanlake_engine::datafusion::prelude::col;
use spanlake_engine::{Config, SnapshotRequest, TenantSession};
use spanlake_model::{ErasureScope, Receipt, Span, Table, TimeRange, WriterId};
use spanlake_store::rows::decode;

use crate::world::{WRITER, World, app, at, caller, fresh, span, tenant, trace};

async fn session(world: &Arc<World>) -> TenantSession {
    let all = SnapshotRequest { table: Table::Spans, range: TimeRange::all(), after: None };
    world.engine(Config::default()).snapshot(&caller(1, 1), &all).await.unwrap()
}

async fn names(world: &Arc<World>) -> Vec<String> {
    let session = session(world).await;
    let batches = session.collect(session.frame().unwrap()).await.unwrap();
    let mut names: Vec<_> = batches.iter().flat_map(|batch| decode(batch).unwrap()).map(|span| span.name).collect();
    names.sort();
    names
}

fn traces(bytes: &[u8]) -> ErasureScope {
    ErasureScope::Traces(app(1), bytes.iter().map(|byte| trace(*byte)).collect())
}

/// Traces 1 and 2 in a file of frame 3, trace 1 in one of frame 5, and in memory with frame 9.
async fn told_three_times() -> Arc<World> {
    let world = World::new();
    let other_app = Span { app_id: app(2), ..span(1, 3, 0) };
    world.file(tenant(1), 3, &[span(1, 1, 0), span(2, 2, 0), other_app], &[]).await;
    world.file(tenant(1), 5, &[span(1, 4, 0)], &[]).await;
    world.writer(5, vec![fresh(tenant(1), &[span(1, 5, 0), span(2, 6, 0)], &[])]);
    world
}

#[tokio::test]
async fn an_erased_trace_is_gone_from_files_and_memory_and_nothing_else_is() {
    let world = told_three_times().await;
    world.erase(traces(&[1]), 9);
    assert_eq!(names(&world).await, ["span 2", "span 3", "span 6"]);
}

#[tokio::test]
async fn what_is_sent_after_the_erasure_is_new() {
    let world = told_three_times().await;
    world.erase(traces(&[1]), 4);
    assert_eq!(names(&world).await, ["span 2", "span 3", "span 4", "span 5", "span 6"]);
}

#[tokio::test]
async fn an_app_or_everything_is_erased_without_naming_traces() {
    let world = told_three_times().await;
    world.erase(ErasureScope::App(app(1)), 9);
    assert_eq!(names(&world).await, ["span 3"]);
    world.erase(ErasureScope::Tenant, 8);
    assert_eq!(names(&world).await, [""; 0]);
}

#[tokio::test]
async fn an_erased_row_stays_hidden_from_those_who_ask_for_none_of_its_ids() {
    let world = told_three_times().await;
    // Replaced rows and erased ones at once.
    let again = Span { name: "again".into(), ..span(2, 2, 0) };
    world.file(tenant(1), 6, std::slice::from_ref(&again), &[again.key()]).await;
    world.erase(traces(&[1]), 9);
    let session = session(&world).await;
    let narrow = session.frame().unwrap().select(vec![col("name")]).unwrap();
    let rows: usize = session.collect(narrow).await.unwrap().iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 3);
    let counted = session.frame().unwrap().count().await.unwrap();
    assert_eq!(counted, 3);
}

#[tokio::test]
async fn without_an_erasure_no_column_is_read_for_it() {
    let world = told_three_times().await;
    let plan = async |session: TenantSession| {
        let frame = session.frame().unwrap().select(vec![col("name")]).unwrap();
        displayable(&*frame.create_physical_plan().await.unwrap()).indent(false).to_string()
    };
    let plain = plan(session(&world).await).await;
    assert!(!plain.contains("sequence") && !plain.contains("hides"), "{plain}");
    world.erase(traces(&[1]), 9);
    let guarded = plan(session(&world).await).await;
    assert!(guarded.contains("sequence") && guarded.contains("hides erased rows"), "{guarded}");
}

#[tokio::test]
async fn rows_past_their_time_are_not_seen_to_the_instant() {
    let world = World::new();
    // The clock stands at 36 hours after midnight.
    world.file(tenant(1), 1, &[span(1, 1, 0), span(1, 2, 12 * 3_600 - 1), span(1, 3, 12 * 3_600)], &[]).await;
    world.writer(1, vec![fresh(tenant(1), &[span(2, 4, 5), span(2, 5, 13 * 3_600)], &[])]);
    assert_eq!(names(&world).await.len(), 5);
    world.keep(1);
    assert_eq!(names(&world).await, ["span 3", "span 5"]);
    let early = TimeRange::new(at(0), at(3_600)).unwrap();
    let request = SnapshotRequest { table: Table::Spans, range: early, after: None };
    let session = world.engine(Config::default()).snapshot(&caller(1, 1), &request).await.unwrap();
    assert_eq!(session.frame().unwrap().count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_snapshot_knows_the_last_write_of_each_writer_that_it_shows() {
    let world = told_three_times().await;
    let retired = WriterId::from_bytes([8; 16]);
    world.retired_writer(retired, 4);
    let expected = [Receipt { writer: retired, sequence: 4 }, Receipt { writer: WRITER, sequence: 9 }];
    assert_eq!(session(&world).await.shown(), expected);
}
