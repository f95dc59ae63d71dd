//! Log records: what of a span's content they hold, and which span that is.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;
use spanlake_dialects::normalise::{BODY, NAME_BYTES_MAX, Stray};
use spanlake_dialects::otlp::{DecodeError, Encoding, LogsRequest, decode_logs};
use spanlake_dialects::{Normalised, normalise_logs};
use spanlake_model::{AgentId, Cost, Span, Status, Usage};

use crate::build::{RECEIVED, context, pairs, text};
use crate::fixtures;
use crate::wire::delimited;

fn normalised(request: &LogsRequest) -> Normalised {
    normalise_logs(request, &context(), &mut |_| Ok(None))
}

fn request_of(resource: &[(&str, Value)], scope: &str, log_records: Vec<LogRecord>) -> LogsRequest {
    LogsRequest::from_proto(message_of(resource, scope, log_records))
}

fn message_of(resource: &[(&str, Value)], scope: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope = InstrumentationScope { name: scope.to_owned(), ..Default::default() };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..Default::default() }];
    let resource = Some(Resource { attributes: pairs(resource), ..Default::default() });
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..Default::default() }];
    ExportLogsServiceRequest { resource_logs }
}

/// A record of a span, a second ago.
fn record(event: &str, attributes: &[(&str, Value)]) -> LogRecord {
    LogRecord {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        time_unix_nano: RECEIVED as u64 - 1_000_000_000,
        event_name: event.to_owned(),
        attributes: pairs(attributes),
        ..Default::default()
    }
}

pub(crate) fn with_body(event: &str, body: Value) -> LogRecord {
    LogRecord { body: Some(AnyValue { value: Some(body) }), ..record(event, &[]) }
}

fn map(members: &[(&str, Value)]) -> Value {
    Value::KvlistValue(KeyValueList { values: pairs(members) })
}

fn list(values: Vec<Value>) -> Value {
    Value::ArrayValue(ArrayValue { values: values.into_iter().map(|value| AnyValue { value: Some(value) }).collect() })
}

fn rows(records: Vec<LogRecord>) -> Vec<Span> {
    let normalised = normalised(&request_of(&[], "", records));
    assert_eq!(normalised.rejected, []);
    normalised.spans.into_iter().map(|(_, row)| row).collect()
}

pub(crate) fn one(record: LogRecord) -> Span {
    rows(vec![record]).remove(0)
}

fn refusal(record: LogRecord) -> String {
    let mut normalised = normalised(&request_of(&[], "", vec![record]));
    assert_eq!(normalised.spans, []);
    normalised.rejected.remove(0).reason
}

fn json_of(content: Option<&String>) -> serde_json::Value {
    serde_json::from_str(content.unwrap()).unwrap()
}

#[test]
fn the_content_that_a_capture_has_only_in_its_logs_is_on_the_right_span() {
    let mut found = BTreeSet::new();
    for (capture, encoding, bytes) in fixtures::logs() {
        let request = decode_logs(encoding, &bytes).unwrap();
        let normalised = normalised(&request);
        assert_eq!(normalised.rejected, [], "{capture}");
        let rows: Vec<&Span> = normalised.spans.iter().map(|(_, row)| row).collect();
        for row in &rows {
            assert_eq!((row.usage, row.cost, row.cost_source), (Usage::default(), Cost::default(), None), "{capture}");
            assert_eq!((row.kind.as_str(), row.end), ("event", Some(row.start)), "{capture}");
            assert_eq!(row.log_name.as_ref(), Some(&row.name), "{capture}");
        }
        for wanted in fixtures::expected(&capture)["spans"].as_array().unwrap() {
            let with_logs = &wanted["with_logs"];
            // Claude Code logs the answer of a call on the span above it.
            let owner = if capture == "claude-code" { &wanted["parent_span_id"] } else { &wanted["span_id"] };
            let of_span = |row: &&&Span| {
                row.parent_span_id.map(|id| id.to_string()).as_deref() == owner.as_str()
                    && Some(row.trace_id.to_string().as_str()) == wanted["trace_id"].as_str()
            };
            type Content = fn(&Span) -> Option<&String>;
            let contents: [(_, Content); 2] = [
                ("input_text_contains", |row| row.input.as_ref()),
                ("output_text_contains", |row| row.output.as_ref()),
            ];
            for (what, content) in contents {
                let Some(part) = with_logs[what].as_str() else { continue };
                let texts: Vec<_> = rows.iter().filter(of_span).filter_map(|row| content(row)).collect();
                assert!(
                    texts.iter().any(|text| fixtures::leaves(text).contains(part)),
                    "{capture}: no {part:?} of {owner} in {texts:?}"
                );
                found.insert((capture.clone(), what));
            }
        }
    }
    assert_eq!(found.len(), 5, "{found:?}");
}

