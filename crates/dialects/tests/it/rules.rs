//! What each field is read from, and what is refused.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{Span, Status as ProtoStatus};
use spanlake_dialects::{Context, normalise};
use spanlake_model::{AgentId, AppId, Status, Timestamp};

use crate::build::{RECEIVED, context, message_of, normalised, one, only, pairs, request, request_of, span, text};

fn int(value: i64) -> Value {
    Value::IntValue(value)
}

#[test]
fn a_bad_span_is_refused_with_what_it_must_be_and_its_place() {
    let broken = |change: fn(&mut Span)| {
        let mut broken = span(&[]);
        change(&mut broken);
        broken
    };
    const DAY: u64 = 86_400_000_000_000;
    let spans = vec![
        span(&[]),
        broken(|span| span.trace_id = vec![0; 16]),
        broken(|span| span.span_id = vec![1; 7]),
        broken(|span| span.span_id.clear()),
        broken(|span| span.start_time_unix_nano = 0),
        broken(|span| span.start_time_unix_nano -= 401 * DAY),
        broken(|span| span.start_time_unix_nano += 2 * DAY),
        broken(|span| span.start_time_unix_nano = u64::MAX),
        span(&[]),
    ];
    let normalised = normalised(&request(spans));
    assert_eq!(normalised.spans.iter().map(|(ordinal, _)| *ordinal).collect::<Vec<_>>(), [0, 8]);
    assert_eq!(normalised.rejected.iter().map(|rejected| rejected.ordinal).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(
        normalised.summary().unwrap(),
        "7 of 9 spans rejected: 2 × the span id must be 16 hex digits, not all zero; \
         2 × the start time must not be more than 24 hours ahead; 1 × the start time must be set; \
         1 × the start time must not be more than 400 days ago; 1 × the trace id must be 32 hex digits, not all zero"
    );
}

#[test]
fn the_bounds_of_time_are_the_context_s() {
    let received = Timestamp::from_nanos(RECEIVED);
    let strict = Context { span_age_max: Duration::ZERO, ..Context::new(AppId::from_bytes([1; 16]), received) };
    let refused = normalise(&request(vec![span(&[])]), &strict, &mut |_| Ok(None));
    assert_eq!(refused.rejected[0].reason, "the start time must not be more than 0 seconds ago");
}

#[test]
fn an_end_before_the_start_is_the_start_and_no_end_is_not_finished() {
    let mut backwards = span(&[]);
    backwards.end_time_unix_nano = backwards.start_time_unix_nano - 5;
    let read = only(request(vec![backwards]));
    assert_eq!(read.end, Some(read.start));
    let mut open = span(&[]);
    open.end_time_unix_nano = 0;
    assert!(!only(request(vec![open])).is_finished());
}

#[test]
fn a_pending_span_stands_for_the_span_it_announces() {
    let pending =
        [("logfire.span_type", text("pending_span")), ("logfire.pending_parent_id", text("0000000000000000"))];
    let mut announcement = span(&pending);
    announcement.parent_span_id = vec![7; 8];
    let read = only(request(vec![announcement]));
    assert!(!read.is_finished());
    assert_eq!((read.span_id.as_bytes(), read.parent_span_id), (&[7; 8], None));
}

#[test]
fn no_parent_is_a_root_however_it_is_spelled() {
    for parent in [vec![], vec![0; 8], vec![2; 8], vec![1; 3]] {
        let mut root = span(&[]);
        root.parent_span_id = parent;
        assert_eq!(only(request(vec![root])).parent_span_id, None);
    }
}

#[test]
fn the_agent_is_asked_for_once_per_resource_and_may_be_refused() {
    let agent = AgentId::from_bytes([3; 16]);
    let mut proto = message_of(&[("agentos.agent_id", text("a"))], "", vec![span(&[]), span(&[])]);
    proto.resource_spans.extend(message_of(&[("agentos.agent_id", text("b"))], "", vec![span(&[])]).resource_spans);
    proto.resource_spans.extend(message_of(&[], "", vec![span(&[])]).resource_spans);
    let mut asked = Vec::new();
    let request = spanlake_dialects::otlp::TracesRequest::from_proto(proto);
    let answer = normalise(&request, &context(), &mut |name| {
        asked.push(name.map(str::to_owned));
        if name == Some("b") { Err("there is no such agent".to_owned()) } else { Ok(name.map(|_| agent)) }
    });
    assert_eq!(asked, [Some("a".to_owned()), Some("b".to_owned()), None]);
    assert_eq!(
        answer.spans.iter().map(|(_, span)| span.agent_id).collect::<Vec<_>>(),
        [Some(agent), Some(agent), None]
    );
    assert_eq!((answer.rejected[0].ordinal, answer.rejected[0].reason.as_str()), (2, "there is no such agent"));
}

#[test]
fn the_span_is_believed_before_the_resource() {
    let resource = [
        ("session.id", text("window")),
        ("user.id", text("of the resource")),
        ("deployment.environment", text("prod")),
        ("service.version", text("1.2")),
        ("service.name", text("svc")),
    ];
    let read = only(request_of(&resource, "scope", vec![span(&[("gen_ai.conversation.id", text("talk"))])]));
    assert_eq!(read.session_id.as_deref(), Some("talk"));
    assert_eq!(read.user_id.as_deref(), Some("of the resource"));
    assert_eq!((read.environment.as_deref(), read.version.as_deref()), (Some("prod"), Some("1.2")));
    assert_eq!((read.service_name.as_deref(), read.scope_name.as_deref()), (Some("svc"), Some("scope")));
}

#[test]
fn a_dialect_is_believed_field_by_field() {
    let read = one(&[
        ("langfuse.session.id", text("s1")),
        ("session.id", text("s2")),
        ("llm.model_name", text("oi")),
        ("gen_ai.response.model", text("")),
        ("gen_ai.request.model", text("asked")),
        ("ai.usage.inputTokens", int(5)),
        ("traceloop.workflow.name", text("flow")),
    ]);
    assert_eq!(read.session_id.as_deref(), Some("s1"));
    assert_eq!((read.model.as_deref(), read.request_model.as_deref()), (Some("asked"), Some("asked")));
    assert_eq!((read.usage.input, read.kind.as_str(), read.trace_name.as_deref()), (Some(5), "llm", Some("flow")));
}

#[test]
fn an_unknown_kind_is_kept_and_a_known_one_is_believed_first() {
    assert_eq!(one(&[("openinference.span.kind", text("Sorcerer"))]).kind.as_str(), "sorcerer");
    let both = [("openinference.span.kind", text("UNKNOWN")), ("gen_ai.operation.name", text("chat"))];
    assert_eq!(one(&both).kind.as_str(), "llm");
    assert_eq!(one(&[("gen_ai.operation.name", text("update_memory"))]).kind.as_str(), "tool");
    assert_eq!(one(&[("model", text("a model alone"))]).kind.as_str(), "span");
    assert_eq!(one(&[("model", text("a model alone"))]).model, None);
    assert_eq!(one(&[("agentos.kind", text("step"))]).kind.as_str(), "step");
}

fn tokens(sent: &[(&str, Value)]) -> (Option<i64>, Option<i64>) {
    let usage = one(sent).usage;
    (usage.input, usage.total)
}

#[test]
fn input_includes_its_caches_whoever_sent_it() {
    let sent = |input, total: Option<i64>| {
        let mut sent = vec![
            ("gen_ai.usage.input_tokens", int(input)),
            ("gen_ai.usage.output_tokens", int(10)),
            ("gen_ai.usage.cache_read.input_tokens", int(100)),
            ("gen_ai.usage.cache_creation.input_tokens", int(20)),
        ];
        sent.extend(total.map(|total| ("gen_ai.usage.total_tokens", int(total))));
        sent
    };
    assert_eq!(tokens(&sent(500, None)), (Some(500), Some(510)));
    assert_eq!(tokens(&sent(50, None)), (Some(170), Some(180)));
    assert_eq!(tokens(&sent(500, Some(630))), (Some(620), Some(630)));
    assert_eq!(tokens(&sent(500, Some(510))), (Some(500), Some(510)));
    let claude = only(request_of(&[], "com.anthropic.claude_code.tracing", vec![span(&sent(500, None))]));
    assert_eq!(claude.usage.input, Some(620));
    let anthropic = [sent(500, None), vec![("gen_ai.system", text("Anthropic"))]].concat();
    let openlit = only(request_of(&[("telemetry.sdk.name", text("openlit"))], "", vec![span(&anthropic)]));
    assert_eq!(openlit.usage.input, Some(620));
}

#[test]
fn absent_tokens_are_not_zero() {
    let read =
        one(&[("gen_ai.usage.input_tokens", int(-1)), ("gen_ai.usage.output_tokens", Value::DoubleValue(f64::NAN))]);
    assert_eq!(read.usage, spanlake_model::Usage::default());
}

#[test]
fn usage_in_an_object_is_read_in_its_three_shapes() {
    let details = |json: &str| one(&[("langfuse.observation.usage_details", text(json))]).usage;
    let openai = details(
        r#"{"prompt_tokens":30,"completion_tokens":9,"total_tokens":39,"prompt_tokens_details":{"cached_tokens":20},
        "completion_tokens_details":{"reasoning_tokens":4}}"#,
    );
    assert_eq!(
        (openai.input, openai.cache_read, openai.reasoning, openai.total),
        (Some(30), Some(20), Some(4), Some(39))
    );
    let buckets = details(r#"{"input":10,"input_cache_read":20,"output":5,"output_reasoning":4,"total":39}"#);
    assert_eq!((buckets.input, buckets.output, buckets.cache_read), (Some(30), Some(9), Some(20)));
    let typed = details(r#"{"input":10,"output":5,"cache_read_input_tokens":20}"#);
    assert_eq!((typed.input, typed.total), (Some(30), Some(35)));
    let python = one(&[(
        "langsmith.metadata.usage_metadata",
        text("{'input_tokens': 7, 'input_token_details': {'cache_read': 2}}"),
    )]);
    assert_eq!((python.usage.input, python.usage.cache_read), (Some(7), Some(2)));
}

#[test]
fn dollars_are_those_sent_and_free_with_tokens_is_unknown() {
    let total = |sent: &[(&str, Value)]| one(sent).cost.total.map(|money| money.as_dollars());
    assert_eq!(total(&[("gen_ai.usage.cost", Value::DoubleValue(0.25))]), Some(0.25));
    assert_eq!(total(&[("llm.cost.prompt", text("0.1")), ("llm.cost.completion", text("0.2"))]), Some(0.3));
    assert_eq!(total(&[("langfuse.observation.cost_details", text(r#"{"input":0.5,"output":1}"#))]), Some(1.5));
    assert_eq!(total(&[("gen_ai.usage.cost", Value::DoubleValue(0.0)), ("gen_ai.usage.input_tokens", int(1))]), None);
    assert_eq!(total(&[("operation.cost", Value::DoubleValue(-1.0))]), None);
}

#[test]
fn instructions_come_before_messages_unless_they_are_among_them() {
    let system = r#"[{"type":"text","content":"Be brief."}]"#;
    let user = r#"[{"role": "user", "parts": [{"content": 12345678901234567890123}]}]"#;
    let read = one(&[("gen_ai.system_instructions", text(system)), ("gen_ai.input.messages", text(user))]);
    let expected = format!(r#"[{{"role":"system","parts":{system}}},{}"#, &user[1..]);
    assert_eq!(read.input.as_deref(), Some(expected.as_str()));
    let among = r#"[{"role":"system","parts":[]},{"role":"user","content":"Hi"}]"#;
    let read = one(&[("gen_ai.system_instructions", text("Be \"brief\".")), ("gen_ai.input.messages", text(among))]);
    assert_eq!(read.input.as_deref(), Some(among));
    let alone = [("gen_ai.system_instructions", text("Be \"brief\".")), ("gen_ai.operation.name", text("chat"))];
    let alone = one(&alone);
    let expected = r#"[{"role":"system","parts":[{"type":"text","content":"Be \"brief\"."}]}]"#;
    assert_eq!(alone.input.as_deref(), Some(expected));
    let empty = one(&[("gen_ai.system_instructions", text("x")), ("gen_ai.input.messages", text("[ ]"))]);
    assert!(serde_json::from_str::<serde_json::Value>(&empty.input.unwrap()).is_ok());
}

#[test]
fn content_keeps_every_byte() {
    for sent in ["123", "true", "[1]", " two  spaces ", "{\"a\": 1, \"a\": 2}", "[{\"cut", "12345678901234567890123"] {
        assert_eq!(one(&[("input.value", text(sent))]).input.as_deref(), Some(sent));
    }
    assert_eq!(one(&[("lmnr.span.output", text("\"quoted\\n\""))]).output.as_deref(), Some("quoted\n"));
    let arguments = [("gen_ai.tool.name", text("t")), ("gen_ai.tool.call.arguments", text("{}"))];
    assert_eq!(one(&arguments).input.as_deref(), Some("{}"));
    assert_eq!(one(&[("gcp.vertex.agent.llm_request", text("{}"))]).input, None);
}

#[test]
fn messages_are_put_together_from_events_in_every_carrier() {
    let listed = r#"[{"event.name":"gen_ai.user.message","content":"q"},{"event.name":"gen_ai.choice","message":"a"}]"#;
    let read = one(&[("events", text(listed))]);
    assert_eq!(read.input.as_deref(), Some(r#"[{"event.name":"gen_ai.user.message","content":"q"}]"#));
    assert_eq!(read.output.as_deref(), Some(r#"[{"event.name":"gen_ai.choice","message":"a"}]"#));
    assert_eq!(one(&[("events", text("[1, {}]"))]).input, None);
    let mut spoken = span(&[]);
    let event = |name: &str, key: &str, value: &str| Event {
        name: name.to_owned(),
        attributes: pairs(&[(key, text(value))]),
        ..Default::default()
    };
    spoken.events = vec![
        event("gen_ai.system.message", "content", "[1]"),
        event("gen_ai.user.message", "content", r#"[{"text": "q"}]"#),
        event("gen_ai.choice", "message", "a"),
    ];
    let read = only(request(vec![spoken]));
    let expected = r#"[{"role":"system","content":"[1]"},{"role":"user","content":[{"text":"q"}]}]"#;
    assert_eq!(read.input.as_deref(), Some(expected));
    assert_eq!(read.output.as_deref(), Some(r#"[{"role":"assistant","message":"a"}]"#));
}

#[test]
fn vercels_answer_is_its_text_or_an_object_of_its_parts() {
    let answer = one(&[("ai.response.text", text("hi"))]);
    assert_eq!(answer.output.as_deref(), Some("hi"));
    let calls = one(&[("ai.response.text", text("hi")), ("ai.response.toolCalls", text(r#"[{"toolName":"f"}]"#))]);
    assert_eq!(calls.output.as_deref(), Some(r#"{"text":"hi","toolCalls":[{"toolName":"f"}]}"#));
    let values = Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(text("\"one\"")) }] });
    assert_eq!(one(&[("ai.values", values)]).input.as_deref(), Some(r#"["one"]"#));
}

#[test]
fn indexed_keys_become_messages() {
    let read = one(&[
        ("llm.input_messages.10.message.content", text("last")),
        ("llm.input_messages.9.message.role", text("user")),
        ("llm.output_messages.0.message.tool_calls.0.tool_call.function.name", text("f")),
    ]);
    assert_eq!(read.input.unwrap(), r#"[{"role":"user"},{"content":"last"}]"#);
    assert_eq!(read.output.unwrap(), r#"[{"tool_calls":[{"function":{"name":"f"}}]}]"#);
}

#[test]
fn errors_are_found_where_each_sender_leaves_them() {
    let status = |sent: &[(&str, Value)], code: i32, exception: bool| {
        let mut span = span(sent);
        span.status = Some(ProtoStatus { code, message: String::new() });
        if exception {
            let attributes = pairs(&[("exception.type", text("ValueError")), ("exception.message", text("no"))]);
            span.events = vec![Event { name: "exception".to_owned(), attributes, ..Default::default() }];
        }
        let read = only(request(vec![span]));
        (read.status, read.status_message)
    };
    assert_eq!(status(&[], 0, false), (Status::Unset, None));
    assert_eq!(status(&[], 2, true), (Status::Error, Some("ValueError: no".to_owned())));
    assert_eq!(status(&[], 0, true).0, Status::Error);
    assert_eq!(status(&[], 1, true), (Status::Ok, None));
    assert_eq!(status(&[("error.type", text("timeout"))], 0, false), (Status::Error, Some("timeout".to_owned())));
    let langfuse =
        [("langfuse.observation.level", text("ERROR")), ("langfuse.observation.status_message", text("why"))];
    assert_eq!(status(&langfuse, 0, false), (Status::Error, Some("why".to_owned())));
    assert_eq!(status(&[("langfuse.observation.level", text("WARNING"))], 0, false).0, Status::Unset);
}

#[test]
fn the_first_token_is_timed_in_the_unit_of_each_sender() {
    let first = |key: &str, value: Value| one(&[(key, value)]).time_to_first_token_ns;
    assert_eq!(first("gen_ai.response.time_to_first_chunk", Value::DoubleValue(0.25)), Some(250_000_000));
    assert_eq!(first("gen_ai.server.time_to_first_token", Value::DoubleValue(0.25)), Some(250_000_000));
    assert_eq!(first("gen_ai.server.time_to_first_token", int(250)), Some(250_000_000));
    assert_eq!(first("ai.response.msToFirstChunk", int(3)), Some(3_000_000));
    assert_eq!(first("ttft_ms", text("7")), Some(7_000_000));
    assert_eq!(first("ttft_ms", int(-7)), None);
    let at = text("\"2026-11-21T12:00:00.000Z\"");
    assert_eq!(first("langfuse.observation.completion_start_time", at), Some(1_000_000));
}

#[test]
fn tags_are_a_list_however_they_are_spelled() {
    for sent in [r#"["a","b","a"]"#, "a, b,a", "['a', 'b']", r#""[\"a\",\"b\"]""#] {
        assert_eq!(one(&[("langfuse.trace.tags", text(sent))]).tags, ["a", "b"], "{sent}");
    }
    assert!(one(&[("tag.tags", text("[]"))]).tags.is_empty());
}

#[test]
fn metadata_is_the_users_own_keys() {
    let read = one(&[
        ("langfuse.trace.metadata.plan", text("\"pro\"")),
        ("langfuse.trace.metadata.deep", text("{\"b\": [1, 2]}")),
        ("langfuse.trace.metadata.plain", text("not json")),
        ("agentmark.metadata.plan", text("later")),
        ("agentmark.metadata.n", text("2")),
        ("metadata", text(r#"{"thread_id": "th", "plan": 1}"#)),
    ]);
    assert_eq!(read.metadata, r#"{"deep":{"b":[1,2]},"n":"2","plain":"not json","plan":"pro","thread_id":"th"}"#);
    assert_eq!(read.session_id.as_deref(), Some("th"));
}

#[test]
fn a_message_in_pieces_speaks_for_its_side() {
    let read = one(&[
        ("llm.request.type", text("chat")),
        ("gen_ai.prompt.0.content", text("one")),
        ("gen_ai.completion.0.content", text("two")),
        ("gen_ai.completion.0.finish_reason", text("end_turn")),
    ]);
    assert_eq!(read.input.as_deref(), Some(r#"[{"content":"one","role":"user"}]"#));
    assert_eq!(read.output.as_deref(), Some(r#"[{"content":"two","finish_reason":"end_turn","role":"assistant"}]"#));
}

#[test]
fn messages_that_say_nothing_hide_nothing() {
    let hollow = r#"[{"role": "assistant", "parts": [], "finish_reason": "tool_calls"}]"#;
    let call = [
        ("gen_ai.operation.name", text("chat")),
        ("gen_ai.output.messages", text(hollow)),
        ("gen_ai.completion.0.function_call.name", text("get_weather")),
        ("gen_ai.completion.0.function_call.arguments", text(r#"{"city": "Paris"}"#)),
    ];
    let output = one(&call).output.unwrap();
    let messages = spanlake_dialects::chat::of_output(&output).unwrap();
    let called: Vec<&str> = spanlake_dialects::chat::tool_calls(&messages).map(|call| call.name.as_str()).collect();
    assert_eq!(called, ["get_weather"], "{output}");
    assert_eq!(one(&call[..2]).output, None);
    let thoughtful = r#"[{"role":"assistant","parts":[],"reasoning":"hm"}]"#;
    assert_eq!(one(&[("gen_ai.output.messages", text(thoughtful))]).output.as_deref(), Some(thoughtful));
}

#[test]
fn a_failed_call_is_told_by_what_was_asked() {
    let read = one(&[
        ("openinference.span.kind", text("LLM")),
        ("llm.invocation_parameters", text(r#"{"model":"gpt-4o-mini","temperature":0.5}"#)),
        ("llm.provider", text("OpenAI")),
    ]);
    assert_eq!((read.model.as_deref(), read.request_model.as_deref()), (Some("gpt-4o-mini"), Some("gpt-4o-mini")));
    assert_eq!(
        (read.provider.as_deref(), read.model_parameters.as_deref()),
        (Some("openai"), Some(r#"{"temperature":0.5}"#))
    );
    let scope = |scope: &str, name: &str| {
        let failed = Span { name: name.to_owned(), ..span(&[]) };
        only(request_of(&[], scope, vec![failed])).kind.as_str().to_owned()
    };
    assert_eq!(scope("openlit.otel.tracing", "chat gpt-4o-mini"), "llm");
    assert_eq!(scope("of the user", "chat with grandma"), "span");
}
