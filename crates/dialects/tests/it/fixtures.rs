//! Every capture of a real SDK, against what the program really did.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::Value;
use spanlake_dialects::otlp::{Encoding, TracesRequest, decode_traces};
use spanlake_model::{Span, Status};

use crate::build::normalised;

/// What we do not get right yet, as `capture / span / what`. A line that no longer fails fails the test, so the list only shrinks.
const KNOWN_GAPS: &[&str] = &[];

pub(crate) fn folder() -> PathBuf {
    // Asked when it runs: a target folder that two checkouts share may hold the other one's binary.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("fixtures/otlp")
}

/// The trace requests of every capture, in order.
pub(crate) fn captures() -> BTreeMap<String, Vec<(Encoding, Vec<u8>)>> {
    requests("traces")
}

/// The log requests of every capture that sent any.
pub(crate) fn logs() -> Vec<(String, Encoding, Vec<u8>)> {
    let sent = requests("logs").into_iter();
    sent.flat_map(|(name, bodies)| bodies.into_iter().map(move |(encoding, body)| (name.clone(), encoding, body)))
        .collect()
}

fn requests(signal: &str) -> BTreeMap<String, Vec<(Encoding, Vec<u8>)>> {
    let mut captures = BTreeMap::new();
    for capture in json("manifest.json").as_array().unwrap() {
        let mut requests = Vec::new();
        for file in capture["files"].as_array().unwrap().iter().filter(|file| file["signal"] == signal) {
            let name = file["file"].as_str().unwrap();
            let encoding = if name.ends_with(".json") { Encoding::Json } else { Encoding::Protobuf };
            requests.push((encoding, std::fs::read(folder().join(name)).unwrap()));
        }
        captures.insert(capture["capture"].as_str().unwrap().to_owned(), requests);
    }
    captures
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap()
}

/// What the program of a capture did.
pub(crate) fn expected(capture: &str) -> Value {
    json(&format!("{capture}.expected.json"))
}

pub(crate) fn decoded() -> impl Iterator<Item = (String, TracesRequest)> {
    captures().into_iter().flat_map(|(name, requests)| {
        requests.into_iter().map(move |(encoding, bytes)| (name.clone(), decode_traces(encoding, &bytes).unwrap()))
    })
}

/// The captures in protobuf, as prost reads them.
pub(crate) fn messages() -> impl Iterator<Item = (String, ExportTraceServiceRequest)> {
    let sent =
        captures().into_iter().flat_map(|(name, requests)| requests.into_iter().map(move |one| (name.clone(), one)));
    let protobuf = sent.filter(|(_, (encoding, _))| *encoding == Encoding::Protobuf);
    protobuf.map(|(name, (_, bytes))| (name, ExportTraceServiceRequest::decode(&*bytes).unwrap()))
}

#[test]
fn every_capture_means_what_the_program_did() {
    let mut spans: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for (capture, request) in decoded() {
        let normalised = normalised(&request);
        assert_eq!(normalised.rejected, [], "{capture}");
        assert_eq!(normalised.summary(), None);
        spans.entry(capture).or_default().extend(normalised.spans.into_iter().map(|(_, span)| span));
    }
    assert!(spans.len() >= 25);
    let mut gaps = BTreeSet::new();
    for (capture, spans) in &spans {
        compare(capture, &expected(capture), spans, &mut gaps);
    }
    let known: BTreeSet<String> = KNOWN_GAPS.iter().map(|gap| (*gap).to_owned()).collect();
    let new: Vec<_> = gaps.difference(&known).collect();
    let closed: Vec<_> = known.difference(&gaps).collect();
    assert!(new.is_empty(), "{} new gaps:\n{new:#?}", new.len());
    assert!(closed.is_empty(), "no longer gaps, take them off the list:\n{closed:#?}");
}

fn compare(capture: &str, expected: &Value, spans: &[Span], gaps: &mut BTreeSet<String>) {
    assert_eq!(spans.len() as u64, expected["span_count"].as_u64().unwrap(), "{capture}");
    let by_id: BTreeMap<String, &Span> = spans.iter().map(|span| (span.span_id.to_string(), span)).collect();
    for wanted in expected["spans"].as_array().unwrap() {
        let id = wanted["span_id"].as_str().unwrap();
        let span = by_id.get(id).unwrap_or_else(|| panic!("{capture}: no span {id}"));
        assert!(span.start.as_nanos() > 0 && span.end.is_some_and(|end| end >= span.start), "{capture} {id}");
        assert_eq!(Some(span.name.as_str()), wanted["name"].as_str(), "{capture} {id}");
        assert_eq!(Some(span.trace_id.to_string().as_str()), wanted["trace_id"].as_str(), "{capture} {id}");
        for (what, got) in differences(wanted, span) {
            gaps.insert(format!("{capture} / {} / {what}: {got}", span.name));
        }
    }
    for wanted in expected["traces"].as_array().unwrap() {
        let Some(name) = wanted["trace_name"].as_str() else { continue };
        let mut names =
            spans.iter().filter(|span| Some(span.trace_id.to_string().as_str()) == wanted["trace_id"].as_str());
        if !names.any(|span| span.trace_name.as_deref() == Some(name)) {
            gaps.insert(format!("{capture} / trace / name: {name}"));
        }
    }
}