#[test]
fn claude_code_says_what_was_asked_and_answered_on_its_interaction() {
    let (_, encoding, bytes) = fixtures::logs().into_iter().find(|(capture, ..)| capture == "claude-code").unwrap();
    let rows: Vec<Span> =
        normalised(&decode_logs(encoding, &bytes).unwrap()).spans.into_iter().map(|(_, row)| row).collect();
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["claude_code.user_prompt", "claude_code.api_request", "claude_code.assistant_response"]);
    for row in &rows {
        assert_eq!(row.parent_span_id.unwrap().to_string(), "bc6b4b6cbac949d1");
        assert_eq!(row.session_id.as_deref(), Some("320a856d-390a-4c74-8a7e-998c1c889e14"));
        assert_eq!((row.environment.as_deref(), row.service_name.as_deref()), (Some("staging"), Some("claude-code")));
        let attributes = json_of(Some(&row.attributes));
        assert_eq!(attributes["prompt.id"], "4e443de5-314e-4963-a8c4-37211f7b2e06");
        assert!(attributes.get(BODY).is_none(), "it only repeats the name");
    }
    assert_eq!(rows[0].input.as_deref(), Some("What is the capital of France?"));
    assert_eq!((&rows[1].input, &rows[1].output), (&None, &None));
    assert_eq!(json_of(Some(&rows[1].attributes))["cost_usd_micros"], 255);
    assert_eq!(rows[2].output.as_deref(), Some("The capital of France is Paris."));
}

#[test]
fn a_record_is_itself_whatever_it_is_sent_with_and_two_that_say_the_same_are_two() {
    let said = |text_: &str| with_body("gen_ai.user.message", text(text_));
    let ids = |records| rows(records).into_iter().map(|row| row.span_id).collect::<Vec<_>>();
    let together = ids(vec![said("a"), said("b"), said("b")]);
    assert_eq!(ids(vec![said("b"), said("b")]), together[1..]);
    assert_eq!(ids(vec![said("b"), said("a")]), [together[1], together[0]]);
    assert_ne!(together[1], together[2]);
}

#[test]
fn json_and_protobuf_of_one_request_are_the_same_rows_and_so_is_a_resend() {
    for (capture, encoding, bytes) in fixtures::logs() {
        let request = decode_logs(encoding, &bytes).unwrap();
        let first = normalised(&request);
        assert_eq!(normalised(&decode_logs(encoding, &bytes).unwrap()), first, "{capture}");
        if encoding == Encoding::Protobuf {
            let json = serde_json::to_vec(&ExportLogsServiceRequest::decode(&*bytes).unwrap()).unwrap();
            assert_eq!(normalised(&decode_logs(Encoding::Json, &json).unwrap()), first, "{capture}");
        }
        let ids: BTreeSet<_> = first.spans.iter().map(|(_, row)| row.key()).collect();
        assert_eq!(ids.len(), first.spans.len(), "{capture}: each record is a row of its own");
    }
}

