//! Files that older versions wrote are read for ever: a sample of each version of each format, and what it holds.
//!
//! All samples of a format hold the same, so that one text says what is expected of each. The first ones were written by
//! the first version; a later one is made from the first by `write_the_missing_samples`, once, when a format is new.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use spanlake_model::{
    AgentId, AppId, Day, FileId, Score, Span, SpanId, SystemEntropy, Table, TenantId, Timestamp, TraceId, WriterId,
};
use spanlake_store::disk::LocalDisk;
use spanlake_store::log::{self, Frame, Log};
use spanlake_store::rows::{Origin, Row, ScoreRow, decode, decode_scores, encode, encode_scores};
use spanlake_store::{file, schema};
use spanlake_testkit::TemporaryFolder;

/// Whose the samples are.
const WRITER: &str = "01a21b79-254b-7ac6-8b35-9f4c0d42ea30";
const TENANT: &str = "01a21b79-2635-7c41-8b5b-fd2a3a1120ae";
const SEGMENT: &str = "00000000000000000001.log";

#[test]
fn every_version_of_a_log_segment_is_read() {
    for version in 1..=log::FORMAT_VERSION {
        let bytes = sample(&format!("log-{version}.log"));
        assert!(bytes.starts_with(format!("SPANLOG{version}").as_bytes()), "version {version}");
        assert_text("log.txt", &shown_frames(&frames(&bytes)), version);
    }
}

#[tokio::test]
async fn every_version_of_a_span_file_is_read() {
    for version in 1..=schema::FORMAT_VERSION {
        let bytes = sample(&format!("spans-{version}.parquet"));
        let marked = format!("spanlake.format_version\u{18}\u{1}{version}");
        assert!(String::from_utf8_lossy(&bytes).contains(&marked), "version {version}");
        assert_text("spans.txt", &shown_spans(&spans(bytes).await), version);
    }
}

#[tokio::test]
async fn every_version_of_a_score_file_is_read() {
    for version in 1..=schema::format_version(Table::Scores) {
        let bytes = sample(&format!("scores-{version}.parquet"));
        let marked = format!("spanlake.format_version\u{18}\u{1}{version}");
        assert!(String::from_utf8_lossy(&bytes).contains(&marked), "version {version}");
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        store.put(&"sample".into(), PutPayload::from(bytes)).await.unwrap();
        let batches: Vec<_> = file::read(store, "sample", None).await.unwrap().try_collect().await.unwrap();
        let adapted = |batch| schema::adapt(Table::Scores, batch).unwrap();
        let read: Vec<_> = batches.iter().flat_map(|batch| decode_scores(&adapted(batch)).unwrap()).collect();
        assert_eq!(read, scores(), "version {version}");
    }
}

/// What samples of scores hold, in the order of their keys.
fn scores() -> [Score; 2] {
    let about_trace = Score {
        id: "mine".into(),
        app_id: AppId::from_bytes([1; 16]),
        agent_id: Some(AgentId::from_bytes([2; 16])),
        trace_id: TraceId::from_bytes([9; 16]),
        span_id: SpanId::from_bytes([8; 8]),
        session_id: None,
        name: "accuracy".into(),
        value: Some(0.1 + 0.2),
        label: None,
        comment: Some("why".into()),
        source: "api".into(),
        author: Some("01a21b79-2635-7c41-8b5b-fd2a3a1120ae".into()),
        created_at: Timestamp::from_nanos(1_763_700_000_123_456_789),
        metadata: r#"{"by":"ann"}"#.into(),
    };
    let about_session = Score {
        id: "yours".into(),
        agent_id: None,
        trace_id: None,
        span_id: None,
        session_id: Some("talk".into()),
        value: None,
        label: Some("good".into()),
        comment: None,
        author: None,
        metadata: "{}".into(),
        ..about_trace.clone()
    };
    [about_trace, about_session]
}

fn file_of_scores() -> Vec<u8> {
    let (tenant, writer): (TenantId, WriterId) = (TENANT.parse().unwrap(), WRITER.parse().unwrap());
    let row = |score: Score| ScoreRow { received_at: score.created_at, score, sequence: 1 };
    let batch = encode_scores(Origin { tenant, writer }, &scores().map(row));
    let (day, sorted) = file::sort(Table::Scores, &[batch]).unwrap().remove(0);
    let name = file::Name { tenant, table: Table::Scores, day, file: FileId::from_bytes([1; 16]) };
    file::encode(&name, &sorted, &file::Config::default()).unwrap().0
}

