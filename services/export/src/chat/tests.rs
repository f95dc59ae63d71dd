//! Conversations in the forms that senders write, and what becomes of them.

use serde_json::{Value, json};
use spanlake_model::{AppId, Kind, Span, SpanId, SpanKey, Timestamp, TraceId};

use spanlake_dialects::otlp::{Encoding, decode_traces};
use spanlake_testkit::{Encoding as Sent, captures};

use super::*;

fn span(kind: &str, input: &str, output: &str) -> Span {
    let key = SpanKey {
        app_id: AppId::from_bytes([1; 16]),
        trace_id: TraceId::from_bytes([2; 16]).unwrap(),
        span_id: SpanId::from_bytes([3; 8]).unwrap(),
    };
    let content = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Span {
        kind: Kind::new(kind),
        input: content(input),
        output: content(output),
        ..Span::new(key, Timestamp::from_secs(1))
    }
}

fn row(span: &Span) -> Result<Row, Skip> {
    super::row(span.kind.as_str(), span.input.as_deref(), span.output.as_deref())
}

/// The messages of a model's call; the name of the reason where there are none.
fn converted(input: impl ToString, output: impl ToString) -> Value {
    match row(&span(Kind::LLM, &input.to_string(), &output.to_string())) {
        Ok(row) => {
            let row = serde_json::to_value(&row).unwrap();
            assert_eq!(broken_rules(&row), Vec::<String>::new(), "{row}");
            row["messages"].clone()
        }
        Err(skip) => json!(skip.as_str()),
    }
}

/// The rules of the format as they are written down for whoever prepares a file, checked without our types: what is
/// broken.
fn broken_rules(row: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let mut rule = |holds: bool, what: &str| {
        if !holds {
            broken.push(what.to_owned());
        }
    };
    let messages = row["messages"].as_array().cloned().unwrap_or_default();
    rule(!messages.is_empty(), "messages are a list of some");
    rule(messages.iter().any(|message| message["role"] == "user"), "a user says something");
    rule(messages.last().is_some_and(|last| last["role"] == "assistant"), "the assistant is last");
    let mut open: Vec<String> = Vec::new();
    for message in &messages {
        let known = ["role", "content", "tool_calls", "tool_call_id"];
        rule(message.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "keys are known");
        let role = message["role"].as_str().unwrap();
        rule(["system", "user", "assistant", "tool"].contains(&role), "roles are known");
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        let is_said = match &message["content"] {
            Value::String(text) => !text.is_empty() || role == "tool",
            Value::Array(pieces) => {
                role == "user"
                    && pieces.iter().all(|piece| match piece["type"].as_str() {
                        Some("text") => piece["text"].is_string(),
                        Some("image_url") => piece["image_url"]["url"].as_str().is_some_and(|url| url.contains("://")),
                        _ => false,
                    })
            }
            Value::Null => role == "assistant" && !calls.is_empty(),
            _ => false,
        };
        rule(is_said, "content is text or pieces, or there are calls");
        if role == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default().to_owned();
            rule(open.contains(&id), "a tool answers a call");
            open.retain(|open| *open != id);
        } else {
            rule(open.is_empty(), "calls are answered at once");
            rule(message.get("tool_call_id").is_none(), "only tools answer calls");
        }
        for call in &calls {
            rule(role == "assistant", "only the assistant calls");
            let (id, name) = (call["id"].as_str().unwrap(), call["function"]["name"].as_str().unwrap());
            rule(call["type"] == "function" && !id.is_empty(), "a call has a type and an id");
            let allowed = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            rule((1..=64).contains(&name.len()) && name.chars().all(allowed), "a tool has a name");
            rule(call["function"]["arguments"].is_string(), "arguments are a string");
            open.push(id.to_owned());
        }
    }
    broken
}

fn said(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

fn calls(id: &str, name: &str, arguments: &str) -> Value {
    let function = json!({"name": name, "arguments": arguments});
    json!({"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": function}]})
}

fn answers(id: &str, content: &str) -> Value {
    json!({"role": "tool", "content": content, "tool_call_id": id})
}

