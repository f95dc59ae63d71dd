//! Which usage counts, in groups that cut through traces, and within bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::sum;
use spanlake_engine::datafusion::prelude::col;
use spanlake_engine::{Config, Error, SnapshotRequest, TenantSession, Uncounted, distinct, reports};
use spanlake_model::{Code, Fault, Kind, Span, Table, TimeRange, TraceId, Usage};

use crate::world::{World, caller, fresh, id, span, tenant};

async fn session(world: &Arc<World>, config: Config) -> TenantSession {
    let all = SnapshotRequest { table: Table::Spans, range: TimeRange::all(), after: None };
    world.engine(config).snapshot(&caller(1, 1), &all).await.unwrap()
}

/// Traces all over the range of ids: an agent that repeats its two calls, one of them reported twice.
async fn world() -> Arc<World> {
    let world = World::new();
    let spans = |number: u8| {
        let trace_id = TraceId::from_bytes([number.wrapping_mul(37).max(1); 16]).unwrap();
        let used = |tokens| Usage { input: Some(tokens), ..Usage::default() };
        let at = |place: u8, kind: &str, tokens| Span {
            trace_id,
            parent_span_id: (place > 1).then(|| id(1)),
            kind: Kind::new(kind),
            model: Some(format!("m{}", place % 2)),
            usage: used(tokens),
            ..span(1, place, u64::from(number))
        };
        let twice = |place| Span { response_id: Some("r".into()), ..at(place, Kind::LLM, 20) };
        vec![at(1, Kind::AGENT, 120), at(2, Kind::LLM, 100), twice(3), twice(4)]
    };
    let all: Vec<_> = (1..=40).flat_map(spans).collect();
    let (files, memory) = all.split_at(100);
    world.file(tenant(1), 1, files, &[]).await;
    world.writer(0, vec![fresh(tenant(1), memory, &[])]);
    world
}

async fn tokens_by_model(session: &TenantSession) -> Result<BTreeMap<String, i64>, Error> {
    let spans = session.priced(session.frame()?)?;
    let uncounted = Uncounted::among(session, spans.clone()).await?;
    let counted = spans.filter(uncounted.counts().and(reports()))?;
    let sums = counted.aggregate(vec![col("model")], vec![sum(col("input_tokens"))])?;
    let mut tokens = BTreeMap::new();
    for batch in session.collect(sums).await? {
        let (models, sums) = (batch.column(0).as_string_view(), batch.column(1).as_primitive::<Int64Type>());
        tokens.extend((0..batch.num_rows()).map(|row| (models.value(row).to_owned(), sums.value(row))));
    }
    Ok(tokens)
}

#[tokio::test]
async fn in_one_round_or_many_the_sums_of_groups_are_the_whole() {
    let world = world().await;
    for tree_rows in [1_000_000, 100, 7, 1] {
        let session = session(&world, Config { tree_rows, ..Config::default() }).await;
        let tokens = tokens_by_model(&session).await.unwrap();
        assert_eq!(tokens.values().sum::<i64>(), 40 * 120, "{tree_rows}: {tokens:?}");
        assert!(tokens["m0"] >= 40 * 100, "an agent's span is not counted: {tokens:?}");
    }
}

#[tokio::test]
async fn trees_that_need_more_than_the_querys_memory_are_refused_with_advice() {
    let world = world().await;
    let session = session(&world, Config { query_memory_bytes: 4_096, ..Config::default() }).await;
    let spans = session.priced(session.frame().unwrap()).unwrap();
    let error = Uncounted::among(&session, spans).await.unwrap_err();
    assert!(matches!(error, Error::QueryMemory { bytes: 4_096 }), "{error:?}");
    assert_eq!(Fault::from(error).code, Code::InvalidQueryParams);
}

#[tokio::test]
async fn values_are_counted_over_files_and_memory_together() {
    let world = world().await;
    let session = session(&world, Config::default()).await;
    let columns = vec![distinct(col("trace_id")).alias("traces"), distinct(col("model"))];
    // Of all, and of groups: two ways through the engine.
    for groups in [vec![], vec![col("kind")]] {
        let frame = session.frame().unwrap().aggregate(groups.clone(), columns.clone()).unwrap();
        for batch in session.collect(frame).await.unwrap() {
            let [traces, models] =
                [0, 1].map(|place| batch.column(groups.len() + place).as_primitive::<Int64Type>().clone());
            for row in 0..batch.num_rows() {
                assert_eq!(traces.value(row), 40);
                let is_agent = groups.len() == 1 && batch.column(0).as_string_view().value(row) == Kind::AGENT;
                assert_eq!(models.value(row), if is_agent { 1 } else { 2 });
            }
        }
    }
}
