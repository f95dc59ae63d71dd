//! What export reads.

use futures::TryStreamExt;
use spanlake_model::{Position, Receipt, Score, Span, SpanFilter, TimeRange};
use spanlake_proto::query::{SCORES, ScanRequest, SpanSource};
use spanlake_query::Config;
use spanlake_store::rows::{decode, texts};
use spanlake_store::schema;

use crate::face::service;
use crate::pages::score;
use crate::world::{WRITER, World, app, caller, fresh, span, tenant};

fn request() -> ScanRequest {
    ScanRequest {
        range: TimeRange::all(),
        filter: SpanFilter::default(),
        after: None,
        limit: 100,
        without_io: false,
        receipt: None,
    }
}

async fn scan(world: &std::sync::Arc<World>, request: ScanRequest) -> (u64, Vec<Span>) {
    // Chunks so small that every scan has several.
    let service = service(world, Config { scan_chunk_rows: 3, ..Config::default() });
    let scan = service.scan(&caller(1, 1), request).await.unwrap();
    let (rows, last) = (scan.rows, scan.last);
    let batches: Vec<_> = scan.batches.try_collect().await.unwrap();
    for batch in &batches {
        let (all, own) = (batch.schema(), schema::spans());
        assert_eq!(
            (&all.fields()[..own.fields().len()], all.fields().len()),
            (&own.fields()[..], own.fields().len() + 1)
        );
        assert_eq!(all.fields().last().unwrap().name(), SCORES);
    }
    let spans: Vec<Span> = batches.iter().flat_map(|batch| decode(batch).unwrap()).collect();
    let end = spans.last().map(|span| Position { start: span.start, trace_id: span.trace_id, span_id: span.span_id });
    assert_eq!((rows, last), (spans.len() as u64, end), "what was announced is what came");
    (scan.total, spans)
}

/// Ten spans, many at the same instant, of which two lie in memory; and one of another app.
async fn world() -> (std::sync::Arc<World>, Vec<Span>) {
    let world = World::new();
    let mut spans: Vec<_> = (1..=10)
        .map(|byte| Span {
            input: Some(format!("input {byte}")),
            metadata: format!(r#"{{"n":{byte}}}"#),
            tags: vec!["t".into()],
            ..span(1 + byte % 3, byte, u64::from(byte / 4))
        })
        .collect();
    world.file(tenant(1), 1, &spans[..5], &[]).await;
    world.file(tenant(1), 2, &[&spans[5..8], &[Span { app_id: app(2), ..span(1, 99, 0) }]].concat(), &[]).await;
    world.writer(0, vec![fresh(tenant(1), &spans[8..], &[])]);
    spans.sort_by_key(|span| std::cmp::Reverse((span.start, span.trace_id, span.span_id)));
    (world, spans)
}

#[tokio::test]
async fn a_scan_brings_full_rows_newest_first_and_counts_them_all() {
    let (world, spans) = world().await;
    assert_eq!(scan(&world, request()).await, (10, spans.clone()));
    assert_eq!(scan(&world, ScanRequest { limit: 4, ..request() }).await, (10, spans[..4].to_vec()));
    assert_eq!(scan(&world, ScanRequest { limit: 0, ..request() }).await, (10, vec![]));
}

#[tokio::test]
async fn a_scan_goes_on_where_the_one_before_ended() {
    let (world, spans) = world().await;
    let last = &spans[3];
    let after = Some(Position { start: last.start, trace_id: last.trace_id, span_id: last.span_id });
    assert_eq!(scan(&world, ScanRequest { after, ..request() }).await, (10, spans[4..].to_vec()));
}

#[tokio::test]
async fn a_scan_without_io_has_neither_input_nor_output() {
    let (world, spans) = world().await;
    let (_, bare) = scan(&world, ScanRequest { without_io: true, ..request() }).await;
    let without: Vec<_> = spans.into_iter().map(|span| Span { input: None, ..span }).collect();
    assert_eq!(bare, without);
}

#[tokio::test]
async fn a_scan_takes_every_field_of_its_filter() {
    let (world, _) = world().await;
    let one = |filter| scan(&world, ScanRequest { filter, ..request() });
    let metadata = SpanFilter { metadata: Some(("n".into(), "7".into())), ..SpanFilter::default() };
    assert_eq!(one(metadata).await.1[0].name, "span 7");
    let part = SpanFilter { name_contains: Some("PAN 1".into()), ..SpanFilter::default() };
    assert_eq!(one(part).await.0, 2);
    let wild = SpanFilter { name_contains: Some("s%n".into()), ..SpanFilter::default() };
    assert_eq!(one(wild).await.0, 0);
    let said = SpanFilter { filter: "metadata.n >= 7 and input exists".parse().unwrap(), ..SpanFilter::default() };
    assert_eq!(one(said).await.0, 4);
}

#[tokio::test]
async fn a_receipt_reaches_the_writer() {
    let world = World::new();
    world.writer(0, vec![fresh(tenant(1), &[span(1, 1, 0)], &[])]);
    let receipt = Some(Receipt { writer: WRITER, sequence: 7 });
    assert_eq!(scan(&world, ScanRequest { receipt, ..request() }).await.0, 1);
    assert_eq!(world.asked.lock().unwrap().pop().unwrap().reach_sequence, 7);
}

#[tokio::test]
async fn a_row_says_its_own_scores_and_else_those_of_its_trace() {
    let (world, spans) = world().await;
    // A trace with several spans, of which one was judged itself.
    let (of_trace, judged) = (spans[0].trace_id, spans[0].span_id);
    let mut given =
        [("quality", 0.5, None), ("tone", 2.0, None), ("quality", 0.8, Some(judged)), ("quality", 1.0, Some(judged))]
            .map(|(name, value, span_id)| Score {
                trace_id: Some(of_trace),
                span_id,
                name: name.into(),
                value: Some(value),
                ..score(&format!("{name} {value}"))
            })
            .to_vec();
    // Of a session, and one without a number.
    given.push(Score { session_id: Some("s".into()), value: Some(9.0), ..score("session") });
    given.push(Score { trace_id: Some(of_trace), label: Some("fine".into()), ..score("label") });
    world.scores.lock().unwrap().extend(given);
    let service = service(&world, Config { scan_chunk_rows: 3, ..Config::default() });
    let scan = service.scan(&caller(1, 1), request()).await.unwrap();
    let batches: Vec<_> = scan.batches.try_collect().await.unwrap();
    let said =
        batches.iter().flat_map(|batch| texts(batch, SCORES).unwrap().iter().map(|text| text.map(str::to_owned)));
    let expected = spans.iter().map(|span| match (span.trace_id == of_trace, span.span_id == judged) {
        (true, true) => Some(r#"{"quality":0.9,"tone":2.0}"#.to_owned()),
        (true, false) => Some(r#"{"quality":0.5,"tone":2.0}"#.to_owned()),
        (false, _) => None,
    });
    assert_eq!(said.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}