/// What all of [`forms`] say.
fn weather(id: &str) -> Value {
    json!([
        said("system", "Be brief."),
        said("user", "Weather in Paris?"),
        calls(id, "get_weather", r#"{"city":"Paris"}"#),
        answers(id, "sunny"),
        said("assistant", "It is sunny."),
    ])
}

#[test]
fn one_conversation_becomes_one_row_from_every_form() {
    let forms = [
        (
            "OpenTelemetry",
            "c1",
            json!([
                {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
                {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]},
                {"role": "assistant", "parts": [{"type": "reasoning", "content": "A tool!"}, {"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": {"city": "Paris"}}]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "sunny"}]}
            ]),
            json!([{"role": "assistant", "parts": [{"type": "text", "content": "It is sunny."}], "finish_reason": "stop"}]),
        ),
        (
            "OpenAI",
            "c1",
            json!({"model": "m", "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Weather in Paris?"}]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function",
                    "function": {"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"}
            ]}),
            json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "It is sunny."}, "finish_reason": "stop"}]}),
        ),
        (
            "Anthropic",
            "toolu_1",
            json!({"model": "m", "system": "Be brief.", "messages": [
                {"role": "user", "content": "Weather in Paris?"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]}
            ]}),
            json!({"role": "assistant", "content": [{"type": "text", "text": "It is sunny."}]}),
        ),
        (
            "Gemini, which gives calls no ids",
            "call_1",
            json!({"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [
                {"role": "user", "parts": [{"text": "Weather in Paris?"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "get_weather", "args": {"city": "Paris"}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "get_weather", "response": "sunny"}}]}
            ]}),
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "It is sunny."}]}, "finishReason": "STOP"}]}),
        ),
        (
            "LangChain, with the whole history in its output",
            "c1",
            json!({"messages": [
                {"type": "system", "content": "Be brief."},
                {"type": "human", "content": "Weather in Paris?"}
            ]}),
            json!({"messages": [
                {"type": "system", "content": "Be brief."},
                {"type": "human", "content": "Weather in Paris?"},
                {"type": "ai", "content": "", "tool_calls": [{"id": "c1", "name": "get_weather", "args": {"city": "Paris"}}]},
                {"type": "tool", "tool_call_id": "c1", "content": "sunny"},
                {"type": "ai", "content": "It is sunny."}
            ]}),
        ),
        (
            "Vercel",
            "c1",
            json!({"system": "Be brief.", "messages": [
                {"role": "user", "content": "Weather in Paris?"},
                {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "get_weather", "input": {"city": "Paris"}}]},
                {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c1", "toolName": "get_weather", "output": {"type": "text", "value": "sunny"}}]}
            ]}),
            json!("It is sunny."),
        ),
    ];
    for (form, id, input, output) in forms {
        assert_eq!(converted(&input, &output), weather(id), "{form}");
    }
}

