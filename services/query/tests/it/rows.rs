//! What files for a warehouse are made of.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use futures::TryStreamExt;
use spanlake_model::{AgentId, Caller, Day, Receipt, Score, Span, SpanFilter, SpanId, TimeRange, WriterId};
use spanlake_proto::query::{FITS, RowSource, RowsOf, RowsRequest, Window};
use spanlake_query::Config;
use spanlake_store::rows::decode;

use crate::face::service;
use crate::pages::score;
use crate::world::{WRITER, World, app, at, caller, fresh, id, span, tenant, trace};

const DAY_SECONDS: u64 = 86_400;

fn request(window: Option<Window>) -> RowsRequest {
    RowsRequest {
        of: RowsOf::Spans,
        range: TimeRange::all(),
        filter: SpanFilter::default(),
        window,
        without_details: false,
    }
}

fn after(sequence: u64) -> Window {
    Window { after: vec![Receipt { writer: WRITER, sequence }], again: Vec::new() }
}

/// Spans 1 to 3 in frame 1, 4 to 6 and a newer 1 in frame 2; 7 and 8 in memory, 8 on the next day.
async fn world() -> std::sync::Arc<World> {
    let world = World::new();
    let spans: Vec<_> = (1..=8).map(|byte| spoken(byte, if byte == 8 { DAY_SECONDS } else { 0 })).collect();
    world.file(tenant(1), 1, &[&spans[..3], &[Span { app_id: app(2), ..span(1, 99, 0) }]].concat(), &[]).await;
    let newer = Span { name: "newer".into(), ..spans[0].clone() };
    world.file(tenant(1), 2, &[&spans[3..6], std::slice::from_ref(&newer)].concat(), &[newer.key()]).await;
    world.writer(2, vec![fresh(tenant(1), &spans[6..], &[])]);
    world
}

fn spoken(byte: u8, seconds: u64) -> Span {
    let kind = if byte.is_multiple_of(2) { "llm" } else { "tool" };
    Span {
        kind: spanlake_model::Kind::new(kind),
        input: Some(format!("input {byte}")),
        attributes: format!(r#"{{"n":{byte}}}"#),
        ..span(byte % 3 + 1, byte, seconds + u64::from(byte))
    }
}

/// Spans that fit, whole; ids of those that do not; each in the order of ids.
async fn rows(world: &std::sync::Arc<World>, request: RowsRequest) -> (Vec<Span>, Vec<SpanId>) {
    rows_as(world, &caller(1, 1), request).await
}

async fn rows_as(world: &std::sync::Arc<World>, caller: &Caller, request: RowsRequest) -> (Vec<Span>, Vec<SpanId>) {
    let rows = service(world, Config::default()).rows(caller, request).await.unwrap();
    assert_eq!(rows.through, [Receipt { writer: WRITER, sequence: 9 }]);
    assert_eq!(rows.taken_at, at(12 * 3_600));
    let batches: Vec<RecordBatch> = rows.batches.try_collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64, rows.total, "as announced");
    let (mut fitting, mut others, mut days) = (Vec::new(), Vec::new(), Vec::new());
    for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
        let fits = batch.column_by_name(FITS).unwrap().as_boolean();
        for (span, fits) in decode(batch).unwrap().into_iter().zip(fits) {
            days.push(Day::of(span.start));
            if fits.unwrap() { fitting.push(span) } else { others.push(span.span_id) }
        }
    }
    assert!(days.is_sorted(), "no day comes again");
    fitting.sort_by_key(|span| span.span_id);
    others.sort();
    (fitting, others)
}

fn ids(spans: &[Span]) -> Vec<SpanId> {
    spans.iter().map(|span| span.span_id).collect()
}

fn of(bytes: &[u8]) -> Vec<SpanId> {
    bytes.iter().map(|byte| id(*byte)).collect()
}

#[tokio::test]
async fn all_rows_come_once_and_whole_day_by_day() {
    let world = world().await;
    let (spans, others) = rows(&world, request(None)).await;
    assert_eq!((ids(&spans), others), (of(&[1, 2, 3, 4, 5, 6, 7, 8]), vec![]));
    assert_eq!(spans[0].name, "newer");
    assert_eq!(spans[7], spoken(8, DAY_SECONDS));
    let filter = SpanFilter { kind: Some("llm".into()), ..SpanFilter::default() };
    let first_day = TimeRange::new(at(0), at(DAY_SECONDS)).unwrap();
    let (spans, others) = rows(&world, RowsRequest { filter, range: first_day, ..request(None) }).await;
    assert_eq!((ids(&spans), others), (of(&[2, 4, 6]), vec![]), "without a window what does not fit is not told");
}

#[tokio::test]
async fn a_window_holds_what_came_in_after_it_and_nothing_else() {
    let world = world().await;
    for (sequence, expected) in
        [(0, vec![1, 2, 3, 4, 5, 6, 7, 8]), (1, vec![1, 4, 5, 6, 7, 8]), (2, vec![7, 8]), (9, vec![])]
    {
        let (spans, others) = rows(&world, request(Some(after(sequence)))).await;
        assert_eq!((ids(&spans), others), (of(&expected), vec![]), "after {sequence}");
    }
    let everything = rows(&world, request(Some(Window::default()))).await;
    assert_eq!(everything.0.len(), 8, "nothing was exported yet");
    let stranger = Window { after: vec![Receipt { writer: WriterId::from_bytes([77; 16]), sequence: 99 }], ..after(0) };
    assert_eq!(rows(&world, request(Some(stranger))).await.0.len(), 8, "a writer that is not named is new");
}

