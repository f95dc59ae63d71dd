//! Which rows a session sees.

use std::sync::Arc;

use arrow::array::AsArray;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::datafusion::scalar::ScalarValue;
use spanlake_engine::{Config, Engine, Error, SnapshotRequest, TenantSession};
use spanlake_model::{Code, Fault, Receipt, Span, Table, TimeRange, TraceId};
use spanlake_proto::ingest::Fresh;
use spanlake_store::rows::decode;

use crate::world::{WRITER, World, at, away, caller, fresh, id, span, tenant, trace};

fn all() -> SnapshotRequest {
    SnapshotRequest { table: Table::Spans, range: TimeRange::all(), after: None }
}

async fn session(world: &Arc<World>) -> TenantSession {
    engine(world).snapshot(&caller(1, 1), &all()).await.unwrap()
}

fn engine(world: &Arc<World>) -> Engine {
    world.engine(Config::default())
}

async fn names(session: &TenantSession) -> Result<Vec<String>, Error> {
    let batches = session.collect(session.frame().unwrap()).await?;
    let mut names: Vec<_> =
        batches.iter().flat_map(|batch| decode(batch).unwrap()).map(|span| span.name.clone()).collect();
    names.sort();
    Ok(names)
}

#[tokio::test]
async fn a_row_is_seen_once_whether_in_a_file_or_still_in_memory() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0), span(1, 2, 1)], &[]).await;
    world.file(tenant(1), 2, &[span(1, 3, 2)], &[]).await;
    world.writer(5, vec![fresh(tenant(1), &[span(1, 4, 3)], &[])]);
    assert_eq!(names(&session(&world).await).await.unwrap(), ["span 1", "span 2", "span 3", "span 4"]);
    assert_eq!(world.asked.lock().unwrap()[0].after_sequence, 5);
}

