//! Whatever arrives, nothing panics and nothing grows without bound.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proptest::prelude::*;
use prost::Message;
use serde_json::json;
use spanlake_dialects::chat;
use spanlake_dialects::normalise::{EVENTS_DROPPED, EVENTS_MAX, NAME_BYTES_MAX, RESOURCE_BYTES_MAX};
use spanlake_dialects::otlp::{DEPTH_MAX, Encoding, decode_traces};

use crate::build::{RECEIVED, message_of, normalised, one, only, pairs, request, request_of, span, text};
use crate::fixtures;

const ENCODINGS: [Encoding; 2] = [Encoding::Protobuf, Encoding::Json];

pub(crate) fn must_not_panic(encoding: Encoding, bytes: &[u8]) {
    if let Ok(request) = decode_traces(encoding, bytes) {
        let first = normalised(&request);
        assert_eq!(first.spans.len() + first.rejected.len(), request.span_count());
        assert_eq!(normalised(&request), first);
        let _ = first.summary();
    }
}

fn nested(levels: usize, wrap: impl Fn(AnyValue) -> Value) -> Value {
    let mut value = text("bottom");
    for _ in 0..levels {
        value = wrap(AnyValue { value: Some(value) });
    }
    value
}

fn in_map(value: AnyValue) -> Value {
    Value::KvlistValue(KeyValueList {
        values: vec![KeyValue { key: "k".to_owned(), value: Some(value), ..Default::default() }],
    })
}

fn in_list(value: AnyValue) -> Value {
    Value::ArrayValue(ArrayValue { values: vec![value] })
}

/// How many lists and maps down it goes, and what is there.
fn bottom(value: &serde_json::Value) -> (usize, &serde_json::Value) {
    let inner = value.get("k").or_else(|| value.get(0));
    inner.map_or((0, value), |inner| {
        let (depth, bottom) = bottom(inner);
        (depth + 1, bottom)
    })
}

/// That `value`, in the JSON of attributes, was sent `levels` deep.
fn is_kept(value: &serde_json::Value, levels: usize, encoding: Encoding) {
    let (depth, bottom) = bottom(value);
    assert_eq!(depth, levels.min(DEPTH_MAX));
    let text = bottom.as_str().unwrap();
    match encoding {
        _ if levels <= DEPTH_MAX => assert_eq!(text, "bottom"),
        Encoding::Json => assert!(text.starts_with("{\"values\":[") && text.contains("\"bottom\""), "{text}"),
        Encoding::Protobuf => {
            let bytes = STANDARD.decode(text).unwrap();
            assert!(bytes.windows(6).any(|window| window == b"bottom"));
        }
    }
}

