//! OTLP/JSON as it is really sent.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde_json::json;
use spanlake_dialects::Normalised;
use spanlake_dialects::otlp::{Encoding, decode_traces};
use spanlake_model::Status;

use crate::build::{RECEIVED, normalised};
use crate::fixtures;

const TRACE: &str = "0AF7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn read(span: serde_json::Value) -> Normalised {
    read_text(&json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).to_string())
}

fn read_text(body: &str) -> Normalised {
    normalised(&decode_traces(Encoding::Json, body.as_bytes()).unwrap())
}

fn good(attributes: serde_json::Value) -> serde_json::Value {
    json!({"traceId": TRACE, "spanId": SPAN, "name": "n", "startTimeUnixNano": RECEIVED.to_string(),
        "endTimeUnixNano": RECEIVED, "attributes": attributes})
}

fn attributes(sent: serde_json::Value) -> serde_json::Value {
    let normalised = read(good(sent));
    serde_json::from_str(&normalised.spans[0].1.attributes).unwrap()
}

#[test]
fn ids_are_read_in_hex_of_any_case_and_in_base64() {
    for (trace, span) in
        [(TRACE, SPAN), ("CvdlGRbNQ92ESOshHIAxnA==", "t61rcWkgMzE="), ("CvdlGRbNQ92ESOshHIAxnA", "t61rcWkgMzE")]
    {
        let mut sent = good(json!([]));
        sent["traceId"] = json!(trace);
        sent["spanId"] = json!(span);
        let (_, span) = &read(sent).spans[0];
        assert_eq!(span.trace_id.to_string(), TRACE.to_lowercase());
        assert_eq!(span.span_id.to_string(), SPAN);
    }
}

#[test]
fn a_span_with_a_bad_id_loses_only_itself() {
    for bad in [
        json!("xyz"),
        json!(""),
        json!(null),
        json!(7),
        json!("0".repeat(32)),
        json!({"a": [1]}),
        json!("g".repeat(32)),
    ] {
        let mut worse = good(json!([]));
        worse["traceId"] = bad.clone();
        let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [worse, good(json!([]))]}]}]});
        let normalised = read_text(&body.to_string());
        assert_eq!(normalised.spans.len(), 1, "{bad}");
        assert_eq!(normalised.spans[0].0, 1);
        assert_eq!(normalised.rejected[0].reason, "the trace id must be 32 hex digits, not all zero");
    }
}

#[test]
fn values_are_read_in_every_spelling() {
    let sent = json!([
        {"key": "int", "value": {"intValue": "-9223372036854775808"}},
        {"key": "int2", "value": {"intValue": 42}},
        {"key": "int3", "value": {"intValue": "many"}},
        {"key": "nan", "value": {"doubleValue": "NaN"}},
        {"key": "inf", "value": {"doubleValue": "-Infinity"}},
        {"key": "whole", "value": {"doubleValue": 3}},
        {"key": "bytes", "value": {"bytesValue": "/wA="}},
        {"key": "bool", "value": {"bool_value": "true"}},
        {"key": "empty", "value": {}},
        {"key": "null", "value": null},
        {"key": "none"},
        {"key": "nulls", "value": {"stringValue": null, "intValue": 1, "unknown": {"a": []}}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, null, {}]}}},
        {"key": "map", "value": {"kvlist_value": {"values": [{"key": "b", "value": {"boolValue": false}}]}}},
        {"key": "bare", "value": "text"},
        {"key": "twice", "value": {"intValue": 1}},
        {"key": "twice", "value": {"intValue": 2}},
        {"key": "number", "value": {"stringValue": 5}},
        "not an attribute"
    ]);
    let expected = json!({
        "int": i64::MIN, "int2": 42, "int3": "many", "nan": "NaN", "inf": "-Infinity", "whole": 3.0, "bytes": "/wA=",
        "bool": true, "empty": null, "null": null, "none": null, "nulls": 1, "list": ["a", null, null], "map": {"b": false},
        "bare": "text", "twice": 2, "number": "5", "": null
    });
    assert_eq!(attributes(sent), expected);
}

#[test]
fn enums_have_names_and_keys_have_underscores() {
    let sent = json!({"resource_spans": [{"resource": {"attributes": [{"key": "service.name", "value": {"string_value": "s"}}]},
        "scope_spans": [{"scope": {"name": "sc", "version": null}, "spans": [{
            "trace_id": TRACE, "span_id": SPAN, "parent_span_id": "", "name": "n", "kind": "SPAN_KIND_CLIENT", "flags": 257,
            "start_time_unix_nano": RECEIVED, "end_time_unix_nano": RECEIVED, "status": {"code": "STATUS_CODE_ERROR"},
            "dropped_attributes_count": 1, "links": null, "events": [{"time_unix_nano": "7", "name": "e"}], "new": {"x": [1]}
    }]}]}], "more": 1});
    let (_, span) = &read_text(&sent.to_string()).spans[0];
    assert_eq!((span.status, span.parent_span_id), (Status::Error, None));
    assert_eq!((span.service_name.as_deref(), span.scope_name.as_deref()), (Some("s"), Some("sc")));
    assert_eq!(span.events[0].time.as_nanos(), 7);
    for name in ["ok", "STATUS_CODE_OK", "1"] {
        let mut sent = good(json!([]));
        sent["status"] = json!({"code": name});
        assert_eq!(read(sent).spans[0].1.status, Status::Ok, "{name}");
    }
}

#[test]
fn what_text_may_not_hold_is_replaced() {
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [good(json!([{"key": "k", "value": {"stringValue": "@"}}]))]}]}]});
    for (sent, kept) in
        [("\\u0000", "\u{FFFD}"), ("\\ud800", "\u{FFFD}"), ("\\ude00x", "\u{FFFD}x"), ("\\ud83d\\ude00", "😀")]
    {
        let normalised = read_text(&body.to_string().replace('@', sent));
        assert_eq!(normalised.spans[0].1.attributes, format!("{{\"k\":\"{kept}\"}}"));
    }
    let mut bytes = body.to_string().into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'@').unwrap();
    bytes[at] = 0xFF;
    let request = decode_traces(Encoding::Json, &bytes).unwrap();
    assert_eq!(normalised(&request).spans[0].1.attributes, "{\"k\":\"\u{FFFD}\"}");
}

#[test]
fn json_and_protobuf_of_one_request_are_the_same_spans() {
    for (capture, mut proto) in fixtures::messages() {
        // The JSON writer of the library has no spelling for numbers that JSON lacks.
        for span in proto.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|s| &mut s.spans) {
            span.attributes.retain(|attribute| {
                let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
                !matches!(value, Some(Value::DoubleValue(number)) if !number.is_finite())
            });
        }
        let json = serde_json::to_vec(&proto).unwrap();
        let twin = decode_traces(Encoding::Json, &json).unwrap();
        let protobuf = spanlake_dialects::otlp::TracesRequest::from_proto(proto);
        assert_eq!(normalised(&twin), normalised(&protobuf), "{capture}");
    }
}