fn differences(wanted: &Value, span: &Span) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let parent = span.parent_span_id.map(|parent| parent.to_string());
    let mut check = |what, is_right: bool, got: String| {
        if !is_right {
            found.push((what, got));
        }
    };
    check("parent", wanted["parent_span_id"].as_str() == parent.as_deref(), format!("{parent:?}"));
    let status = match span.status {
        Status::Unset => "unset",
        Status::Ok => "ok",
        Status::Error => "error",
    };
    check("status", wanted["status"] == status, status.to_owned());
    check("kind", among(&wanted["kind_accept"], span.kind.as_str()), span.kind.as_str().to_owned());
    check("model", among(&wanted["model_accept"], span.model.as_deref()), format!("{:?}", span.model));
    let usage = span.usage;
    let tokens = [
        ("input_tokens", usage.input),
        ("output_tokens", usage.output),
        ("cache_read_tokens", usage.cache_read),
        ("cache_write_tokens", usage.cache_write),
        ("reasoning_tokens", usage.reasoning),
    ];
    for (what, count) in tokens {
        let accepted = &wanted[format!("{what}_accept")];
        let is_right = wanted[what].is_null() || wanted[what] == serde_json::json!(count);
        let is_accepted = accepted.is_array() && among(accepted, count);
        check(what, is_right || is_accepted, format!("{count:?}"));
    }
    let reports = usage.input.or(usage.output).is_some();
    // A span that repeats the sums of its calls may do so in keys of its own, which are no usage of the span.
    let is_aggregate = wanted["aggregate_usage"].is_object();
    let is_right = wanted["reports_usage"].is_null() || is_aggregate || wanted["reports_usage"] == reports;
    check("reports_usage", is_right, reports.to_string());
    for (what, got) in [("tool_name", &span.tool_name), ("session_id", &span.session_id), ("user_id", &span.user_id)] {
        check(what, wanted[what].is_null() || wanted[what] == serde_json::json!(got), format!("{got:?}"));
    }
    let sorted = |tags: &Value| {
        let mut tags: Vec<String> = serde_json::from_value(tags.clone()).unwrap_or_default();
        tags.sort();
        tags
    };
    let tags = serde_json::json!(span.tags);
    check("tags", wanted["tags"].is_null() || sorted(&wanted["tags"]) == sorted(&tags), tags.to_string());
    if let Some(part) = wanted["error_message_contains"].as_str() {
        let message = span.status_message.clone().unwrap_or_default();
        check("error_message", message.contains(part), message);
    }
    if wanted["with_logs"] != true {
        let contents =
            [("has_input", "input_text_contains", &span.input), ("has_output", "output_text_contains", &span.output)];
        for (has, contains, content) in contents {
            check(has, wanted[has].is_null() || wanted[has] == content.is_some(), format!("{content:.80?}"));
            let text = content.as_deref().map(leaves).unwrap_or_default();
            let parts: Vec<&str> = match &wanted[contains] {
                Value::String(part) => vec![part],
                Value::Array(parts) => parts.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            check(contains, parts.iter().all(|part| text.contains(part)), format!("{parts:?} in {text:.200?}"));
        }
    }
    found
}

/// Whether nothing is asserted, or this is one of what is accepted.
fn among(accepted: &Value, got: impl serde::Serialize) -> bool {
    let got = serde_json::json!(got);
    accepted.as_array().is_none_or(|accepted| accepted.is_empty() || accepted.contains(&got))
}

/// The strings in a JSON value, joined; JSON in a string is looked into. What is no JSON is its own text.
pub(crate) fn leaves(content: &str) -> String {
    fn collect(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                Ok(inner @ (Value::Object(_) | Value::Array(_))) => collect(&inner, out),
                _ => out.push(text.clone()),
            },
            Value::Array(values) => values.iter().for_each(|value| collect(value, out)),
            Value::Object(members) => members.values().for_each(|value| collect(value, out)),
            other => out.push(other.to_string()),
        }
    }
    let Ok(value) = serde_json::from_str::<Value>(content) else { return content.to_owned() };
    let mut out = Vec::new();
    collect(&value, &mut out);
    out.join("\n")
}