#[test]
fn plain_text_is_a_question_and_its_answer() {
    let expected = json!([said("user", "Hi"), said("assistant", "Hello")]);
    assert_eq!(converted("Hi", "Hello"), expected);
    assert_eq!(converted(r#""Hi""#, r#""Hello""#), expected);
    assert_eq!(converted("42", "[INST] no JSON"), json!([said("user", "42"), said("assistant", "[INST] no JSON")]));
}

#[test]
fn a_model_that_answers_with_data_has_answered() {
    let expected = json!([said("user", "Which city?"), said("assistant", r#"{"city": "Paris"}"#)]);
    assert_eq!(converted("Which city?", r#"{"city": "Paris"}"#), expected);
    let step = span(Kind::CHAIN, "Which city?", r#"{"city": "Paris"}"#);
    assert_eq!(row(&step), Err(Skip::ParseError), "what a program gives out is no answer");
}

#[test]
fn an_answer_may_be_a_call() {
    let input = json!([{"role": "user", "content": "Weather?"}]);
    let call = json!({"id": "c1", "type": "function", "function": {"name": "w", "arguments": "{}"}});
    let output = json!({"role": "assistant", "content": "Let me see.", "tool_calls": [call]});
    let mut expected = calls("c1", "w", "{}");
    expected["content"] = json!("Let me see.");
    assert_eq!(converted(&input, output), json!([said("user", "Weather?"), expected]));
    for nothing in [json!(""), json!(null)] {
        let call = json!({"id": "c1", "type": "function", "function": {"name": "w", "arguments": nothing}});
        let output = json!({"role": "assistant", "tool_calls": [call]});
        assert_eq!(converted(&input, output), json!([said("user", "Weather?"), calls("c1", "w", "{}")]));
    }
}

#[test]
fn calls_made_together_stand_together_and_are_answered_in_any_order() {
    let call = |id: &str| json!({"role": "assistant", "parts": [{"type": "tool_call", "id": id, "name": "w", "arguments": {}}]});
    let result = |id: &str| json!({"role": "tool", "parts": [{"type": "tool_call_response", "id": id, "response": {"t": 1.50}}]});
    let input = json!([{"role": "user", "content": "Both?"}, call("a"), call("b"), result("b"), result("a")]);
    let messages = converted(input, "Done");
    assert_eq!(messages[1]["tool_calls"][1]["id"], "b");
    assert_eq!((&messages[2], &messages[3]), (&answers("b", r#"{"t":1.5}"#), &answers("a", r#"{"t":1.5}"#)));
}

#[test]
fn a_tool_answers_with_text_or_with_json() {
    let answer = |content: Value| {
        let call =
            json!({"role": "assistant", "parts": [{"type": "tool_call", "id": "a", "name": "w", "arguments": {}}]});
        let result = json!({"role": "tool", "parts": [{"type": "tool_call_response", "id": "a", "response": content}]});
        converted(json!([said("user", "Hi"), call, result]), "Done")[2]["content"].take()
    };
    assert_eq!(answer(json!("sunny")), "sunny");
    assert_eq!(answer(json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])), "a\nb");
    for data in [json!({"t": 1}), json!([]), json!(null), json!([{"type": "image", "text": "x"}])] {
        assert_eq!(answer(data.clone()), data.to_string());
    }
}

#[test]
fn several_turns_stay_several() {
    let input = json!([said("user", "One"), said("assistant", "1"), said("user", "Two")]);
    let expected = json!([said("user", "One"), said("assistant", "1"), said("user", "Two"), said("assistant", "2")]);
    assert_eq!(converted(input, "2"), expected);
}

#[test]
fn of_several_choices_the_first_is_the_answer() {
    let choice = |text: &str| json!({"message": {"role": "assistant", "content": text}});
    let output = json!({"choices": [choice("one"), choice("two")]});
    assert_eq!(converted("Hi", output), json!([said("user", "Hi"), said("assistant", "one")]));
}

#[test]
fn a_picture_by_address_makes_pieces_of_its_message_only() {
    let input = json!([
        {"role": "system", "content": [{"type": "text", "text": "Look"}, {"type": "text", "text": "well."}]},
        {"role": "user", "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": "https://x.test/cat.png"}}
        ]}
    ]);
    let pieces = json!([
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "https://x.test/cat.png"}}
    ]);
    let expected =
        json!([said("system", "Look\nwell."), {"role": "user", "content": pieces}, said("assistant", "A cat")]);
    assert_eq!(converted(input, "A cat"), expected);
}

#[test]
fn what_cannot_be_a_row_says_why() {
    let user = said("user", "Hi");
    let called =
        json!({"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "w", "arguments": "{}"}}]});
    let dotted =
        json!({"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "a.b", "arguments": "{}"}}]});
    let cases = [
        ("no_input", String::new(), "Hello".to_owned()),
        ("no_input", "null".into(), "Hello".into()),
        ("no_output", "Hi".into(), String::new()),
        ("no_output", "Hi".into(), "[]".into()),
        ("no_output", "Hi".into(), json!([{"role": "assistant", "content": ""}]).to_string()),
        ("no_output", "Hi".into(), json!([user]).to_string()),
        ("no_user_message", json!([said("system", "Be brief.")]).to_string(), "Hello".into()),
        ("parse_error", json!({"question": "Hi"}).to_string(), "Hello".into()),
        ("unknown_role", json!([user, {"role": "critic", "content": "Bad"}]).to_string(), "Hello".into()),
        ("unpaired_tool_call", json!([user, called]).to_string(), "Hello".into()),
        ("unpaired_tool_call", json!([user, called, answers("c2", "1")]).to_string(), "Hello".into()),
        ("unpaired_tool_call", json!([user, called, user, answers("c1", "1")]).to_string(), "Hello".into()),
        ("unpaired_tool_call", json!([user, called, answers("c1", "1"), answers("c1", "1")]).to_string(), "Hello".into()),
        ("tool_name", json!([user, dotted, answers("c1", "1")]).to_string(), "Hello".into()),
        ("tool_arguments", json!([user, calls("c1", "w", "[1]"), answers("c1", "1")]).to_string(), "Hello".into()),
        ("tool_arguments", json!([user, calls("c1", "w", "Paris"), answers("c1", "1")]).to_string(), "Hello".into()),
        ("media", json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}]).to_string(), "A cat".into()),
        ("media", json!([{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]).to_string(), "A song".into()),
    ];
    for (reason, input, output) in cases {
        assert_eq!(converted(&input, &output), json!(reason), "{input} → {output}");
    }
    for kind in [Kind::TOOL, Kind::RETRIEVER, Kind::EMBEDDING, Kind::EVENT] {
        assert_eq!(row(&span(kind, "Paris", "sunny")).unwrap_err().as_str(), "not_a_conversation");
    }
}

#[test]
fn the_rules_that_rows_are_held_to_can_fail() {
    let row = |messages: Value| broken_rules(&json!({"messages": messages}));
    assert_eq!(row(weather("c1")), Vec::<String>::new());
    assert!(!row(json!([])).is_empty());
    for wrong in [
        json!([said("user", "Hi")]),
        json!([said("assistant", "Hi")]),
        json!([said("user", "Hi"), calls("c1", "w", "{}"), said("assistant", "Hello")]),
        json!([said("user", "Hi"), answers("c1", "1"), said("assistant", "Hello")]),
        json!([said("user", "Hi"), calls("c1", "a.b", "{}")]),
        json!([said("user", ""), said("assistant", "Hello")]),
        json!([said("critic", "Hi"), said("user", "Hi"), said("assistant", "Hello")]),
    ] {
        assert!(!row(wrong.clone()).is_empty(), "{wrong}");
    }
}

/// What every span of every capture becomes: rows, and those left out as `capture / kind name / reason`.
fn captured() -> (usize, Vec<String>) {
    let context = spanlake_dialects::Context::new(AppId::from_bytes([9; 16]), Timestamp::from_secs(1_795_262_400));
    let (mut rows, mut skipped) = (0, Vec::new());
    for capture in captures() {
        for request in &capture.requests {
            let encoding = match request.encoding {
                Sent::Json => Encoding::Json,
                Sent::Protobuf => Encoding::Protobuf,
            };
            let request = decode_traces(encoding, &request.body).unwrap();
            for (_, span) in spanlake_dialects::normalise(&request, &context, &mut |_| Ok(None)).spans {
                match row(&span) {
                    Ok(row) => {
                        let row = serde_json::to_value(&row).unwrap();
                        assert_eq!(broken_rules(&row), Vec::<String>::new(), "{} {row}", capture.name);
                        rows += 1;
                    }
                    Err(skip) => {
                        let (kind, name) = (span.kind.as_str(), &span.name);
                        skipped.push(format!("{} / {kind} {name} / {}", capture.name, skip.as_str()));
                    }
                }
            }
        }
    }
    (rows, skipped)
}

/// Calls that failed have no answer; content that was not recorded is not there; smolagents writes its calls as text and the
/// results as if they had been calls.
#[test]
fn what_real_sdks_sent_becomes_rows_unless_something_is_missing() {
    let (rows, skipped) = captured();
    assert!(rows >= 120, "{rows} rows");
    let calls = skipped.iter().filter(|line| line.contains(" / llm "));
    let odd: Vec<_> = calls.filter(|line| !line.ends_with("no_output") && !line.ends_with("no_input")).collect();
    assert_eq!(odd, ["openinference-smolagents / llm OpenAIModel.generate / unpaired_tool_call"]);
}
