//! What export reads.

use futures::TryStreamExt;
use spanlake_model::{Position, Receipt, Span, SpanFilter, TimeRange};
use spanlake_proto::query::{ScanRequest, SpanSource};
use spanlake_query::Config;
use spanlake_store::{rows::decode, schema};

use crate::face::service;
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
    assert!(batches.iter().all(|batch| batch.schema() == schema::spans()));
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
