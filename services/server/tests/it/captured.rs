//! What real SDKs sent comes out as what their programs did.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::Value;
use spanlake_testkit::{Capture, CapturedRequest, Encoding, captured_at, captures};

use crate::client::{JSON, PROTOBUF, micros};
use crate::cluster::Cluster;
use crate::tenant::Tenant;

/// Moved to now, unless the cluster's clock stands where they were captured: then they go in byte by byte.
pub(crate) async fn every_capture_comes_out_as_it_went_in(cluster: &Cluster) {
    let by_nanos = cluster.now().as_nanos() - captured_at().as_nanos();
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read", "export"]).await;
    let captures = captures();
    for request in captures.iter().flat_map(|capture| &capture.requests) {
        send(cluster, &key, &request.later(by_nanos)).await;
    }
    let seen = Seen::read(cluster, &key).await;
    for capture in &captures {
        seen.holds(capture, by_nanos);
    }
    let sent: u64 = captures.iter().map(|capture| capture.expected["span_count"].as_u64().unwrap()).sum();
    assert_eq!(seen.spans.len() as u64, sent);
    assert_eq!(seen.traces.values().map(|trace| trace["span_count"].as_u64().unwrap()).sum::<u64>(), sent);
}

async fn send(cluster: &Cluster, key: &str, request: &CapturedRequest) {
    if request.path.ends_with("/Export") {
        let message = ExportTraceServiceRequest::decode(&*request.body).unwrap();
        let mut call = tonic::Request::new(message);
        call.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        let answer = cluster.client.grpc().await.export(call).await.unwrap();
        assert_eq!(answer.into_inner().partial_success, None);
        return;
    }
    let (content_type, all_kept) = match request.encoding {
        Encoding::Protobuf => (PROTOBUF, ""),
        Encoding::Json => (JSON, "{}"),
    };
    let answer = cluster.client.otlp(&request.path, key, content_type, request.body.clone()).await;
    assert_eq!((answer.status, &*answer.text()), (200, all_kept));
}

/// Everything the tenant can read, by id.
struct Seen {
    spans: BTreeMap<String, Value>,
    traces: BTreeMap<String, Value>,
    exported: BTreeMap<String, Value>,
}

impl Seen {
    async fn read(cluster: &Cluster, key: &str) -> Self {
        let by = |field: &'static str, rows: Vec<Value>| {
            let count = rows.len();
            let all: BTreeMap<_, _> =
                rows.into_iter().map(|row| (row[field].as_str().unwrap().to_owned(), row)).collect();
            assert_eq!(all.len(), count, "no row comes twice");
            all
        };
        let spans = cluster.client.get("/v1/spans?limit=1000", key).await.rows();
        let traces = cluster.client.get("/v1/traces?limit=1000", key).await.rows();
        let export = cluster.client.get("/v1/traces/export?limit=2000", key).await.text();
        let mut lines: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.pop().unwrap()["_export_meta"]["exported"], lines.len());
        Self { spans: by("id", spans), traces: by("id", traces), exported: by("span_id", lines) }
    }

    fn holds(&self, capture: &Capture, by_nanos: i64) {
        let name = &capture.name;
        for wanted in capture.expected["traces"].as_array().unwrap() {
            let trace = &self.traces[wanted["trace_id"].as_str().unwrap()];
            assert_eq!(trace["span_count"], wanted["span_count"], "{name} {trace}");
            is_trace(name, wanted, trace);
        }
        for sent in capture.requests.iter().flat_map(CapturedRequest::spans) {
            let span = &self.spans[&sent.id];
            let moved = |time: spanlake_model::Timestamp| (time.as_nanos() + by_nanos).div_euclid(1_000);
            let times = (micros(&span["start"]), micros(&span["end"]));
            assert_eq!(times, (moved(sent.start), moved(sent.end)), "{name} {span}");
        }
        for wanted in capture.expected["spans"].as_array().unwrap() {
            let id = wanted["span_id"].as_str().unwrap();
            is_span(name, wanted, &self.spans[id]);
            has_content(name, wanted, &self.exported[id]);
        }
    }
}

/// Sums as the provider charged for them, each call once; session, user, tags and whether anything failed.
fn is_trace(capture: &str, wanted: &Value, trace: &Value) {
    for (sums, sum) in [("total_input_tokens", "input_tokens"), ("total_output_tokens", "output_tokens")] {
        let found = trace[sum].as_i64().unwrap_or(0);
        let accepted = wanted[sums].as_array().is_none_or(|sums| sums.contains(&found.into()));
        assert!(accepted, "{capture}: {sum} {found}, not {} of {trace}", wanted[sums]);
    }
    for field in ["session_id", "user_id"] {
        assert!(wanted[field].is_null() || trace[field] == wanted[field], "{capture}: {field} of {trace}");
    }
    let has = |tag: &Value| trace["tags"].as_array().is_some_and(|tags| tags.contains(tag));
    assert!(wanted["tags"].as_array().is_none_or(|tags| tags.iter().all(has)), "{capture}: tags of {trace}");
    if let Some(has_error) = wanted["has_error"].as_bool() {
        assert_eq!(trace["status"] == "ERROR", has_error, "{capture}: status of {trace}");
    }
}

/// Names, tree, kind, model and tokens.
fn is_span(capture: &str, wanted: &Value, span: &Value) {
    let fields = [("name", "name"), ("trace_id", "trace_id"), ("parent_id", "parent_span_id")];
    for (ours, theirs) in fields {
        assert_eq!(span[ours], wanted[theirs], "{capture}: {ours} of {span}");
    }
    let accepted =
        |list: &Value, value: &Value| list.as_array().is_none_or(|list| list.is_empty() || list.contains(value));
    assert!(accepted(&wanted["kind_accept"], &span["kind"]), "{capture}: kind of {span}");
    assert!(accepted(&wanted["model_accept"], &span["model"]), "{capture}: model of {span}");
    for tokens in ["input_tokens", "output_tokens"] {
        let others = &wanted[format!("{tokens}_accept")];
        let is_right = wanted[tokens].is_null()
            || span[tokens] == wanted[tokens]
            || others.as_array().is_some_and(|others| others.contains(&span[tokens]));
        assert!(is_right, "{capture}: {tokens} of {span}, not {}", wanted[tokens]);
    }
}

/// Input and output; what came as log records is not taken in yet.
fn has_content(capture: &str, wanted: &Value, line: &Value) {
    if wanted["with_logs"] == true {
        return;
    }
    let contents = [("has_input", "input_text_contains", "input"), ("has_output", "output_text_contains", "output")];
    for (has, contains, field) in contents {
        if let Some(has) = wanted[has].as_bool() {
            assert_eq!(!line[field].is_null(), has, "{capture}: {field} of {line}");
        }
        let text = leaves(&line[field]);
        let parts = match &wanted[contains] {
            Value::String(part) => vec![part.as_str()],
            Value::Array(parts) => parts.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        assert!(parts.iter().all(|part| text.contains(part)), "{capture}: {parts:?} in {field} of {line}");
    }
}

/// Every text in a value; JSON inside of text is looked into.
fn leaves(value: &Value) -> String {
    let joined = |values: &mut dyn Iterator<Item = &Value>| values.map(leaves).collect::<Vec<_>>().join("\n");
    match value {
        Value::Array(values) => joined(&mut values.iter()),
        Value::Object(members) => joined(&mut members.values()),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => leaves(&inner),
            _ => text.clone(),
        },
        other => other.to_string(),
    }
}
