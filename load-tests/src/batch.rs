//! Batches that cost next to nothing to send: encoded once, then only ids and times are overwritten.
//!
//! ```text
//! seed ─▶ Author ─▶ Pool of templates (encoded, with places)          before the clock starts
//!                      └─ template n % pool, shifted by (run, n, now) ─▶ Batch   one copy and about 5 writes a span
//! ```
//! Every batch has new trace, span and session ids: the template's, exclusive-or'ed with a mask that is different for each batch.
//! Sessions keep their ids for one pass through the pool, so that they span traces of several batches.
//! What repeats from pass to pass is the text; the report says how often.

use anyhow::{Result, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use serde::Serialize;

use crate::locate::{self, Place, Value};
use crate::random::scatter;
use crate::trace::{Author, NOW_NANOS, text};

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    /// OTLP/HTTP, application/x-protobuf.
    Protobuf,
    /// OTLP/HTTP, application/json.
    Json,
    /// OTLP/gRPC.
    Grpc,
}

/// Which spans are in a batch: per trace, the spans'.
pub(crate) type Ids = Vec<(u128, Vec<u64>)>;

/// A request ready to be sent.
pub(crate) struct Batch {
    /// Counted from 0 over the run.
    pub(crate) number: u64,
    pub(crate) spans: u64,
    pub(crate) body: Bytes,
    pub(crate) ids: Ids,
}

/// A request that is encoded once and sent many times, never twice the same.
pub(crate) struct Template {
    body: Vec<u8>,
    places: Vec<Place>,
    ids: Ids,
    spans: usize,
    encoding: Encoding,
}

impl Template {
    /// Exactly `spans` spans, in whole traces.
    pub(crate) fn write(author: &mut Author, spans: usize, encoding: Encoding) -> Result<Self> {
        let mut written = Vec::with_capacity(spans);
        let mut ids = Ids::new();
        while written.len() < spans {
            let trace = author.trace(spans - written.len());
            ids.push((number(&trace[0].trace_id), trace.iter().map(|span| number(&span.span_id) as u64).collect()));
            written.extend(trace);
        }
        let request = request(written);
        let (body, places) = match encoding {
            Encoding::Json => {
                let body = serde_json::to_vec(&request)?;
                let places = locate::in_json(&body)?;
                (body, places)
            }
            Encoding::Protobuf | Encoding::Grpc => {
                let body = request.encode_to_vec();
                let places = locate::in_protobuf(&body)?;
                (body, places)
            }
        };
        Ok(Self { body, places, ids, spans, encoding })
    }

    /// A copy with ids and times of its own. `session_pass` says which sessions it belongs to.
    pub(crate) fn batch(&self, run: u64, number: u64, session_pass: u64, now_nanos: u64) -> Batch {
        let shift = Shift::new(run, number, session_pass, now_nanos);
        let mut body = self.body.clone();
        for place in &self.places {
            overwrite(&mut body, *place, &shift, self.encoding == Encoding::Json);
        }
        let ids = self
            .ids
            .iter()
            .map(|(trace, spans)| (shift.trace(*trace), spans.iter().map(|span| shift.span(*span)).collect()))
            .collect();
        Batch { number, spans: self.spans as u64, body: body.into(), ids }
    }
}

/// Everything that is sent again and again.
pub(crate) struct Pool {
    templates: Vec<Template>,
    bytes: usize,
}

impl Pool {
    /// Writes and encodes `batches` templates of `spans` spans.
    pub(crate) fn write(seed: u64, batches: usize, spans: usize, encoding: Encoding) -> Result<Self> {
        ensure!(batches > 0 && spans > 0, "a pool needs at least one batch of one span");
        let mut author = Author::new(seed);
        let templates =
            (0..batches).map(|_| Template::write(&mut author, spans, encoding)).collect::<Result<Vec<_>>>()?;
        let bytes = templates.iter().map(|template| template.body.len()).sum();
        Ok(Self { templates, bytes })
    }