#[tokio::test]
async fn of_one_span_in_the_memory_of_two_writers_the_one_received_later_is_seen() {
    for (received, seen) in [(-1, "span 1"), (1, "theirs")] {
        let world = World::new();
        world.writer(5, vec![fresh(tenant(1), &[span(1, 1, 0), span(1, 2, 1)], &[])]);
        let theirs = Span { name: "theirs".into(), ..span(1, 1, 0) };
        world.rival(tenant(1), received, &[theirs, span(1, 3, 1)]);
        let mut expected = [seen, "span 2", "span 3"];
        expected.sort_unstable();
        assert_eq!(names(&session(&world).await).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn of_one_span_in_the_memory_of_two_writers_the_finished_one_is_seen() {
    let world = World::new();
    world.writer(5, vec![fresh(tenant(1), &[span(1, 1, 0)], &[])]);
    world.rival(tenant(1), 1, &[Span { name: "running".into(), end: None, ..span(1, 1, 0) }]);
    assert_eq!(names(&session(&world).await).await.unwrap(), ["span 1"]);
}

#[tokio::test]
async fn a_span_comes_back_as_it_was_written() {
    let world = World::new();
    let full = Span { tags: vec!["a".into(), "b".into()], input: Some("hello".into()), ..span(1, 1, 0) };
    world.file(tenant(1), 1, std::slice::from_ref(&full), &[]).await;
    let session = session(&world).await;
    let batches = session.collect(session.frame().unwrap()).await.unwrap();
    assert_eq!(decode(&batches[0]).unwrap(), [full]);
}

#[tokio::test]
async fn attributes_are_whole_to_whoever_reads_or_filters_them() {
    let world = World::new();
    let question = "why was the parcel to \"Lisbon\" sent back to the warehouse, and when will it leave again?";
    let sent = |byte| {
        let attributes = format!("{{\"input.value\":{question:?},\"number\":{byte}}}");
        Span { attributes, input: Some(question.into()), ..span(1, byte, 0) }
    };
    world.file(tenant(1), 1, &[sent(1), sent(2)], &[sent(1).key()]).await;
    world.file(tenant(1), 2, &[sent(3)], &[sent(2).key()]).await;
    world.writer(5, vec![fresh(tenant(1), &[sent(4)], &[])]);
    let session = session(&world).await;
    let wanted = col("attributes").eq(lit(sent(3).attributes)).or(col("attributes").eq(lit(sent(4).attributes)));
    let found = session.frame().unwrap().filter(wanted).unwrap().select(vec![col("attributes")]).unwrap();
    let batches = session.collect(found).await.unwrap();
    let texts = batches.iter().flat_map(|batch| batch.column(0).as_string_view().iter().flatten());
    let mut texts: Vec<_> = texts.map(str::to_owned).collect();
    texts.sort();
    assert_eq!(texts, [sent(3).attributes, sent(4).attributes]);
}

#[tokio::test]
async fn an_empty_tenant_has_an_empty_table() {
    assert_eq!(names(&session(&World::new()).await).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn rows_outside_the_range_are_not_seen_to_the_nanosecond() {
    let world = World::new();
    let later = Span { start: at(1).plus(std::time::Duration::from_nanos(7)), ..span(1, 3, 1) };
    world.file(tenant(1), 1, &[span(1, 1, 0), span(1, 2, 1), later], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &[span(1, 4, 0), span(1, 5, 2)], &[])]);
    let nanos = |nanos| at(1).plus(std::time::Duration::from_nanos(nanos));
    for (end, seen) in [(nanos(7), vec!["span 2"]), (nanos(8), vec!["span 2", "span 3"])] {
        let request = SnapshotRequest { range: TimeRange::new(at(1), end).unwrap(), ..all() };
        let session = engine(&world).snapshot(&caller(1, 1), &request).await.unwrap();
        assert_eq!(names(&session).await.unwrap(), seen);
    }
}

#[tokio::test]
async fn a_replaced_row_is_hidden_in_older_files_only() {
    let world = World::new();
    let again = Span { name: "span 1 again".into(), ..span(1, 1, 0) };
    world.file(tenant(1), 1, &[span(1, 1, 0), span(1, 2, 0)], &[]).await;
    world.file(tenant(1), 2, std::slice::from_ref(&again), &[again.key()]).await;
    assert_eq!(names(&session(&world).await).await.unwrap(), ["span 1 again", "span 2"]);

    let third = Span { name: "span 1 in memory".into(), ..span(1, 1, 0) };
    world.writer(0, vec![fresh(tenant(1), std::slice::from_ref(&third), &[third.key()])]);
    assert_eq!(names(&session(&world).await).await.unwrap(), ["span 1 in memory", "span 2"]);
}

#[tokio::test]
async fn a_replaced_row_stays_hidden_when_a_filter_would_find_it() {
    let world = World::new();
    let renamed = Span { name: "new".into(), ..span(1, 1, 0) };
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    world.file(tenant(1), 2, std::slice::from_ref(&renamed), &[renamed.key()]).await;
    let session = session(&world).await;
    let old = session.frame().unwrap().filter(col("name").eq(lit("span 1"))).unwrap();
    let old = old.select(vec![col("name")]).unwrap();
    assert_eq!(session.collect(old).await.unwrap().iter().map(|batch| batch.num_rows()).sum::<usize>(), 0);
}

#[tokio::test]
async fn a_stale_answer_is_asked_for_again_over_a_new_file_list() {
    let world = World::new();
    world.writer(0, vec![Ok(Fresh::Stale), Ok(Fresh::Stale), fresh(tenant(1), &[span(1, 1, 0)], &[])]);
    assert_eq!(names(&session(&world).await).await.unwrap(), ["span 1"]);
    assert_eq!(*world.catalog_reads.lock().unwrap(), 3);

    world.writer(0, vec![Ok(Fresh::Stale)]);
    let error = engine(&world).snapshot(&caller(1, 1), &all()).await.unwrap_err();
    assert!(matches!(error, Error::Unsettled { rounds: 5 }));
    assert_eq!(Fault::from(error).code, Code::ServiceUnavailable);
}

#[tokio::test]
async fn a_writer_that_is_away_fails_the_query_rather_than_hide_rows() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    world.writer(0, vec![away()]);
    let error = engine(&world).snapshot(&caller(1, 1), &all()).await.unwrap_err();
    assert_eq!(Fault::from(error).code, Code::ServiceUnavailable);
}

#[tokio::test]
async fn a_receipt_is_shown_to_the_writer_that_gave_it() {
    let world = World::new();
    world.writer(3, vec![fresh(tenant(1), &[], &[])]);
    let stranger = spanlake_model::WriterId::from_bytes([8; 16]);
    for (writer, reached) in [(WRITER, 42), (stranger, 0)] {
        let request = SnapshotRequest { after: Some(Receipt { writer, sequence: 42 }), ..all() };
        engine(&world).snapshot(&caller(1, 1), &request).await.unwrap();
        assert_eq!(world.asked.lock().unwrap().last().unwrap().reach_sequence, reached);
    }
}

#[tokio::test]
async fn another_tenants_row_stops_the_query_wherever_it_comes_from() {
    for in_memory in [false, true] {
        let world = World::new();
        world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
        if in_memory {
            world.writer(0, vec![fresh(tenant(2), &[span(1, 9, 0)], &[])]);
        } else {
            world.file(tenant(2), 2, &[span(1, 9, 0)], &[]).await;
        }
        let engine = engine(&world);
        let session = engine.snapshot(&caller(1, 1), &all()).await.unwrap();
        // Also when the query never asks for the tenant.
        let narrow = session.frame().unwrap().select(vec![col("name")]).unwrap();
        let error = session.collect(narrow).await.unwrap_err();
        assert!(matches!(error, Error::Trespass), "{error:?}");
        assert_eq!(Fault::from(error).code, Code::InternalError);
        assert!(engine.trespasses() > 0);
    }
}

#[tokio::test]
async fn a_session_has_no_way_to_the_machines_files_or_another_table() {
    let session = session(&World::new()).await;
    let (state, _) = session.frame().unwrap().into_parts();
    assert!(state.catalog_list().catalog_names().is_empty());
    assert!(state.scalar_functions().is_empty() && state.table_functions().is_empty());
    let local = spanlake_engine::datafusion::execution::object_store::ObjectStoreUrl::local_filesystem();
    assert!(state.runtime_env().object_store(&local).is_err());
}

fn is_trace(id: TraceId) -> Expr {
    col("trace_id").eq(lit(ScalarValue::FixedSizeBinary(16, Some(id.as_bytes().to_vec()))))
}

/// A figure of the executed plan, summed over its scans.
async fn figure(session: &TenantSession, filter: Expr, name: &str) -> (usize, usize) {
    let frame = session.frame().unwrap().filter(filter).unwrap().select(vec![col("name")]).unwrap();
    let context = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await.unwrap();
    let rows = spanlake_engine::datafusion::physical_plan::collect(plan.clone(), context).await.unwrap();
    (rows.iter().map(|batch| batch.num_rows()).sum(), scans(&*plan, name))
}

fn scans(plan: &dyn spanlake_engine::datafusion::physical_plan::ExecutionPlan, name: &str) -> usize {
    use spanlake_engine::datafusion::physical_plan::metrics::MetricValue;
    let own = plan.metrics().into_iter().flat_map(|metrics| {
        metrics
            .iter()
            .filter(|metric| metric.value().name() == name)
            .map(|metric| match metric.value() {
                MetricValue::PruningMetrics { pruning_metrics, .. } => pruning_metrics.pruned(),
                value => value.as_usize(),
            })
            .collect::<Vec<_>>()
    });
    own.sum::<usize>() + plan.children().into_iter().map(|child| scans(&**child, name)).sum::<usize>()
}

#[tokio::test]
async fn a_trace_id_is_looked_up_by_bloom_filter() {
    let world = World::new();
    // Ids 1 and 200 in every group of rows, so that bounds prune nothing.
    let spans: Vec<_> = (0..16).map(|place| span(if place % 2 == 0 { 1 } else { 200 }, place + 1, 0)).collect();
    world.file(tenant(1), 1, &spans, &[]).await;
    let session = session(&world).await;
    assert_eq!(figure(&session, is_trace(trace(77)), "row_groups_pruned_bloom_filter").await, (0, 4));
    assert_eq!(figure(&session, is_trace(trace(200)), "row_groups_pruned_bloom_filter").await, (8, 0));
}

#[tokio::test]
async fn a_filter_reaches_the_files_even_beside_rows_in_memory_and_hidden_ones() {
    let world = World::new();
    let spans: Vec<_> = (0..16).map(|place| span(if place % 2 == 0 { 1 } else { 200 }, place + 1, 0)).collect();
    world.file(tenant(1), 1, &spans, &[]).await;
    world.writer(0, vec![fresh(tenant(1), &[span(1, 30, 0)], &[spans[0].key()])]);
    let session = session(&world).await;
    assert_eq!(figure(&session, is_trace(trace(77)), "row_groups_pruned_bloom_filter").await, (0, 4));
    let name = col("name").eq(lit("span 5"));
    // Bounds of names leave one group of four rows, and the filter inside the reader one of those.
    assert_eq!(figure(&session, name, "pushdown_rows_pruned").await, (1, 3));
}

#[tokio::test]
async fn a_start_prunes_groups_of_rows() {
    let world = World::new();
    let spans: Vec<_> = (0..16).map(|place| span(1, place + 1, u64::from(place) * 60)).collect();
    world.file(tenant(1), 1, &spans, &[]).await;
    let session = session(&world).await;
    let late = spanlake_engine::starts_in(TimeRange::new(at(13 * 60), at(99 * 60)).unwrap());
    assert_eq!(figure(&session, late, "row_groups_pruned_statistics").await, (3, 3));
    assert_eq!(spans[0].span_id, id(1));
}

#[tokio::test]
async fn spans_and_scores_are_of_one_instant() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    let request = SnapshotRequest { table: Table::Spans, range: TimeRange::all(), after: None };
    world.engine(Config::default()).snapshot_with_scores(&caller(1, 1), &request).await.unwrap();
    assert_eq!(*world.catalog_reads.lock().unwrap(), 1);
}
