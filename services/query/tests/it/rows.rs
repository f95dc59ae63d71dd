//! What files for a warehouse are made of.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use futures::TryStreamExt;
use spanlake_model::{
    AgentId, Caller, Day, Filter, Receipt, Score, Span, SpanFilter, SpanId, TimeRange, Trace, TraceId, WriterId,
};
use spanlake_proto::query::{FITS, RowSource, RowsOf, RowsRequest, SCORES, Window};
use spanlake_query::Config;
use spanlake_store::rows::{decode, decode_scores, decode_traces};

use crate::face::service;
use crate::pages::score;
use crate::world::{WRITER, World, app, at, caller, fresh, id, span, tenant, trace};

const DAY_SECONDS: u64 = 86_400;

fn request(window: Option<Window>) -> RowsRequest {
    RowsRequest { window, ..RowsRequest::of(RowsOf::Spans) }
}

fn after(sequence: u64) -> Window {
    Window { after: vec![Receipt { writer: WRITER, sequence }], ..Window::default() }
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
async fn an_agent_hears_nothing_of_others_not_even_their_keys() {
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
    assert_eq!((ids(&spans), others), (of(&[2]), vec![]));
    let (spans, others) = rows_as(&world, &caller, request(Some(after(1)))).await;
    assert_eq!((spans, others), (vec![], vec![]), "what has become another's is the other's");
    let unlike = SpanFilter { kind: Some("llm".into()), ..SpanFilter::default() };
    let (spans, others) = rows_as(&world, &caller, RowsRequest { filter: unlike, ..request(Some(after(0))) }).await;
    assert_eq!((spans, others), (vec![], of(&[2])), "its own that does not fit is");
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

/// Traces that fit, by when they began; ids of those that do not.
async fn traces_as(world: &std::sync::Arc<World>, caller: &Caller, request: RowsRequest) -> (Vec<Trace>, Vec<TraceId>) {
    let rows = service(world, Config::default()).rows(caller, request).await.unwrap();
    assert_eq!(rows.through, [Receipt { writer: WRITER, sequence: 9 }]);
    let batches: Vec<RecordBatch> = rows.batches.try_collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64, rows.total, "as announced");
    let (mut fitting, mut others) = (Vec::new(), Vec::new());
    for batch in &batches {
        let fits = batch.column_by_name(FITS).unwrap().as_boolean();
        for (trace, fits) in decode_traces(batch).unwrap().into_iter().zip(fits) {
            if fits.unwrap() { fitting.push(trace) } else { others.push(trace.id) }
        }
    }
    assert!(fitting.is_sorted_by_key(|trace| trace.start), "day by day");
    (fitting, others)
}

async fn traces(world: &std::sync::Arc<World>, request: RowsRequest) -> (Vec<Trace>, Vec<TraceId>) {
    traces_as(world, &caller(1, 1), request).await
}

fn of_traces(window: Option<Window>) -> RowsRequest {
    RowsRequest { window, ..RowsRequest::of(RowsOf::Traces) }
}

fn trace_ids(traces: &[Trace]) -> Vec<TraceId> {
    let mut ids: Vec<_> = traces.iter().map(|trace| trace.id).collect();
    ids.sort();
    ids
}

/// Scores of trace 3 and of span 4, which is of trace 2 and does not say so.
fn some_scores() -> [Score; 2] {
    let of_trace = Score { trace_id: Some(trace(3)), value: Some(0.9), ..score("one") };
    let of_span = Score { span_id: Some(id(4)), value: Some(0.1), ..score("two") };
    [of_trace, of_span]
}

/// The window that begins after these frames of spans and of scores.
fn after_scores(sequence: u64, scores: u64) -> Window {
    Window { scores_after: vec![Receipt { writer: WRITER, sequence: scores }], ..after(sequence) }
}

#[tokio::test]
async fn a_trace_is_told_as_lists_show_it() {
    let world = world().await;
    world.scores.lock().unwrap().extend(some_scores());
    let (told, others) = traces(&world, of_traces(None)).await;
    assert_eq!((told.len(), others), (3, vec![]));
    let shown = crate::face::face(&world).ok("/v1/traces?start_date=2026-01-01&end_date=2026-01-10").await;
    let shown = shown["data"].as_array().unwrap();
    for trace in &told {
        let id = trace.id.to_string();
        let row = shown.iter().find(|row| row["id"] == id.as_str()).unwrap();
        let said = serde_json::json!([
            trace.name,
            trace.status.as_str(),
            trace.start.to_string(),
            trace.end.map(|end| end.to_string()),
            trace.span_count,
            trace.error_count,
            trace.input_preview,
            trace.scores,
        ]);
        let fields = ["name", "status", "start", "end", "span_count", "error_count", "input_preview", "scores"]
            .map(|it| row[it].clone());
        assert_eq!(said, serde_json::Value::from(fields.to_vec()), "{row}");
    }
    assert_eq!(told.iter().filter(|trace| !trace.scores.is_empty()).count(), 2, "scores among them");
}

#[tokio::test]
async fn a_trace_is_told_whole_when_it_begins_in_the_range_and_fits() {
    let world = world().await;
    let first_day = TimeRange::new(at(0), at(DAY_SECONDS)).unwrap();
    let (told, _) = traces(&world, RowsRequest { range: first_day, ..of_traces(None) }).await;
    assert_eq!(trace_ids(&told), [trace(1), trace(2), trace(3)]);
    let third = told.iter().find(|told| told.id == trace(3)).unwrap();
    assert_eq!((third.span_count, third.end), (3, Some(at(DAY_SECONDS + 9))), "with its span of the next day");
    let second_day = TimeRange::new(at(DAY_SECONDS), at(2 * DAY_SECONDS)).unwrap();
    assert_eq!(traces(&world, RowsRequest { range: second_day, ..of_traces(None) }).await, (vec![], vec![]));
    for (name, fitting) in [("newer", vec![trace(2)]), ("span 4", vec![])] {
        let filter = SpanFilter { filter: format!("name = '{name}'").parse().unwrap(), ..SpanFilter::default() };
        let (told, others) = traces(&world, RowsRequest { filter, ..of_traces(None) }).await;
        assert_eq!((trace_ids(&told), others), (fitting, vec![]), "a trace's name is its first root's");
    }
    let filter = SpanFilter { filter: "latency_ms > 60000".parse().unwrap(), ..SpanFilter::default() };
    let (told, others) = traces(&world, RowsRequest { filter, ..of_traces(Some(Window::default())) }).await;
    assert_eq!(
        (trace_ids(&told), others.len()),
        (vec![trace(3)], 2),
        "in a window those that do not fit are told by their ids"
    );
}

#[tokio::test]
async fn a_trace_is_told_again_when_its_spans_or_scores_change() {
    let world = world().await;
    world.scores.lock().unwrap().extend(some_scores());
    let told = async |window: Window| trace_ids(&traces(&world, of_traces(Some(window))).await.0);
    // Frame 2 holds a newer span 1, of trace 2; memory, which is frame 9, spans 7 and 8 of traces 2 and 3.
    assert_eq!(told(after_scores(2, 9)).await, [trace(2), trace(3)]);
    assert_eq!(told(after_scores(9, 9)).await, []);
    assert_eq!(told(after_scores(9, 8)).await, [trace(2), trace(3)], "a score of a span is one of its trace");
    assert_eq!(told(Window { again: vec![trace(1)], ..after_scores(9, 9) }).await, [trace(1)]);
    assert_eq!(told(Window { again: vec![trace(9)], ..after_scores(9, 9) }).await, [], "what is not there is not told");
    assert_eq!(told(after(9)).await.len(), 2, "scores that were never told are new");
}

#[tokio::test]
async fn an_agents_traces_are_what_its_own_spans_come_to() {
    let world = World::new();
    let owned =
        |agent: u8, byte| Span { agent_id: Some(AgentId::from_bytes([agent; 16])), ..span(1, byte, u64::from(byte)) };
    world.file(tenant(1), 1, &[owned(7, 1), owned(8, 2), Span { trace_id: trace(2), ..owned(8, 3) }], &[]).await;
    world.writer(2, vec![fresh(tenant(1), &[], &[])]);
    let all = caller(1, 1);
    let seventh = Some(AgentId::from_bytes([7; 16]));
    let caller = Caller::verified(all.tenant(), all.app(), seventh, all.scopes(), all.principal());
    for window in [None, Some(after_scores(0, 0))] {
        let (told, others) = traces_as(&world, &caller, of_traces(window)).await;
        assert_eq!((trace_ids(&told), told[0].span_count, others), (vec![trace(1)], 1, vec![]));
    }
}

#[tokio::test]
async fn spans_that_are_chosen_by_scores_are_told_again_when_these_change() {
    let world = world().await;
    world.scores.lock().unwrap().extend(some_scores());
    let filter = SpanFilter { filter: "score__quality >= 0.5".parse().unwrap(), ..SpanFilter::default() };
    let asked = |window| RowsRequest { filter: filter.clone(), ..request(Some(window)) };
    let (spans, others) = rows(&world, asked(after_scores(9, 8))).await;
    assert_eq!((ids(&spans), others), (of(&[2, 5, 8]), of(&[1, 4, 7])), "all of the scored traces, whichever now fit");
    assert_eq!(rows(&world, asked(after_scores(9, 9))).await, (vec![], vec![]));
}

#[tokio::test]
async fn what_scores_say_stands_beside_spans_that_asked_for_it() {
    let world = world().await;
    world.scores.lock().unwrap().extend(some_scores());
    let request = RowsRequest { with_scores: true, ..request(Some(after_scores(9, 8))) };
    let rows = service(&world, Config::default()).rows(&caller(1, 1), request).await.unwrap();
    assert_eq!(rows.scores_through, [Receipt { writer: WRITER, sequence: 9 }]);
    let mut said = std::collections::BTreeMap::new();
    for batch in rows.batches.try_collect::<Vec<_>>().await.unwrap() {
        let scores = batch.column_by_name(SCORES).unwrap().as_string_view();
        for (span, scores) in decode(&batch).unwrap().iter().zip(scores) {
            said.insert(span.span_id, scores.map(str::to_owned));
        }
    }
    let text = |value: f64| Some(format!(r#"{{"quality":{value}}}"#));
    let expected = [(1, None), (2, text(0.9)), (4, text(0.1)), (5, text(0.9)), (7, None), (8, text(0.9))];
    assert_eq!(said, expected.map(|(byte, said)| (id(byte), said)).into());
}

#[tokio::test]
async fn scores_are_chosen_by_what_they_have() {
    let world = world().await;
    let [one, two] = some_scores();
    let labelled = Score { label: Some("good".into()), source: "annotation".into(), ..score("three") };
    world.scores.lock().unwrap().extend([one, two, labelled]);
    for (filter, fit, unfit) in [
        ("value >= 0.5", vec!["one"], vec!["three", "two"]),
        ("name = quality and source = annotation", vec!["three"], vec!["one", "two"]),
        ("label exists", vec!["three"], vec!["one", "two"]),
        ("value != 0.1", vec!["one", "three"], vec!["two"]),
        ("span_id = 0404040404040404", vec!["two"], vec!["one", "three"]),
    ] {
        let score_filter = Filter::of_scores(filter).unwrap();
        for window in [None, Some(after(8))] {
            let is_window = window.is_some();
            let request = RowsRequest { window, score_filter: score_filter.clone(), ..RowsRequest::of(RowsOf::Scores) };
            let rows = service(&world, Config::default()).rows(&caller(1, 1), request).await.unwrap();
            let mut found = [Vec::new(), Vec::new()];
            for batch in rows.batches.try_collect::<Vec<_>>().await.unwrap() {
                let fits = batch.column_by_name(FITS).unwrap().as_boolean();
                for (score, fits) in decode_scores(&batch).unwrap().into_iter().zip(fits) {
                    found[usize::from(!fits.unwrap())].push(score.id);
                }
            }
            found.iter_mut().for_each(|ids| ids.sort());
            let others = if is_window { unfit.clone() } else { vec![] };
            assert_eq!(found, [fit.clone(), others], "{filter}");
        }
    }
}