#[tokio::test]
#[ignore = "writes into the source tree; run once when a format's version was raised"]
async fn write_the_missing_samples() {
    let name = format!("log-{}.log", log::FORMAT_VERSION);
    if !path(&name).exists() {
        std::fs::write(path(&name), log_of(frames(&sample("log-1.log"))).await).unwrap();
    }
    let name = format!("spans-{}.parquet", schema::FORMAT_VERSION);
    if !path(&name).exists() {
        std::fs::write(path(&name), file_of(spans(sample("spans-1.parquet")).await)).unwrap();
    }
    let name = format!("scores-{}.parquet", schema::format_version(Table::Scores));
    if !path(&name).exists() {
        std::fs::write(path(&name), file_of_scores()).unwrap();
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/samples").join(name)
}

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| {
        panic!(
            "tests/samples/{name}: {error}. A format with a new version needs a sample of it: \
             cargo test -p spanlake-store --test it -- --ignored write_the_missing_samples"
        )
    })
}

fn assert_text(name: &str, shown: &str, version: impl std::fmt::Display) {
    let expected = String::from_utf8(sample(name)).unwrap();
    assert!(shown == expected, "version {version} is read as\n{shown}\nand holds\n{expected}");
}

fn frames(segment: &[u8]) -> Vec<Frame> {
    let folder = TemporaryFolder::new("sample");
    std::fs::write(folder.path().join(SEGMENT), segment).unwrap();
    std::fs::write(folder.path().join("writer"), WRITER).unwrap();
    let opened = log::open(folder.path(), Arc::new(LocalDisk), Arc::new(SystemEntropy), || unreachable!("it is named"));
    let mut frames = Vec::new();
    let recovered = opened.unwrap().recover(|frame| frames.push(frame)).unwrap();
    assert_eq!((recovered.torn_bytes, &*recovered.damage), (0, &[][..]));
    frames
}

async fn log_of(frames: Vec<Frame>) -> Vec<u8> {
    let folder = TemporaryFolder::new("sample");
    let writer: WriterId = WRITER.parse().unwrap();
    let opened = log::open(folder.path(), Arc::new(LocalDisk), Arc::new(SystemEntropy), || writer).unwrap();
    let recovered = opened.recover(|_| {}).unwrap();
    let log = Log::start(opened, recovered, log::Config::default(), |_, ()| {}).unwrap();
    for frame in frames {
        log.append(log.announce(), frame, ()).await.unwrap();
    }
    std::fs::read(folder.path().join(SEGMENT)).unwrap()
}

fn shown_frames(frames: &[Frame]) -> String {
    let shown = |frame: &Frame| {
        let Frame { sequence, tenant, app, agent, received_at, encoding, rejected, body } = frame;
        let body = std::str::from_utf8(body).unwrap();
        format!("{sequence} {tenant} {app} {agent:?} {} {encoding:?} {rejected:?}\n{body}\n", received_at.as_nanos())
    };
    frames.iter().map(shown).collect()
}

async fn spans(file: Vec<u8>) -> Vec<Span> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    store.put(&"sample".into(), PutPayload::from(file)).await.unwrap();
    let batches: Vec<_> = file::read(store, "sample", None).await.unwrap().try_collect().await.unwrap();
    let adapted = |batch| schema::adapt(Table::Spans, batch).unwrap();
    batches.iter().flat_map(|batch| decode(&adapted(batch)).unwrap()).collect()
}

fn file_of(spans: Vec<Span>) -> Vec<u8> {
    let (tenant, writer): (TenantId, WriterId) = (TENANT.parse().unwrap(), WRITER.parse().unwrap());
    let day = Day::of(spans[0].start);
    let rows: Vec<_> = spans.into_iter().map(|span| Row { received_at: span.start, span, sequence: 1 }).collect();
    let batch = encode(Origin { tenant, writer }, &rows);
    let name = file::Name { tenant, table: Table::Spans, day, file: FileId::from_bytes([1; 16]) };
    file::encode(&name, &batch, &file::Config::default()).unwrap().0
}

fn shown_spans(spans: &[Span]) -> String {
    let nanos = |time: Option<Timestamp>| time.map(Timestamp::as_nanos);
    let shown = |span: &Span| {
        let Span { trace_id, span_id, parent_span_id, name, kind, status, start, end, .. } = span;
        format!(
            "{trace_id} {span_id} {parent_span_id:?} {name} {kind:?} {status:?} {:?} {:?}\n\
             {:?} {:?} {:?} {:?} {:?} {:?}\n{:?} {:?} {:?}\n{}\n{}\n{:?}\n{:?}\n\n",
            nanos(Some(*start)),
            nanos(*end),
            span.provider,
            span.model,
            span.tool_name,
            span.usage.input,
            span.usage.output,
            span.cost.total,
            span.session_id,
            span.user_id,
            span.tags,
            span.attributes,
            span.resource,
            span.input,
            span.output,
        )
    };
    spans.iter().map(shown).collect()
}