#[test]
fn json_is_read_leniently() {
    let body = json!({"resource_logs": [{"scope_logs": [{"log_records": [
        {"time_unix_nano": RECEIVED.to_string(), "trace_id": "CvdlGRbNQ92ESOshHIAxnA==", "span_id": "B7AD6B7169203331",
         "severity_number": "SEVERITY_NUMBER_WARN", "event_name": "gen_ai.user.message", "new": [1],
         "body": {"kvlist_value": {"values": [{"key": "content", "value": {"string_value": "hi"}}]}}},
        {"observedTimeUnixNano": RECEIVED, "traceId": "0af7651916cd43dd8448eb211c80319c", "severityNumber": 9,
         "body": "plain", "attributes": null}
    ]}]}], "more": null});
    let normalised = normalised(&decode_logs(Encoding::Json, body.to_string().as_bytes()).unwrap());
    assert_eq!(normalised.rejected, []);
    let (first, second) = (&normalised.spans[0].1, &normalised.spans[1].1);
    assert_eq!(first.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(first.parent_span_id.unwrap().to_string(), "b7ad6b7169203331");
    assert_eq!((first.level.as_deref(), second.level.as_deref()), (Some("WARNING"), Some("DEFAULT")));
    assert_eq!(first.input.as_deref(), Some(r#"{"role":"user","content":"hi"}"#));
    assert_eq!((second.name.as_str(), second.parent_span_id), ("log", None));
    assert_eq!(second.attributes, r#"{"log.body":"plain"}"#);
}

#[test]
fn a_message_is_one_object_with_its_role() {
    let call = map(&[
        ("id", text("call_1")),
        ("type", text("function")),
        ("function", map(&[("name", text("get_weather")), ("arguments", text("{\"city\":\"Paris\"}"))])),
    ]);
    let calls = || list(vec![call.clone()]);
    let asked = json!([{"function": {"arguments": "{\"city\":\"Paris\"}", "name": "get_weather"}, "id": "call_1", "type": "function"}]);
    let cases = [
        (
            "gen_ai.system.message",
            map(&[("content", text("Be brief."))]),
            json!({"role": "system", "content": "Be brief."}),
        ),
        ("gen_ai.user.message", map(&[("content", text("[1]"))]), json!({"role": "user", "content": "[1]"})),
        ("gen_ai.user.message", text("[1] plain"), json!({"role": "user", "content": "[1] plain"})),
        ("gen_ai.user.message", text(r#"{"a": 1}"#), json!({"role": "user", "content": "{\"a\": 1}"})),
        (
            "gen_ai.assistant.message",
            map(&[("tool_calls", calls()), ("content", Value::StringValue(String::new()))]),
            json!({"role": "assistant", "tool_calls": asked, "content": ""}),
        ),
        (
            "gen_ai.tool.message",
            text(r#"{"role": "AuthorRole.TOOL", "content": "21C", "tool_call_id": "call_1"}"#),
            json!({"role": "tool", "content": "21C", "tool_call_id": "call_1"}),
        ),
        (
            "gen_ai.user.message",
            map(&[("content", map(&[("role", text("user")), ("parts", list(vec![map(&[("text", text("hi"))])]))]))]),
            json!({"role": "user", "parts": [{"text": "hi"}]}),
        ),
    ];
    for (event, body, wanted) in cases {
        let row = one(with_body(event, body));
        assert_eq!(json_of(row.input.as_ref()), wanted, "{event}");
        assert_eq!((row.output, row.log_name.as_deref()), (None, Some(event)));
    }
    let choices = [
        (
            map(&[
                ("index", Value::IntValue(0)),
                ("finish_reason", text("tool_calls")),
                ("message", map(&[("role", text("assistant")), ("tool_calls", calls())])),
            ]),
            json!({"role": "assistant", "finish_reason": "tool_calls", "index": 0, "tool_calls": asked}),
        ),
        (
            text(
                r#"{"message": {"role": "assistant", "content": "Paris"}, "finish_reason": "FinishReason.STOP", "index": 0}"#,
            ),
            json!({"role": "assistant", "content": "Paris", "finish_reason": "stop", "index": 0}),
        ),
        (
            map(&[("message", text("{\"parts\": 1}")), ("index", Value::IntValue(1))]),
            json!({"role": "assistant", "content": "{\"parts\": 1}", "index": 1}),
        ),
    ];
    for (body, wanted) in choices {
        let row = one(with_body("gen_ai.choice", body));
        assert_eq!((json_of(row.output.as_ref()), row.input), (wanted, None));
    }
}

#[test]
fn a_message_may_be_in_attributes_and_its_name_in_one() {
    let row = one(record(
        "",
        &[("event.name", text("gen_ai.user.message")), ("content", text("hi")), ("gen_ai.system", text("openai"))],
    ));
    assert_eq!(row.input.as_deref(), Some(r#"{"role":"user","content":"hi"}"#));
    let row = one(record("gen_ai.choice", &[("gen_ai.event.content", text(r#"{"message": {"content": "yes"}}"#))]));
    assert_eq!(row.output.as_deref(), Some(r#"{"role":"assistant","content":"yes"}"#));
}

#[test]
fn a_message_without_content_is_none() {
    for body in [
        map(&[]),
        map(&[("role", text("user")), ("content", text(""))]),
        map(&[("content", text("<REDACTED>")), ("id", text("call_1"))]),
        map(&[
            ("index", Value::IntValue(0)),
            ("finish_reason", text("stop")),
            ("message", map(&[("role", text("assistant"))])),
        ]),
        text(""),
    ] {
        for event in ["gen_ai.user.message", "gen_ai.choice"] {
            let row = one(with_body(event, body.clone()));
            assert_eq!((row.input, row.output), (None, None), "{event} {body:?}");
        }
    }
}

#[test]
fn details_are_content_as_on_a_span_in_attributes_and_in_the_body() {
    const DETAILS: &str = "gen_ai.client.inference.operation.details";
    let message = |role: &str, said: &str| {
        let part = map(&[("type", text("text")), ("content", text(said))]);
        list(vec![map(&[("role", text(role)), ("parts", list(vec![part]))])])
    };
    let attributes = [
        ("gen_ai.system_instructions", list(vec![map(&[("type", text("text")), ("content", text("Be brief."))])])),
        ("gen_ai.input.messages", message("user", "hi")),
        ("gen_ai.output.messages", message("assistant", "ho")),
        ("gen_ai.usage.input_tokens", Value::IntValue(7)),
        ("gen_ai.response.id", text("r-1")),
    ];
    let sent = one(record(DETAILS, &attributes));
    let in_json: Vec<(&str, Value)> =
        attributes.iter().map(|(key, value)| (*key, text(&serde_json::to_string(&plain(value)).unwrap()))).collect();
    let as_json = one(record(DETAILS, &in_json));
    let in_body = one(with_body(DETAILS, map(&attributes)));
    let unnamed = one(record("", &attributes));
    for row in [&sent, &as_json, &in_body, &unnamed] {
        assert_eq!(
            json_of(row.input.as_ref()),
            json!([{"role": "system", "parts": [{"content": "Be brief.", "type": "text"}]},
                {"role": "user", "parts": [{"content": "hi", "type": "text"}]}])
        );
        assert_eq!(
            json_of(row.output.as_ref()),
            json!([{"role": "assistant", "parts": [{"content": "ho", "type": "text"}]}])
        );
        assert_eq!(row.usage, Usage::default());
    }
    assert_eq!(sent.response_id.as_deref(), Some("r-1"));
}

fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::StringValue(text) => json!(text),
        Value::IntValue(number) => json!(number),
        Value::ArrayValue(array) => array.values.iter().map(|value| plain(value.value.as_ref().unwrap())).collect(),
        Value::KvlistValue(list) => {
            let member = |pair: &opentelemetry_proto::tonic::common::v1::KeyValue| {
                (pair.key.clone(), plain(pair.value.as_ref().unwrap().value.as_ref().unwrap()))
            };
            list.values.iter().map(member).collect::<serde_json::Map<_, _>>().into()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn coding_agents_content_is_where_each_puts_it() {
    let contents = r#"[{"role":"user","parts":[{"text":"hi"}]}]"#;
    type Case<'a> = (&'a str, &'a [(&'a str, Value)], Option<&'a str>, Option<&'a str>);
    let cases: [Case<'_>; 11] = [
        ("codex.user_prompt", &[("prompt", text("hi"))], Some("hi"), None),
        ("codex.user_prompt", &[("prompt", text("[REDACTED]"))], None, None),
        ("codex.tool_result", &[("arguments", text("{}")), ("output", text("of the tool"))], None, None),
        ("codex.sse_event", &[("input_token_count", text("7"))], None, None),
        ("gemini_cli.user_prompt", &[("prompt", text("hi"))], Some("hi"), None),
        ("gemini_cli.api_request", &[("request_text", text(contents))], Some(contents), None),
        ("gemini_cli.api_response", &[("response_text", text("ho"))], None, Some("ho")),
        ("gemini_cli.tool_call", &[("function_args", text("{\"a\":1}"))], Some("{\"a\":1}"), None),
        ("user_prompt", &[("prompt", text("<REDACTED>"))], None, None),
        ("claude_code.tool_result", &[("tool_name", text("Bash")), ("output", text("of the tool"))], None, None),
        ("gen_ai.evaluation.result", &[("gen_ai.evaluation.name", text("tone"))], None, None),
    ];
    for (event, attributes, input, output) in cases {
        let mut sent = record("event otel/src/lib.rs:1089", attributes);
        sent.attributes.extend(pairs(&[("event.name", text(event))]));
        let row = one(sent);
        assert_eq!((row.input.as_deref(), row.output.as_deref()), (input, output), "{event}");
        assert_eq!((row.log_name.as_deref(), row.status), (Some(event), Status::Unset));
    }
}

#[test]
fn an_exception_is_an_error_with_its_message() {
    let row = one(record(
        "gen_ai.client.operation.exception",
        &[("exception.type", text("RateLimitError")), ("exception.message", text("slow down"))],
    ));
    assert_eq!((row.status, row.status_message.as_deref()), (Status::Error, Some("RateLimitError: slow down")));
}

#[test]
fn the_body_is_kept_whole_unless_it_repeats_the_name() {
    let body = map(&[("content", text("hi")), ("more", Value::IntValue(1))]);
    let row = one(LogRecord { attributes: pairs(&[("body", text("mine"))]), ..with_body("gen_ai.user.message", body) });
    assert_eq!(row.attributes, r#"{"body":"mine","log.body":{"content":"hi","more":1}}"#);
    assert_eq!(one(with_body("gen_ai.choice", text("gen_ai.choice"))).attributes, "{}");
    assert_eq!(one(with_body("x", text("said"))).attributes, r#"{"log.body":"said"}"#);
}

#[test]
fn messages_of_one_instant_keep_their_order_and_stay_apart() {
    let said = ["yes", "and?", "yes"].map(|said| with_body("gen_ai.user.message", map(&[("content", text(said))])));
    let first = rows(said.to_vec());
    assert!(first.is_sorted_by_key(|row| row.start) && first[0].start < first[2].start);
    assert_eq!(first.iter().map(|row| row.span_id).collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(rows(said.to_vec()), first, "sent again they are the same");
}

#[test]
fn a_record_without_a_trace_lies_with_its_session_else_its_prompt_else_its_answer() {
    let stray =
        |attributes: &[(&str, Value)]| LogRecord { trace_id: Vec::new(), ..record("gen_ai.choice", attributes) };
    let cases = [
        (Stray::Session, "session.id"),
        (Stray::Session, "gen_ai.conversation.id"),
        (Stray::Session, "conversation.id"),
        (Stray::Prompt, "prompt.id"),
        (Stray::Prompt, "prompt_id"),
        (Stray::Response, "gen_ai.response.id"),
        (Stray::Response, "request_id"),
    ];
    for (by, key) in cases {
        let row = one(stray(&[(key, text("some-id"))]));
        assert_eq!((row.trace_id, row.parent_span_id), (by.trace("some-id"), None), "{key}");
    }
    let row = one(stray(&[("session.id", text("s")), ("gen_ai.response.id", text("r"))]));
    assert_eq!((row.trace_id, row.session_id.as_deref()), (Stray::Session.trace("s"), Some("s")));
    assert_eq!(row.response_id.as_deref(), Some("r"));
    // The hash is written down in the rows of every store there is.
    assert_eq!(Stray::Session.trace("some-id").to_string(), "0a8d0363ed155be0b4d1fd5cac9369a0");
    for bad in [vec![0; 16], vec![1; 3]] {
        let reason = refusal(LogRecord { trace_id: bad, ..stray(&[]) });
        assert!(reason.contains("trace id") && reason.contains("session.id"), "{reason}");
    }
}

#[test]
fn a_record_of_something_else_is_kept_when_it_is_of_a_trace_and_refused_when_it_is_not() {
    let other = |trace: Vec<u8>| LogRecord {
        trace_id: trace,
        severity_number: 17,
        ..LogRecord { body: with_body("", text("connection reset")).body, ..record("", &[("session.id", text("s"))]) }
    };
    let row = one(other(vec![1; 16]));
    assert_eq!((row.name.as_str(), row.level.as_deref(), row.status), ("log", Some("ERROR"), Status::Unset));
    assert_eq!((row.input, row.output), (None, None));
    assert!(refusal(other(Vec::new())).contains("inside a span"));
    // Of a known sender it is kept.
    let resource = [("service.name", text("claude-code"))];
    assert_eq!(normalised(&request_of(&resource, "", vec![other(Vec::new())])).rejected, []);
    assert_eq!(normalised(&request_of(&[], "codex_otel", vec![other(Vec::new())])).rejected, []);
}

#[test]
fn a_bad_record_is_refused_alone_and_says_why() {
    let mut records = vec![record("gen_ai.choice", &[]); 6];
    records[0].time_unix_nano = 0;
    records[2].time_unix_nano = 5;
    records[3].time_unix_nano = u64::MAX;
    records[4].event_name = "x".repeat(NAME_BYTES_MAX + 1);
    records[5].time_unix_nano = 0;
    records[5].observed_time_unix_nano = RECEIVED as u64;
    let normalised = normalised(&request_of(&[], "", records));
    assert_eq!(normalised.spans.iter().map(|(ordinal, _)| *ordinal).collect::<Vec<_>>(), [1, 5]);
    let reasons: BTreeMap<u32, &str> =
        normalised.rejected.iter().map(|one| (one.ordinal, one.reason.as_str())).collect();
    assert_eq!(reasons[&0], "the time of a log record must be set");
    assert_eq!(reasons[&2], "the time of a log record must not be more than 400 days ago");
    assert_eq!(reasons[&3], "the time of a log record must not be more than 24 hours ahead");
    assert!(reasons[&4].contains("65536 bytes"), "{}", reasons[&4]);
    assert!(normalised.summary().unwrap().starts_with("4 of 6 log records rejected"), "{:?}", normalised.summary());
}

#[test]
fn the_agent_of_the_resource_is_asked_for_and_may_be_refused() {
    let agent = AgentId::from_bytes([7; 16]);
    let request = request_of(&[("agentos.agent_id", text("a"))], "", vec![record("gen_ai.choice", &[]); 2]);
    assert_eq!(request.named_agents(), BTreeSet::from(["a".into()]));
    let kept = normalise_logs(&request, &context(), &mut |named| {
        assert_eq!(named, Some("a"));
        Ok(Some(agent))
    });
    assert!(kept.spans.iter().all(|(_, row)| row.agent_id == Some(agent)));
    let refused = normalise_logs(&request, &context(), &mut |_| Err("no".to_owned()));
    assert_eq!((refused.spans.len(), refused.rejected.len()), (0, 2));
}

#[test]
fn ten_thousand_attributes_are_kept() {
    let keys: Vec<String> = (0..10_000).map(|number| format!("key.{number}")).collect();
    let attributes: Vec<(&str, Value)> = keys.iter().map(|key| (key.as_str(), Value::BoolValue(true))).collect();
    let row = one(record("gen_ai.choice", &attributes));
    assert_eq!(json_of(Some(&row.attributes)).as_object().unwrap().len(), 10_000);
}

#[test]
fn a_body_that_is_too_deep_loses_only_its_depths() {
    let mut body = text("bottom");
    for _ in 0..200 {
        body = map(&[("k", body)]);
    }
    let neighbour = with_body("gen_ai.choice", text("a neighbour"));
    let proto = message_of(&[], "", vec![with_body("gen_ai.choice", body), neighbour]);
    let protobuf = decode_logs(Encoding::Protobuf, &proto.encode_to_vec()).unwrap();
    let json = decode_logs(Encoding::Json, &serde_json::to_vec(&proto).unwrap()).unwrap();
    for request in [protobuf, json] {
        let rows = normalised(&request).spans;
        assert_eq!(rows.len(), 2);
        let deep = json_of(Some(&rows[0].1.attributes));
        assert!(deep["log.body"]["k"]["k"]["k"].is_object(), "{deep}");
        assert!(rows[1].1.output.as_ref().unwrap().contains("a neighbour"));
    }
    // Not decoded but made by hand, it is cut and not followed.
    assert!(normalised(&LogsRequest::from_proto(proto)).spans[0].1.attributes.contains("null"));
}

#[test]
fn a_malformed_record_loses_only_itself() {
    let good = with_body("gen_ai.choice", text("good")).encode_to_vec();
    // Field 6, the attributes, as a number.
    let bad = [&good[..], &[6 << 3, 1]].concat();
    let body = delimited(1, &delimited(2, &[delimited(2, &bad), delimited(2, &good)].concat()));
    let read = normalised(&decode_logs(Encoding::Protobuf, &body).unwrap());
    assert_eq!((read.spans.len(), read.spans[0].0), (1, 1));
    assert_eq!(read.rejected[0].reason, "the log record cannot be read: field 6 has another type than it should");
    let body = delimited(1, &delimited(2, &delimited(2, &bad)));
    assert!(matches!(decode_logs(Encoding::Protobuf, &body), Err(DecodeError::Protobuf { .. })));
}

pub(crate) fn must_not_panic(encoding: Encoding, bytes: &[u8]) {
    if let Ok(request) = decode_logs(encoding, bytes) {
        let first = normalised(&request);
        assert_eq!(first.spans.len() + first.rejected.len(), request.record_count());
        assert_eq!(normalised(&request), first);
        let _ = first.summary();
    }
}

#[test]
fn a_capture_cut_anywhere_never_panics() {
    for (_, encoding, bytes) in fixtures::logs() {
        for end in (0..bytes.len()).step_by(bytes.len() / 97 + 1) {
            must_not_panic(encoding, &bytes[..end]);
            must_not_panic(if encoding == Encoding::Json { Encoding::Protobuf } else { Encoding::Json }, &bytes[..end]);
        }
    }
}

/// Events and members that mean something, and values that may be anything.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Value::StringValue),
        prop_oneof![Just("{}"), Just("[{\"role\":7}]"), Just("{\"message\":[]}"), Just("{'a':"), Just("\"\\ud800\"")]
            .prop_map(text),
        any::<i64>().prop_map(Value::IntValue),
        any::<f64>().prop_map(Value::DoubleValue),
        any::<Vec<u8>>().prop_map(Value::BytesValue),
    ];
    let key =
        prop_oneof![Just("content"), Just("message"), Just("parts"), Just("role"), Just("finish_reason"), Just("")];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(list),
            prop::collection::vec((key.clone(), inner), 0..4).prop_map(|members| map(&members)),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_a_record_holds_is_a_row_with_valid_json(
        event in prop_oneof![Just("gen_ai.user.message"), Just("gen_ai.choice"), Just("user_prompt"),
            Just("gen_ai.client.inference.operation.details"), Just("gen_ai.client.operation.exception"), Just("")],
        body in any_value(),
        attributes in prop::collection::vec((prop_oneof![Just("event.name"), Just("prompt"), Just("content"),
            Just("gen_ai.input.messages"), Just("gen_ai.event.content"), Just("session.id"), Just("metadata")], any_value()), 0..6),
    ) {
        let mut sent = with_body(event, body);
        sent.attributes = pairs(&attributes);
        let message = message_of(&[], "", vec![sent]);
        let bytes = message.encode_to_vec();
        let normalised = normalised(&LogsRequest::from_proto(message));
        prop_assert_eq!(normalised.spans.len(), 1);
        let row = &normalised.spans[0].1;
        prop_assert!(serde_json::from_str::<serde_json::Value>(&row.attributes).unwrap().is_object());
        if row.log_name.as_deref() == Some("gen_ai.choice") && let Some(output) = &row.output {
            prop_assert!(serde_json::from_str::<serde_json::Value>(output).unwrap()["role"].is_string());
        }
        must_not_panic(Encoding::Protobuf, &bytes);
    }

    #[test]
    fn random_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        must_not_panic(Encoding::Protobuf, &bytes);
        must_not_panic(Encoding::Json, &bytes);
    }
}