#[test]
fn a_hundred_levels_are_kept_and_what_lies_deeper_stays_as_it_was_spelled() {
    for (wrap, levels) in [50, DEPTH_MAX, DEPTH_MAX + 1, 300]
        .into_iter()
        .flat_map(|levels| [in_map as fn(AnyValue) -> Value, in_list].map(|wrap| (wrap, levels)))
    {
        let deep = || nested(levels, wrap);
        let mut sent = span(&[("deep", deep()), ("beside", text("kept"))]);
        sent.events = vec![Event { attributes: pairs(&[("deep", deep())]), ..Default::default() }];
        let proto = message_of(&[("deep", deep())], "", vec![sent]);
        for encoding in ENCODINGS {
            let read = only(decode_traces(encoding, &encoded(&proto, encoding)).unwrap());
            for object in [&*read.attributes, &*read.resource, &*read.events[0].attributes] {
                let object: serde_json::Value = serde_json::from_str(object).unwrap();
                is_kept(&object["deep"], levels, encoding);
            }
            assert!(read.attributes.contains(r#""beside":"kept""#));
        }
    }
}

fn encoded(proto: &ExportTraceServiceRequest, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => proto.encode_to_vec(),
        Encoding::Json => serde_json::to_vec(proto).unwrap(),
    }
}

#[test]
fn bottomless_values_have_an_end() {
    // Not decoded but made by hand, it is cut and not followed.
    assert!(one(&[("k", nested(200, in_map))]).attributes.contains("null"));
    let shallow =
        String::from_utf8(encoded(&message_of(&[], "", vec![span(&[("k", text("@"))])]), Encoding::Json)).unwrap();
    let unit = r#"{"kvlistValue":{"values":[{"key":"k","value":"#;
    let value = format!("{}{{}}{}", unit.repeat(10_000), "}]}}".repeat(10_000));
    let deep = shallow.replace(r#"{"stringValue":"@"}"#, &value);
    assert!(deep.len() > value.len());
    let read = only(decode_traces(Encoding::Json, deep.as_bytes()).unwrap());
    assert!(read.attributes.len() > value.len() / 2);
    assert!(serde_json::from_str::<serde_json::Value>(&read.attributes).is_ok());
    // Unknown fields are read over however deep they are.
    let unknown = format!(r#"{{"new":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(decode_traces(Encoding::Json, unknown.as_bytes()).is_ok());
}

/// Two spans in JSON: of the first one attribute has a value that is spelled so, of the second nothing is odd.
fn beside_a_good_one(value: &str) -> (spanlake_model::Span, spanlake_model::Span) {
    let mut good = span(&[("k", text("good"))]);
    good.span_id = vec![3; 8];
    let proto = message_of(&[], "", vec![span(&[("k", text("@")), ("beside", text("kept"))]), good]);
    let body = String::from_utf8(encoded(&proto, Encoding::Json)).unwrap();
    let body = body.replace(r#"{"stringValue":"@"}"#, value);
    let read =
        normalised(&decode_traces(Encoding::Json, body.as_bytes()).unwrap_or_else(|error| panic!("{value}: {error}")));
    assert_eq!(read.rejected, [], "{value}");
    let [(_, odd), (_, good)] = read.spans.try_into().unwrap();
    (odd, good)
}

#[test]
fn a_value_that_strict_json_forbids_loses_only_itself() {
    for (sent, kept) in [
        (r#"{"stringValue":"\ud800!"}"#, json!("\u{FFFD}!")),
        (r#"{"stringValue":"\u0000"}"#, json!("\u{FFFD}")),
        ("{\"stringValue\":\"a\nb\u{1}\u{0}\"}", json!("a\nb\u{1}\u{FFFD}")),
        (r#"{"intValue":1e999}"#, json!("1e999")),
        (r#"{"doubleValue":1e999}"#, json!("Infinity")),
        (r#"{"stringValue":-1e999}"#, json!("-1e999")),
        (r#"{"intValue":123456789012345678901234567890}"#, json!("123456789012345680000000000000")),
        (r#"{"boolValue":"maybe"}"#, json!("maybe")),
        (r#"{"bytesValue":"no base64"}"#, json!("no base64")),
        (
            r#"{"kvlistValue":{"values":[{"key":"a","value":{"intValue":1}},{"key":"a","value":{"intValue":2}}]}}"#,
            json!({"a": 2}),
        ),
        (r#"{"arrayValue":7}"#, json!([])),
        (r#"7"#, json!(7)),
        ("[]", json!(null)),
    ] {
        let (odd, good) = beside_a_good_one(sent);
        let attributes: serde_json::Value = serde_json::from_str(&odd.attributes).unwrap();
        assert_eq!(attributes, json!({"beside": "kept", "k": kept}), "{sent}");
        assert_eq!(good.attributes, r#"{"k":"good"}"#);
    }
}

#[test]
fn text_that_is_not_utf8_is_kept_with_marks_where_it_is_not() {
    let mut good = span(&[("k", text("good"))]);
    good.span_id = vec![3; 8];
    let mut odd = span(&[("k@", text("v@")), ("session.id", text("talk@")), ("input.value", text("said@"))]);
    odd.name = "n@".to_owned();
    odd.status = Some(Status { message: "m@".to_owned(), code: 2 });
    odd.events = vec![Event { name: "e@".to_owned(), attributes: pairs(&[("a@", text("b@"))]), ..Default::default() }];
    let mut bytes = message_of(&[("service.name", text("s@"))], "scope@", vec![odd, good]).encode_to_vec();
    bytes.iter_mut().filter(|byte| **byte == b'@').for_each(|byte| *byte = 0xFF);
    let read = normalised(&decode_traces(Encoding::Protobuf, &bytes).unwrap());
    assert_eq!((read.spans.len(), &*read.rejected), (2, &[][..]));
    let odd = &read.spans[0].1;
    assert_eq!(odd.name, "n\u{FFFD}");
    assert_eq!(odd.attributes, r#"{"input.value":"said@","k@":"v@","session.id":"talk@"}"#.replace('@', "\u{FFFD}"));
    assert_eq!(odd.events[0].attributes, r#"{"a@":"b@"}"#.replace('@', "\u{FFFD}"));
    for (field, kept) in [
        (odd.session_id.as_deref(), "talk\u{FFFD}"),
        (odd.input.as_deref(), "said\u{FFFD}"),
        (odd.status_message.as_deref(), "m\u{FFFD}"),
        (odd.service_name.as_deref(), "s\u{FFFD}"),
        (odd.scope_name.as_deref(), "scope\u{FFFD}"),
    ] {
        assert_eq!(field, Some(kept));
    }
    assert_eq!(read.spans[1].1.attributes, r#"{"k":"good"}"#);
}

#[test]
fn deep_json_in_an_attribute_stays_text() {
    let deep = "[".repeat(10_000);
    let keys = [
        "gen_ai.input.messages",
        "gen_ai.system_instructions",
        "langfuse.observation.usage_details",
        "metadata",
        "events",
    ];
    let sent: Vec<(&str, Value)> = keys.iter().map(|key| (*key, text(&deep))).collect();
    assert!(one(&sent).input.is_some());
}

#[test]
fn hostile_indexed_keys_are_attributes_and_nothing_else() {
    let keys = [
        "gen_ai.prompt.999999999.role",
        "gen_ai.prompt.-1.role",
        "gen_ai.prompt.",
        "gen_ai.prompt.99999999999999999999",
    ];
    let sent: Vec<(&str, Value)> = keys.iter().map(|key| (*key, text("x"))).collect();
    let span = one(&sent);
    assert_eq!(span.input, None);
    assert!(keys.iter().all(|key| span.attributes.contains(key)));
    let both = one(&[("gen_ai.prompt.0", text("leaf")), ("gen_ai.prompt.0.0", text("branch"))]);
    assert_eq!(both.input.unwrap(), r#"[{"":"leaf","0":"branch"}]"#);
}

#[test]
fn twenty_megabytes_stay_whole() {
    let long = "é\n".repeat(20_000_000 / 3);
    let span = one(&[("gen_ai.tool.call.result", text(&long)), ("gen_ai.tool.name", text("t"))]);
    assert_eq!(span.output.unwrap().len(), long.len());
    assert!(span.attributes.len() > long.len());
}

/// Long enough that reading it more often than a few times would never end.
fn two_megabytes_of(unit: &str) -> String {
    unit.repeat(2_000_000 / unit.len())
}

#[test]
fn two_megabytes_of_nearly_json_are_read_once() {
    for unit in [
        "[",
        "{\"a\":",
        "[{\"role\":\"user\",\"content\":\"",
        "{'a': [",
        "\\ud800",
        "{\"message\":",
        "\"\\\"",
        "[[\"human\",",
    ] {
        let long = two_megabytes_of(unit);
        let sent = [
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.input.messages", text(&long)),
            ("gen_ai.system_instructions", text("Be brief.")),
        ];
        let span = one(&sent);
        let input = span.input.unwrap();
        assert!(input.ends_with(&long[1..]), "{unit}");
        assert_eq!(spanlake_model::preview(&input).chars().count(), 200);
        assert_eq!(chat::of_input(&input), None, "{unit}");
        for key in ["langfuse.observation.usage_details", "langfuse.trace.tags", "metadata", "hidden_params"] {
            assert!(one(&[(key, text(&long))]).attributes.len() >= long.len(), "{key} {unit}");
        }
    }
}

#[test]
fn a_conversation_in_envelopes_in_envelopes_has_an_end() {
    for (open, close) in [
        ("{\"message\":", "}"),
        ("[", "]"),
        ("{\"messages\":[", "]}"),
        ("{\"role\":\"user\",\"content\":[", "]}"),
        ("{\"type\":\"text\",\"text\":[", "]}"),
        ("{\"message_content\":", "}"),
        ("{\"content\":{\"role\":\"user\",\"parts\":", "}}"),
        ("{\"kind\":\"request\",\"parts\":[", "]}"),
    ] {
        let deep = format!("{}{{\"role\":\"user\",\"content\":\"x\"}}{}", open.repeat(100_000), close.repeat(100_000));
        for messages in [chat::of_input(&deep), chat::of_output(&deep)].into_iter().flatten() {
            assert!(serde_json::to_string(&messages).unwrap().len() < 8 * deep.len(), "{open}");
        }
    }
}

#[test]
fn ten_thousand_attributes_and_indexed_keys_are_a_span() {
    let plain: Vec<String> = (0..10_000).map(|n| format!("key.{n}")).collect();
    let indexed: Vec<String> = (0..10_000).map(|n| format!("llm.input_messages.{n}.message.content")).collect();
    let mut sent: Vec<(&str, Value)> = plain.iter().chain(&indexed).map(|key| (key.as_str(), text("x"))).collect();
    sent.push(("openinference.span.kind", text("LLM")));
    sent.extend(std::iter::repeat_n(("twice", text("first")), 10_000));
    sent.push(("twice", text("last")));
    let span = one(&sent);
    let attributes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&span.attributes).unwrap();
    assert_eq!((attributes.len(), &attributes["twice"]), (20_002, &json!("last")));
    let messages: Vec<serde_json::Value> = serde_json::from_str(&span.input.unwrap()).unwrap();
    assert_eq!(messages.len(), 10_000);
}

#[test]
fn keys_that_mean_something_to_others_are_keys() {
    for key in ["__proto__", "constructor", "", "\u{0}", "a\"b", "prototype.x", "💥"] {
        let metadata = format!("langfuse.trace.metadata.{key}");
        let prompt = format!("gen_ai.prompt.0.{key}");
        let span = one(&[(key, text("x")), (&metadata, text("y")), (&prompt, text("z"))]);
        let attributes: serde_json::Value = serde_json::from_str(&span.attributes).unwrap();
        assert_eq!(attributes[key.replace('\0', "\u{FFFD}")], "x", "{key}");
        assert!(span.metadata.contains('y') || key.is_empty(), "{key}: {}", span.metadata);
        assert!(span.input.unwrap().contains('z'), "{key}");
    }
}

#[test]
fn half_a_surrogate_pair_in_an_attribute_spoils_nothing() {
    let span = one(&[
        ("langfuse.trace.metadata.a", text(r#"{"b": "\ud83d", "c": "\u0000"}"#)),
        ("langfuse.trace.tags", text(r#"["good", "\ud83d!"]"#)),
        ("langfuse.observation.usage_details", text(r#"{"input": 3, "x": "\ud83d"}"#)),
        ("langfuse.observation.model.parameters", text(r#"{"stop": "\ud83d", "top_p": 1}"#)),
        ("langfuse.observation.input", text(r#"[{"role": "user", "content": "\ud83d"}]"#)),
    ]);
    assert_eq!(span.metadata, r#"{"a":{"b":"\ufffd","c":"\ufffd"}}"#);
    assert_eq!((span.tags, span.usage.input), (vec!["good".to_owned(), "\u{FFFD}!".to_owned()], Some(3)));
    assert_eq!(span.model_parameters.as_deref(), Some(r#"{"stop":"\ufffd","top_p":1}"#));
    assert_eq!(chat::of_input(&span.input.unwrap()).unwrap().len(), 1);
}

#[test]
fn metadata_is_readable_whatever_is_put_into_it() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let object = format!(r#"{{"number": 1e999, "digits": {}, "deep": {deep}}}"#, "9".repeat(400));
    for key in ["metadata", "langfuse.observation.model.parameters"] {
        let span = one(&[(key, text(&object)), ("langfuse.trace.metadata.deep", text(&deep))]);
        for read in [Some(span.metadata), span.model_parameters].into_iter().flatten() {
            let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&read).unwrap();
            assert!(read.values().all(serde_json::Value::is_string), "{read:?}");
        }
    }
}

#[test]
fn a_long_resource_of_many_spans_is_held_once_and_has_a_bound() {
    let long = [("k", text(&"x".repeat(1 << 20)))];
    let spans =
        (0..300).map(|number: u64| Span { span_id: (number + 1).to_be_bytes().to_vec(), ..span(&[]) }).collect();
    let normalised = normalised(&request_of(&long, "", spans));
    let kept = RESOURCE_BYTES_MAX / normalised.spans[0].1.resource.len();
    assert_eq!((normalised.spans.len(), normalised.rejected.len()), (kept, 300 - kept));
    assert!(normalised.spans.iter().all(|(_, span)| Arc::ptr_eq(&span.resource, &normalised.spans[0].1.resource)));
    assert!(normalised.summary().unwrap().contains("send fewer at once"), "{:?}", normalised.summary());
}

#[test]
fn a_name_that_is_a_payload_is_refused() {
    let mut long = span(&[]);
    long.name = "x".repeat(NAME_BYTES_MAX + 1);
    let normalised = normalised(&request(vec![long]));
    assert!(normalised.summary().unwrap().contains("65536 bytes"));
}

#[test]
fn events_past_the_bound_are_counted() {
    let mut chatty = span(&[]);
    let chunk = Event { name: "chunk".to_owned(), time_unix_nano: RECEIVED as u64, ..Default::default() };
    chatty.events = vec![chunk; EVENTS_MAX + 5];
    let events = only(request(vec![chatty])).events;
    let last = events.last().unwrap();
    assert_eq!(
        (events.len(), last.name.as_str(), last.attributes.as_str()),
        (EVENTS_MAX + 1, EVENTS_DROPPED, r#"{"count":5}"#)
    );
}

/// Any JSON, with keys and words that mean something.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let word = prop::sample::select(vec![
        "resourceSpans",
        "scopeSpans",
        "spans",
        "attributes",
        "key",
        "value",
        "stringValue",
        "intValue",
        "arrayValue",
        "kvlistValue",
        "values",
        "traceId",
        "spanId",
        "startTimeUnixNano",
        "status",
        "code",
        "events",
        "name",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        ".*".prop_map(|value| json!(value)),
        word.clone().prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(12, 96, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| json!(values)),
            prop::collection::vec((word.clone(), inner), 0..4)
                .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// A value of any type, of those that fields are made of and of others.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), any::<f64>()].prop_map(Value::DoubleValue),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Value::BytesValue),
        prop_oneof![Just("{}".to_owned()), Just("[null]".to_owned()), Just("null".to_owned()), ".{0,8}".boxed()]
            .prop_map(Value::StringValue),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        let any_value = inner.prop_map(|value| AnyValue { value: Some(value) });
        let member = (".{0,4}", any_value.clone()).prop_map(|(key, value)| KeyValue {
            key,
            value: Some(value),
            ..Default::default()
        });
        prop_oneof![
            prop::collection::vec(any_value, 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            prop::collection::vec(member, 0..3).prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
    })
}

#[test]
fn every_key_takes_every_type_and_keeps_it() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let good = [("session.id", text("talk")), ("gen_ai.usage.input_tokens", Value::IntValue(5))];
    let alone = one(&good);
    for key in known_keys() {
        for _ in 0..8 {
            let value = any_value().new_tree(&mut runner).unwrap().current();
            let mut neighbour = span(&good);
            neighbour.span_id = vec![3; 8];
            let spans = normalised(&request(vec![span(&[(key.as_str(), value.clone())]), neighbour])).spans;
            let [(_, odd), (_, neighbour)] = spans.as_slice() else { panic!("{key}: {value:?} lost a span") };
            assert_eq!((&neighbour.session_id, neighbour.usage), (&alone.session_id, alone.usage));
            let attributes: serde_json::Value = serde_json::from_str(&odd.attributes).unwrap();
            assert!(attributes.as_object().is_some_and(|attributes| attributes.contains_key(&key)), "{key}: {value:?}");
            for object in [Some(&odd.metadata), odd.model_parameters.as_ref(), odd.usage_details.as_ref()] {
                let is_object = |text: &String| serde_json::from_str::<serde_json::Map<_, _>>(text).is_ok();
                assert!(object.is_none_or(is_object), "{key}: {value:?} became {object:?}");
            }
            assert!(odd.tokens_per_second.is_none_or(f64::is_finite));
            assert_eq!(one(&[(key.as_str(), value)]).metadata, odd.metadata);
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        for encoding in ENCODINGS {
            must_not_panic(encoding, &bytes);
        }
    }

    #[test]
    fn random_json_is_read_or_refused_with_a_sentence(value in any_json()) {
        let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [value.clone()]}]}]}).to_string();
        must_not_panic(Encoding::Json, body.as_bytes());
        must_not_panic(Encoding::Json, value.to_string().as_bytes());
    }

    #[test]
    fn random_values_of_known_keys_never_panic(
        keys in prop::collection::vec(prop::sample::select(known_keys()), 1..12),
        values in prop::collection::vec(prop_oneof![".*", "[\\[\\]{}\"':,0-9a-z\\\\]{0,24}"], 12),
    ) {
        let sent: Vec<(&str, Value)> =
            keys.iter().zip(&values).map(|(key, value)| (key.as_str(), text(value))).collect();
        let span = one(&sent);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&span.attributes).unwrap().is_object());
        prop_assert!(serde_json::from_str::<serde_json::Value>(&span.metadata).unwrap().is_object());
    }
}

/// Every key that a field is read from, or that the captures hold.
fn known_keys() -> Vec<String> {
    let mut keys: Vec<String> = spanlake_dialects::normalise::known_keys().map(str::to_owned).collect();
    let spans = fixtures::decoded().flat_map(|(_, request)| normalised(&request).spans);
    let captured = spans.flat_map(|(_, span)| {
        let attributes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&span.attributes).unwrap();
        attributes.into_iter().map(|(key, _)| key)
    });
    keys.extend(captured);
    keys.sort();
    keys.dedup();
    keys
}

#[test]
fn a_capture_cut_anywhere_never_panics() {
    for (encoding, bytes) in fixtures::captures().into_values().flatten() {
        // A prime stride cuts at every kind of place.
        for end in (0..bytes.len()).step_by(bytes.len() / 97 + 1) {
            must_not_panic(encoding, &bytes[..end]);
            let other = if encoding == Encoding::Json { Encoding::Protobuf } else { Encoding::Json };
            must_not_panic(other, &bytes[..end]);
        }
    }
}

#[test]
fn every_string_cut_at_a_hundred_bytes_is_still_a_span() {
    for (capture, mut proto) in fixtures::messages() {
        let spans = proto.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|s| &mut s.spans);
        for attribute in spans.flat_map(|span| &mut span.attributes) {
            if let Some(Value::StringValue(text)) = attribute.value.as_mut().and_then(|value| value.value.as_mut()) {
                text.truncate(text.floor_char_boundary(100));
            }
        }
        let cut = normalised(&spanlake_dialects::otlp::TracesRequest::from_proto(proto));
        assert_eq!(cut.rejected, [], "{capture}");
    }
}