    /// Batch `number` of a run.
    pub(crate) fn batch(&self, run: u64, number: u64, now_nanos: u64) -> Batch {
        let templates = self.templates.len() as u64;
        let template = &self.templates[(number % templates) as usize];
        template.batch(run, number, number / templates, now_nanos)
    }

    /// In all templates together.
    pub(crate) fn spans(&self) -> u64 {
        self.templates.iter().map(|template| template.spans as u64).sum()
    }

    /// Of a span, in the encoding of the pool.
    pub(crate) fn average_span_bytes(&self) -> f64 {
        self.bytes as f64 / self.spans() as f64
    }
}

/// What makes a batch different from its template.
struct Shift {
    trace_mask: u128,
    span_mask: u64,
    session_mask: u64,
    now_nanos: u64,
}

impl Shift {
    fn new(run: u64, number: u64, session_pass: u64, now_nanos: u64) -> Self {
        let base = scatter(run);
        let low = scatter(base ^ number);
        Self {
            trace_mask: (u128::from(scatter(low)) << 64) | u128::from(low),
            span_mask: scatter(!low),
            session_mask: scatter(base ^ !session_pass),
            now_nanos,
        }
    }

    fn trace(&self, id: u128) -> u128 {
        (id ^ self.trace_mask).max(1)
    }

    fn span(&self, id: u64) -> u64 {
        (id ^ self.span_mask).max(1)
    }

    fn nanos(&self, nanos: u64) -> u64 {
        (nanos + self.now_nanos).saturating_sub(NOW_NANOS)
    }
}

fn overwrite(body: &mut [u8], place: Place, shift: &Shift, json: bool) {
    match place.value {
        Value::Trace(id) if json => write_hex(body, place.at, &shift.trace(id).to_be_bytes()),
        Value::Trace(id) => write(body, place.at, &shift.trace(id).to_be_bytes()),
        Value::Span(id) if json => write_hex(body, place.at, &shift.span(id).to_be_bytes()),
        Value::Span(id) => write(body, place.at, &shift.span(id).to_be_bytes()),
        Value::Nanos(nanos) if json => write_decimal(body, place.at, shift.nanos(nanos)),
        Value::Nanos(nanos) => write(body, place.at, &shift.nanos(nanos).to_le_bytes()),
        Value::Session(id) => write_hex(body, place.at, &(id ^ shift.session_mask).to_be_bytes()),
    }
}

fn write(body: &mut [u8], at: usize, bytes: &[u8]) {
    body[at..at + bytes.len()].copy_from_slice(bytes);
}

fn write_hex(body: &mut [u8], at: usize, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (index, byte) in bytes.iter().enumerate() {
        body[at + 2 * index] = DIGITS[usize::from(byte >> 4)];
        body[at + 2 * index + 1] = DIGITS[usize::from(byte & 15)];
    }
}

/// 19 digits, the length of every time from 2001 to 2286.
fn write_decimal(body: &mut [u8], at: usize, mut nanos: u64) {
    for digit in body[at..at + 19].iter_mut().rev() {
        *digit = b'0' + (nanos % 10) as u8;
        nanos /= 10;
    }
}