#[tokio::test]
async fn what_does_not_fit_any_more_is_told_by_its_key() {
    let world = world().await;
    let filter = SpanFilter { kind: Some("llm".into()), ..SpanFilter::default() };
    let (spans, others) = rows(&world, RowsRequest { filter, ..request(Some(after(1))) }).await;
    assert_eq!((ids(&spans), others), (of(&[4, 6, 8]), of(&[1, 5, 7])));
    let first_day = TimeRange::new(at(0), at(DAY_SECONDS)).unwrap();
    let (spans, others) = rows(&world, RowsRequest { range: first_day, ..request(Some(after(1))) }).await;
    assert_eq!((ids(&spans), others), (of(&[1, 4, 5, 6, 7]), of(&[8])), "nor what is outside the range");
    let absent = SpanFilter { model: Some("gpt".into()), ..SpanFilter::default() };
    let (spans, others) = rows(&world, RowsRequest { filter: absent, ..request(Some(after(2))) }).await;
    assert_eq!((spans, others), (vec![], of(&[7, 8])), "a condition on what is absent does not hold");
}

#[tokio::test]
async fn what_has_left_an_agent_is_told_by_its_key() {
    let world = World::new();
    let owned = |agent: u8, byte| Span { agent_id: Some(AgentId::from_bytes([agent; 16])), ..span(1, byte, 0) };
    world.file(tenant(1), 1, &[owned(7, 1), owned(7, 2), owned(8, 3)], &[]).await;
    let moved = owned(8, 1);
    world.file(tenant(1), 2, std::slice::from_ref(&moved), &[moved.key()]).await;
    world.writer(2, vec![fresh(tenant(1), &[], &[])]);
    let all = caller(1, 1);
    let seventh = Some(AgentId::from_bytes([7; 16]));
    let caller = Caller::verified(all.tenant(), all.app(), seventh, all.scopes(), all.principal());
    let (spans, others) = rows_as(&world, &caller, request(None)).await;
    assert_eq!((ids(&spans), others), (of(&[2]), vec![]), "without a window it is as if there were no others");
    let (spans, others) = rows_as(&world, &caller, request(Some(after(1)))).await;
    assert_eq!((ids(&spans), others), (vec![], of(&[1])));
}

#[tokio::test]
async fn traces_that_are_told_again_come_wherever_they_stand() {
    let world = world().await;
    let again = Window { again: vec![trace(3)], ..after(9) };
    let (spans, _) = rows(&world, request(Some(again))).await;
    assert_eq!(ids(&spans), of(&[2, 5, 8]));
    let traces: BTreeSet<_> = spans.iter().map(|span| span.trace_id).collect();
    assert_eq!(traces, [trace(3)].into());
}

#[tokio::test]
async fn a_span_is_told_again_when_a_log_record_says_what_it_left_open() {
    let world = World::new();
    let silent = span(1, 1, 0);
    let says_all = Span { input: Some("in".into()), output: Some("out".into()), ..span(1, 2, 0) };
    let elsewhere = span(2, 3, 0);
    world.file(tenant(1), 1, &[silent, says_all, elsewhere], &[]).await;
    let record = Span {
        kind: spanlake_model::Kind::new("event"),
        log_name: Some("gen_ai.user.message".into()),
        parent_span_id: Some(id(1)),
        input: Some(r#"{"role":"user","content":"hi"}"#.into()),
        ..span(1, 9, 1)
    };
    world.writer(1, vec![fresh(tenant(1), &[record], &[])]);
    let (spans, others) = rows(&world, request(Some(after(1)))).await;
    assert_eq!(
        (ids(&spans), others),
        (of(&[1]), vec![]),
        "not those that say all, nor other traces, nor the record itself"
    );
    assert!(spans[0].input.as_ref().unwrap().contains("hi"), "{:?}", spans[0].input);
    assert_eq!(rows(&world, request(Some(after(9)))).await.0, vec![], "once");
}

#[tokio::test]
async fn rows_without_details_say_all_the_rest() {
    let world = world().await;
    let (whole, _) = rows(&world, request(None)).await;
    let (spans, _) = rows(&world, RowsRequest { without_details: true, ..request(None) }).await;
    assert!(whole.iter().all(|span| span.input.is_some() && span.attributes != "{}"));
    let bare =
        |span: Span| Span { attributes: "{}".into(), resource: "{}".into(), events: vec![], links: vec![], ..span };
    assert_eq!(spans, whole.into_iter().map(bare).collect::<Vec<_>>());
}

#[tokio::test]
async fn conditions_on_scores_choose_rows() {
    let world = world().await;
    let given = |value, trace_id, span_id: Option<u8>| Score {
        trace_id: Some(trace(trace_id)),
        span_id: span_id.map(id),
        value: Some(value),
        ..score(&format!("{value}"))
    };
    // Of trace 3, with a worse one of its span 5, and a good one of span 4 alone.
    world.scores.lock().unwrap().extend([given(0.9, 3, None), given(0.1, 3, Some(5)), given(0.7, 2, Some(4))]);
    let filter = SpanFilter { filter: "score__quality >= 0.5".parse().unwrap(), ..SpanFilter::default() };
    let (spans, others) = rows(&world, RowsRequest { filter, ..request(None) }).await;
    assert_eq!((ids(&spans), others), (of(&[2, 4, 8]), vec![]));
    assert_eq!(spans[2], spoken(8, DAY_SECONDS));
}
