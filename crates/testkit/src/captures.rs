//! Requests that real SDKs sent, and what the programs behind them did.

use std::path::PathBuf;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value;
use spanlake_model::Timestamp;

/// How a request is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

/// One program, run once with one SDK.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Which.
    pub name: String,
    /// The trace requests it sent, in order.
    pub requests: Vec<CapturedRequest>,
    /// What it did; see `tools/capture` for the shape.
    pub expected: Value,
}

/// A request as it was on the wire, decompressed.
#[derive(Clone, Debug)]
pub struct CapturedRequest {
    /// How it is spelled.
    pub encoding: Encoding,
    /// The path it was sent to.
    pub path: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// What a request says of when a span was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SentSpan {
    /// 16 lower-case hex digits.
    pub id: String,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
}

/// Every capture that sent traces, in the manifest's order.
///
/// # Panics
/// When the fixtures are not what they should be.
pub fn captures() -> Vec<Capture> {
    json("manifest.json")
        .as_array()
        .unwrap()
        .iter()
        .map(capture)
        .filter(|capture| !capture.requests.is_empty())
        .collect()
}

/// A moment just after the last span of every capture ended.
pub fn captured_at() -> Timestamp {
    let mut latest = 0;
    for request in captures().iter().flat_map(|capture| &capture.requests) {
        each_time(request, &mut |time| {
            latest = latest.max(time);
            time
        });
    }
    Timestamp::from_nanos(latest + 1_000_000_000)
}

impl CapturedRequest {
    /// The same request, sent `by_nanos` later; the very same bytes when that is zero.
    #[must_use]
    pub fn later(&self, by_nanos: i64) -> Self {
        if by_nanos == 0 {
            return self.clone();
        }
        Self { body: each_time(self, &mut |time| if time == 0 { 0 } else { time + by_nanos }), ..self.clone() }
    }
}

impl CapturedRequest {
    /// The spans in it, read without any code of the product.
    ///
    /// # Panics
    /// When it is no OTLP.
    pub fn spans(&self) -> Vec<SentSpan> {
        let span = |id: String, start: u64, end: u64| {
            let at = |nanos: u64| Timestamp::from_nanos(nanos.cast_signed());
            SentSpan { id, start: at(start), end: at(end) }
        };
        match self.encoding {
            Encoding::Protobuf => {
                let message = ExportTraceServiceRequest::decode(&*self.body).unwrap();
                let scopes = message.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
                let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let spans = scopes.flat_map(|scope| scope.spans);
                spans.map(|own| span(hex(&own.span_id), own.start_time_unix_nano, own.end_time_unix_nano)).collect()
            }
            Encoding::Json => {
                let value: Value = serde_json::from_slice(&self.body).unwrap();
                let inside = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
                let scopes = inside(&value, "resourceSpans").into_iter().flat_map(|spans| inside(&spans, "scopeSpans"));
                let nanos = |value: &Value| match value {
                    Value::String(text) => text.parse().unwrap(),
                    number => number.as_u64().unwrap(),
                };
                let spans = scopes.flat_map(|scope| inside(&scope, "spans"));
                let id = |own: &Value| own["spanId"].as_str().unwrap().to_lowercase();
                spans
                    .map(|own| span(id(&own), nanos(&own["startTimeUnixNano"]), nanos(&own["endTimeUnixNano"])))
                    .collect()
            }
        }
    }
}

/// Passes every time of the request through `change`.
fn each_time(request: &CapturedRequest, change: &mut dyn FnMut(i64) -> i64) -> Vec<u8> {
    match request.encoding {
        Encoding::Protobuf => {
            let mut message = ExportTraceServiceRequest::decode(&*request.body).unwrap();
            each_time_of(&mut message, change);
            message.encode_to_vec()
        }
        Encoding::Json => {
            let mut value = serde_json::from_slice(&request.body).unwrap();
            each_time_in(&mut value, change);
            serde_json::to_vec(&value).unwrap()
        }
    }
}

fn each_time_of(message: &mut ExportTraceServiceRequest, change: &mut dyn FnMut(i64) -> i64) {
    let mut moved = |time: &mut u64| *time = change((*time).cast_signed()).cast_unsigned();
    for resource in &mut message.resource_spans {
        for span in resource.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans) {
            moved(&mut span.start_time_unix_nano);
            moved(&mut span.end_time_unix_nano);
            span.events.iter_mut().for_each(|event| moved(&mut event.time_unix_nano));
        }
    }
}

/// Numbers stay numbers and strings strings, since SDKs differ in that.
fn each_time_in(value: &mut Value, change: &mut dyn FnMut(i64) -> i64) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| each_time_in(value, change)),
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(text) if key.ends_with("imeUnixNano") => {
                        *text = change(text.parse().unwrap()).to_string();
                    }
                    Value::Number(number) if key.ends_with("imeUnixNano") => {
                        *value = change(number.as_i64().unwrap()).into();
                    }
                    value => each_time_in(value, change),
                }
            }
        }
        _ => {}
    }
}

fn capture(entry: &Value) -> Capture {
    let name = entry["capture"].as_str().unwrap().to_owned();
    let traces = entry["files"].as_array().unwrap().iter().filter(|file| file["signal"] == "traces");
    let requests = traces.map(|file| {
        let file_name = file["file"].as_str().unwrap();
        CapturedRequest {
            encoding: if file_name.ends_with(".json") { Encoding::Json } else { Encoding::Protobuf },
            path: file["path"].as_str().unwrap().to_owned(),
            body: std::fs::read(folder().join(file_name)).unwrap(),
        }
    });
    Capture { requests: requests.collect(), expected: json(&format!("{name}.expected.json")), name }
}

fn folder() -> PathBuf {
    // Asked when it runs, of whichever package runs: a target folder that two checkouts share may hold the other one's binary.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says which package it runs");
    PathBuf::from(package).join("../../crates/dialects/fixtures/otlp")
}

fn json(name: &str) -> Value {
    let path = folder().join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capture_is_there_with_what_it_means() {
        let captures = captures();
        assert!(captures.len() >= 25);
        for capture in captures {
            let spans: usize = capture.requests.iter().map(|request| request.spans().len()).sum();
            assert_eq!(capture.expected["span_count"], spans, "{}", capture.name);
        }
    }

    #[test]
    fn a_request_moved_there_and_back_means_the_same() {
        for request in captures().iter().flat_map(|capture| &capture.requests) {
            let (there, mut times) = (request.later(1_000), Vec::new());
            assert_eq!(request.later(0).body, request.body);
            each_time(&there, &mut |time| {
                times.push(time);
                time
            });
            let back = each_time(&there.later(-1_000), &mut |time| {
                assert_eq!(times.remove(0), if time == 0 { 0 } else { time + 1_000 });
                time
            });
            assert_eq!(back, each_time(request, &mut |time| time));
        }
    }
}