fn number(id: &[u8]) -> u128 {
    id.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte))
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![
            text("service.name", "agent-platform"),
            text("service.version", "2.14.0"),
            text("deployment.environment.name", "production"),
            text("telemetry.sdk.name", "opentelemetry"),
            text("telemetry.sdk.language", "python"),
            text("telemetry.sdk.version", "1.38.0"),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "spanlake-load".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    let resource_spans = ResourceSpans { resource: Some(resource), scope_spans, schema_url: String::new() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW: u64 = 1_900_000_000_123_456_789;

    fn decode(batch: &Batch, encoding: Encoding) -> Vec<Span> {
        let request = match encoding {
            Encoding::Json => serde_json::from_slice(&batch.body).unwrap(),
            _ => ExportTraceServiceRequest::decode(batch.body.clone()).unwrap(),
        };
        request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
    }

    fn keys(batch: &Batch) -> HashSet<(u128, u64)> {
        batch.ids.iter().flat_map(|(trace, spans)| spans.iter().map(|span| (*trace, *span))).collect()
    }

    #[test]
    fn the_same_seed_run_and_time_give_the_same_bytes() {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let body = |seed, run| Pool::write(seed, 2, 40, encoding).unwrap().batch(run, 3, NOW).body;
            assert_eq!(body(7, 1), body(7, 1));
            assert_ne!(body(7, 1), body(8, 1));
            assert_ne!(body(7, 1), body(7, 2));
        }
    }

    #[test]
    fn no_two_batches_of_a_run_nor_of_two_runs_share_an_id() {
        let pool = Pool::write(7, 3, 100, Encoding::Protobuf).unwrap();
        let (mut keys_seen, mut traces_seen) = (HashSet::new(), HashSet::new());
        for (run, number) in [(1, 0), (1, 1), (1, 2), (1, 3), (1, 6), (2, 0), (2, 3), (3, 0)] {
            let batch = pool.batch(run, number, NOW);
            assert_eq!(keys(&batch).len(), 100);
            assert!(keys(&batch).into_iter().all(|key| keys_seen.insert(key)));
            assert!(batch.ids.iter().all(|(trace, _)| traces_seen.insert(*trace)));
        }
    }

    #[test]
    fn a_moved_batch_holds_the_template_s_spans_with_new_ids_and_times() {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let template = Template::write(&mut Author::new(7), 60, encoding).unwrap();
            let original = Batch { number: 0, spans: 60, body: template.body.clone().into(), ids: Ids::new() };
            let batch = template.batch(5, 9, 2, NOW);
            let (before, after) = (decode(&original, encoding), decode(&batch, encoding));
            assert_eq!(after.len(), 60);
            let sent: HashSet<_> =
                after.iter().map(|span| (number(&span.trace_id), number(&span.span_id) as u64)).collect();
            assert_eq!(sent, keys(&batch));
            let ids: HashSet<_> = after.iter().map(|span| span.span_id.clone()).collect();
            for (before, after) in before.iter().zip(&after) {
                assert_eq!(after.parent_span_id.is_empty(), before.parent_span_id.is_empty());
                assert!(after.parent_span_id.is_empty() || ids.contains(&after.parent_span_id));
                assert_eq!(after.start_time_unix_nano, before.start_time_unix_nano + NOW - NOW_NANOS);
                assert_eq!(after.end_time_unix_nano, before.end_time_unix_nano + NOW - NOW_NANOS);
                assert_eq!((&after.name, after.attributes.len()), (&before.name, before.attributes.len()));
                for event in &after.events {
                    assert!((after.start_time_unix_nano..=after.end_time_unix_nano).contains(&event.time_unix_nano));
                }
            }
        }
    }

    #[test]
    fn sessions_last_for_one_pass_through_the_pool() {
        let sessions = |spans: Vec<Span>| {
            let session = |span: &Span| {
                let found = span.attributes.iter().find(|attribute| attribute.key == "session.id");
                format!("{found:?}")
            };
            spans.iter().map(session).collect::<HashSet<_>>()
        };
        let template = Template::write(&mut Author::new(7), 60, Encoding::Protobuf).unwrap();
        let of = |number, pass| sessions(decode(&template.batch(1, number, pass, NOW), Encoding::Protobuf));
        assert_eq!(of(0, 0), of(1, 0));
        assert!(of(0, 0).is_disjoint(&of(2, 1)));
    }

    #[test]
    fn json_and_protobuf_hold_the_same_spans() {
        let spans = |encoding| decode(&Pool::write(7, 1, 50, encoding).unwrap().batch(1, 0, NOW), encoding);
        assert_eq!(spans(Encoding::Json), spans(Encoding::Protobuf));
    }

    #[test]
    fn the_average_span_is_about_1_8_kilobytes() {
        let average = Pool::write(7, 6, 500, Encoding::Protobuf).unwrap().average_span_bytes();
        assert!((1_500.0..2_200.0).contains(&average), "{average}");
    }
}
