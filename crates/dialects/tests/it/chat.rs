//! Every form in which a conversation is sent, and the one in which it is read.

use proptest::prelude::*;
use serde_json::{Value, json};
use spanlake_dialects::chat::{self, Message, Part};

use crate::build::normalised;
use crate::fixtures;

fn input(content: &str) -> Value {
    serde_json::to_value(chat::of_input(content)).unwrap()
}

fn output(content: &str) -> Value {
    serde_json::to_value(chat::of_output(content)).unwrap()
}

/// What is read is spelled as the conventions spell it, and reads back as itself.
pub(crate) fn settles(messages: &[Message]) {
    let spelled = serde_json::to_string(messages).unwrap();
    for again in [chat::of_input(&spelled), chat::of_output(&spelled)] {
        assert_eq!(again.unwrap_or_default(), messages, "{spelled}");
    }
}

fn said(role: &str, text: &str) -> Value {
    json!({"role": role, "parts": [{"type": "text", "content": text}]})
}

fn called(id: &str, arguments: Value) -> Value {
    json!({"role": "assistant", "parts": [{"type": "tool_call", "id": id, "name": "get_weather", "arguments": arguments}]})
}

fn answered(id: &str, response: Value) -> Value {
    json!({"role": "tool", "parts": [{"type": "tool_call_response", "id": id, "response": response}]})
}

/// What is asked, called and answered in each form below.
fn whole() -> Value {
    json!([
        said("system", "Be brief."),
        said("user", "Weather in Paris?"),
        called("c1", json!({"city": "Paris"})),
        answered("c1", json!("sunny")),
        said("assistant", "It is sunny."),
    ])
}

#[test]
fn one_conversation_is_read_from_every_form() {
    let forms = [
        (
            "OpenTelemetry",
            json!([
                {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
                {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]},
                {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": {"city": "Paris"}}]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "result": "sunny"}]},
                {"role": "assistant", "parts": [{"type": "text", "content": "It is sunny."}]}
            ]),
        ),
        (
            "OpenAI, in a request",
            json!({"model": "m", "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Weather in Paris?"}]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function",
                    "function": {"name": "get_weather", "arguments": "{\"city\": \"Paris\"}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
                {"role": "assistant", "content": "It is sunny."}
            ]}),
        ),
        (
            "OpenAI's Responses",
            json!({"model": "m", "instructions": "Be brief.", "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Weather in Paris?"}]},
                {"type": "function_call", "id": "fc_9", "call_id": "c1", "name": "get_weather", "arguments": "{\"city\":\"Paris\"}"},
                {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It is sunny."}]}
            ]}),
        ),
        (
            "OpenInference, put together from indexed keys",
            json!([
                {"role": "system", "content": "Be brief."},
                {"role": "user", "contents": [{"type": "text", "text": "Weather in Paris?"}]},
                {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "get_weather", "arguments": "{\"city\": \"Paris\"}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
                {"role": "assistant", "content": "It is sunny."}
            ]),
        ),
        (
            "OpenLLMetry",
            json!([
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "[{\"type\": \"text\", \"text\": \"Weather in Paris?\"}]"},
                {"role": "assistant", "tool_calls": [{"id": "c1", "name": "get_weather", "arguments": "{\"city\": \"Paris\"}"}]},
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
                {"role": "assistant", "content": "It is sunny."}
            ]),
        ),
        (
            "Vercel",
            json!([
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Weather in Paris?"}]},
                {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "get_weather", "input": {"city": "Paris"}}]},
                {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c1", "toolName": "get_weather", "output": {"type": "text", "value": "sunny"}}]},
                {"role": "assistant", "content": [{"type": "text", "text": "It is sunny."}]}
            ]),
        ),
        (
            "Vercel's prompt",
            json!({"system": "Be brief.", "messages": [
                {"role": "user", "content": "Weather in Paris?"},
                {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "get_weather", "args": {"city": "Paris"}}]},
                {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c1", "toolName": "get_weather", "result": "sunny"}]},
                {"role": "assistant", "content": "It is sunny."}
            ]}),
        ),
        (
            "LangChain, serialised",
            json!({"inputs": {"messages": [[
                {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "SystemMessage"], "kwargs": {"content": "Be brief."}},
                {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "Weather in Paris?", "type": "human"}},
                {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"], "kwargs": {"content": "",
                    "tool_calls": [{"name": "get_weather", "args": {"city": "Paris"}, "id": "c1", "type": "tool_call"}]}},
                {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "ToolMessage"], "kwargs": {"content": "sunny", "tool_call_id": "c1"}},
                {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessageChunk"], "kwargs": {"content": "It is sunny."}}
            ]]}, "tags": []}),
        ),
        (
            "LangChain, as dictionaries",
            json!({"messages": [
                {"type": "system", "data": {"content": "Be brief."}},
                {"type": "human", "content": "Weather in Paris?"},
                {"type": "ai", "content": "", "additional_kwargs": {"tool_calls": [{"id": "c1", "type": "function",
                    "function": {"name": "get_weather", "arguments": "{'city': 'Paris'}"}}]}},
                {"type": "tool", "content": "sunny", "tool_call_id": "c1"},
                {"type": "ai", "content": "It is sunny."}
            ]}),
        ),
        (
            "Pydantic",
            json!([
                {"kind": "request", "parts": [{"part_kind": "system-prompt", "content": "Be brief."}, {"part_kind": "user-prompt", "content": "Weather in Paris?"}]},
                {"kind": "response", "parts": [{"part_kind": "tool-call", "tool_name": "get_weather", "args": "{\"city\": \"Paris\"}", "tool_call_id": "c1"}]},
                {"kind": "request", "parts": [{"part_kind": "tool-return", "tool_name": "get_weather", "content": "sunny", "tool_call_id": "c1"}]},
                {"kind": "response", "parts": [{"part_kind": "text", "content": "It is sunny."}]}
            ]),
        ),
        (
            "events in JSON, as Pydantic once wrote them",
            json!([
                {"event.name": "gen_ai.system.message", "content": "Be brief.", "role": "system"},
                {"event.name": "gen_ai.user.message", "content": "Weather in Paris?"},
                {"event.name": "gen_ai.assistant.message", "tool_calls": [{"id": "c1", "type": "function",
                    "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]},
                {"event.name": "gen_ai.tool.message", "content": "sunny", "role": "tool", "id": "c1"},
                {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "content": "It is sunny."}}
            ]),
        ),
        (
            "Strands, which sends what Bedrock takes",
            json!([
                {"role": "system", "content": [{"text": "Be brief."}]},
                {"role": "user", "content": [{"text": "Weather in Paris?"}]},
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": {"city": "Paris"}}}]},
                {"role": "tool", "content": [{"toolResult": {"toolUseId": "c1", "status": "success", "content": [{"text": "sunny"}]}}]},
                {"role": "assistant", "message": [{"text": "It is sunny."}]}
            ]),
        ),
        (
            "LiveKit",
            json!({"items": [
                {"id": "i1", "type": "message", "role": "system", "content": ["Be brief."]},
                {"id": "i2", "type": "message", "role": "user", "content": ["Weather in Paris?"]},
                {"id": "i3", "type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{\"city\":\"Paris\"}"},
                {"id": "i4", "type": "function_call_output", "call_id": "c1", "name": "get_weather", "output": "sunny"},
                {"id": "i5", "type": "message", "role": "assistant", "content": ["It is sunny."]}
            ]}),
        ),
        (
            "smolagents and Semantic Kernel",
            json!([
                {"role": "MessageRole.SYSTEM", "content": "Be brief."},
                {"role": "User", "content": [{"type": "text", "text": "Weather in Paris?"}]},
                {"role": "tool-call", "content": "", "tool_calls": [{"id": "c1", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]},
                {"role": "tool-response", "tool_call_id": "c1", "content": "sunny"},
                {"role": "Assistant", "content": "It is sunny."}
            ]),
        ),
    ];
    for (form, sent) in forms {
        assert_eq!(input(&sent.to_string()), whole(), "{form}");
        assert_eq!(input(&Value::String(sent.to_string()).to_string()), whole(), "{form}, packed into a string");
        settles(&chat::of_input(&sent.to_string()).unwrap());
    }
}

#[test]
fn the_forms_of_anthropic_and_gemini_are_read() {
    let anthropic = json!({"model": "claude", "system": [{"type": "text", "text": "Be brief."}], "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "sunny"}]}]}
    ]});
    let expected = json!([
        said("system", "Be brief."),
        said("user", "Weather?"),
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"},
            {"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": {}}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "c1", "response": "sunny"}]}
    ]);
    assert_eq!(input(&anthropic.to_string()), expected);
    let gemini = json!({"model": "gemini", "config": {"system_instruction": "Be brief."}, "contents": [
        {"role": "user", "parts": [{"text": "Weather?"}]},
        {"role": "model", "parts": [{"text": "hm", "thought": true}, {"functionCall": {"name": "get_weather", "args": {"city": "Paris"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "get_weather", "response": {"report": "sunny"}}}]}
    ]});
    let expected = json!([
        said("system", "Be brief."),
        said("user", "Weather?"),
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"},
            {"type": "tool_call", "name": "get_weather", "arguments": {"city": "Paris"}}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "response": {"report": "sunny"}}]}
    ]);
    assert_eq!(input(&gemini.to_string()), expected);
    let answer =
        json!({"candidates": [{"content": {"parts": [{"text": "Sunny."}], "role": "model"}, "finishReason": "STOP"}]});
    let expected =
        json!([{"role": "assistant", "parts": [{"type": "text", "content": "Sunny."}], "finish_reason": "stop"}]);
    assert_eq!(output(&answer.to_string()), expected);
    let adk = json!({"content": {"parts": [{"text": "Sunny."}], "role": "model"}, "finish_reason": "STOP"});
    assert_eq!(output(&adk.to_string()), expected);
}

#[test]
fn answers_are_the_assistants() {
    let sunny =
        json!([{"role": "assistant", "parts": [{"type": "text", "content": "Sunny."}], "finish_reason": "stop"}]);
    for sent in [
        json!({"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Sunny."}}]}),
        json!([{"index": 0, "finish_reason": "stop", "message": {"content": "Sunny."}}]),
        json!({"generations": [[{"text": "Sunny.", "generation_info": {"finish_reason": "stop"}, "message":
            {"lc": 1, "type": "constructor", "id": ["AIMessage"], "kwargs": {"content": "Sunny."}}}]]}),
        json!([{"content": "Sunny.", "role": "assistant", "finish_reason": "end_turn"}]),
        json!({"role": "assistant", "content": "Sunny.", "finish_reason": "FinishReason.STOP"}),
        json!({"role": "assistant", "content": [{"type": "text", "text": "Sunny."}], "stop_reason": "end_turn", "type": "message"}),
    ] {
        assert_eq!(output(&sent.to_string()), sunny, "{sent}");
    }
    let vercel = json!({"reasoning": "hm", "text": "Wait.", "toolCalls": [{"toolCallId": "c1", "toolName": "f", "input": "{\"a\":1}"}]});
    let expected = json!([{"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Wait."},
        {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}]}]);
    assert_eq!(output(&vercel.to_string()), expected);
    let responses = json!({"output": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "not json"},
        {"type": "message", "content": [{"type": "output_text", "text": "Wait."}]}]});
    let expected = json!([{"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"},
        {"type": "tool_call", "id": "c1", "name": "f", "arguments": "not json"}, {"type": "text", "content": "Wait."}]}]);
    assert_eq!(output(&responses.to_string()), expected);
    let blocks = json!([{"type": "text", "text": "One."}, {"type": "tool_use", "id": "c1", "name": "f", "input": {}}]);
    assert_eq!(output(&blocks.to_string())[0]["parts"][1]["name"], "f");
    let python = "[{'role': 'user', 'content': \"it's\"}, {'role': 'assistant', 'content': None}]";
    assert_eq!(input(python), json!([said("user", "it's"), {"role": "assistant", "parts": []}]));
    let pairs = json!([["human", "Hi"], ["ai", "Hello"]]);
    assert_eq!(input(&pairs.to_string()), json!([said("user", "Hi"), said("assistant", "Hello")]));
}

#[test]
fn what_stands_around_messages_is_said_by_nobody() {
    let options = json!({"args": [{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}, {"maxRetries": 0}]});
    assert_eq!(input(&options.to_string()), json!([said("user", "Hi")]));
    let answer = json!({"instructions": "Be brief.", "output": [{"type": "message", "role": "assistant",
        "content": [{"type": "output_text", "text": "Hello."}]}]});
    assert_eq!(output(&answer.to_string()), json!([said("assistant", "Hello.")]));
    let request = json!({"instructions": "Be brief.", "model": "m", "input": "Hi"});
    assert_eq!(input(&request.to_string()), json!([said("system", "Be brief."), said("user", "Hi")]));
    let livekit = json!({"items": [
        {"type": "message", "role": "system", "content": ["Be brief.", {"type": "cache_breakpoint"}]},
        {"type": "agent_config_update", "instructions": "Be brief."},
        {"type": "message", "role": "user", "content": ["Hi"]}
    ]});
    assert_eq!(input(&livekit.to_string()), json!([said("system", "Be brief."), said("user", "Hi")]));
    let blocks =
        json!([{"role": "assistant", "additional_kwargs": {}, "blocks": [{"block_type": "text", "text": "Hello."}]}]);
    assert_eq!(output(&blocks.to_string()), json!([said("assistant", "Hello.")]));
    let call = json!({"block_type": "tool_call", "tool_call_id": "c1", "tool_name": "get_weather", "tool_kwargs": {"city": "Paris"}});
    let call = json!({"role": "assistant", "additional_kwargs": {"tool_calls": []}, "blocks": [call]});
    assert_eq!(output(&call.to_string()), json!([called("c1", json!({"city": "Paris"}))]));
}

#[test]
fn what_is_no_conversation_is_none() {
    for content in [
        "",
        "hello",
        "123",
        "null",
        "true",
        "[]",
        "{}",
        "[1, 2]",
        "\"text\"",
        "{\"city\": \"Paris\"}",
        "[{\"cut",
        r#"[{"id": "doc-1", "content": "Refunds", "score": 0.9}]"#,
        r#"{"args": ["refund"], "kwargs": {}}"#,
        r#"{"query": "q"}"#,
        r#"{"output": "text"}"#,
        r#"[0.1, 0.2]"#,
        r#"{"input": "x"}"#,
        r#"{"message": "hi"}"#,
        r#"[{"page_content": "Refunds", "metadata": {}}]"#,
        r#"{"type": "object", "properties": {"a": {"type": "string"}}}"#,
        r#"{"text": "hi"}"#,
        r#"{"data": [{"embedding": [0.1], "index": 0}]}"#,
    ] {
        assert_eq!(chat::of_input(content), None, "{content}");
        assert_eq!(chat::of_output(content), None, "{content}");
    }
}

#[test]
fn a_bad_part_spoils_nothing_beside_it() {
    let sent = r#"[{"role":"user","content":[{"type":"text","text":"good"},{"type":"new","x":[1, 2]},7,null]},
        {"content":"no role"},{"role":"user","content":"half \ud83d"},{"role":7}]"#;
    let expected = json!([
        {"role": "user", "parts": [{"type": "text", "content": "good"},
            {"type": "text", "content": "{\"type\":\"new\",\"x\":[1,2]}"}, {"type": "text", "content": "7"}]},
        said("user", "no role"),
        said("user", "half \u{FFFD}"),
        said("user", "{\"role\":7}")
    ]);
    assert_eq!(input(sent), expected);
    // What a user wrote stays what it is, whatever it looks like.
    for text in ["123", "true", "[1]", "{\"a\": 1}", "[{\"a\": 1}]", "null"] {
        let sent = json!([{"role": "user", "content": text}]);
        assert_eq!(input(&sent.to_string()), json!([said("user", text)]));
    }
}

#[test]
fn numbers_keep_their_digits() {
    let sent = r#"[{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"n\": 123456789012345678901234567890.10}"}}]}]"#;
    let messages = chat::of_output(sent).unwrap();
    let calls: Vec<_> = chat::tool_calls(&messages).collect();
    assert_eq!((calls.len(), calls[0].name.as_str()), (1, "f"));
    assert_eq!(calls[0].arguments.as_str(), r#"{"n":123456789012345678901234567890.10}"#);
    assert!(serde_json::to_string(&messages).unwrap().contains("123456789012345678901234567890.10"));
}

#[test]
fn media_are_an_address_or_a_hash_and_a_size() {
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let blob = json!({"type": "blob", "mime_type": "image/png", "modality": "image", "sha256": hash, "size": 5});
    for part in [
        json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}),
        json!({"type": "input_image", "image_url": "data:image/png;base64,aGVsbG8="}),
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}}),
        json!({"type": "image", "image": {"image": {"url": "data:image/png;base64,aGVsbG8="}}}),
        json!({"type": "image", "image": "aGVsbG8=", "mediaType": "image/png"}),
        json!({"type": "file", "data": "aGVsbG8=", "mediaType": "image/png"}),
        json!({"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}}),
        json!({"image": {"format": "png", "source": {"bytes": "aGVsbG8="}}}),
        json!({"type": "blob", "mime_type": "image/png", "content": "aGVsbG8="}),
        json!({"kind": "binary", "media_type": "image/png", "data": "aGVsbG8="}),
    ] {
        let sent = json!([{"role": "user", "content": [part]}]).to_string();
        assert_eq!(input(&sent)[0]["parts"][0], blob, "{sent}");
        settles(&chat::of_input(&sent).unwrap());
    }
    for (part, uri) in [
        (json!({"type": "image_url", "image_url": {"url": "https://x/y.png"}}), "https://x/y.png"),
        (json!({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}), "https://x/y.png"),
        (json!({"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/c.pdf"}}), "gs://b/c.pdf"),
        (json!({"type": "file", "file": {"file_id": "file-1"}}), "file-1"),
        (json!({"type": "uri", "modality": "image", "uri": "https://x/y.png"}), "https://x/y.png"),
    ] {
        let sent = json!([{"role": "user", "content": [part]}]).to_string();
        assert_eq!(input(&sent)[0]["parts"][0]["uri"], uri, "{sent}");
        settles(&chat::of_input(&sent).unwrap());
    }
}

#[test]
fn every_call_of_a_model_in_the_captures_is_a_conversation() {
    let (mut read, mut missed) = (0, Vec::new());
    for (capture, request) in fixtures::decoded() {
        for (_, span) in normalised(&request).spans.iter().filter(|(_, span)| span.kind.as_str() == "llm") {
            for (content, of) in
                [(&span.input, chat::of_input as fn(&str) -> Option<Vec<Message>>), (&span.output, chat::of_output)]
            {
                // Text alone is no conversation, and is shown as it is.
                let Some(content) = content.as_deref().filter(|content| content.starts_with(['{', '['])) else {
                    continue;
                };
                match of(content) {
                    Some(messages) => {
                        assert!(messages.iter().all(|message| !message.role.is_empty()), "{capture}: {content}");
                        let unread =
                            |part: &Part| matches!(part, Part::Text { content } if content.starts_with("{\"type\""));
                        if messages.iter().flat_map(|message| &message.parts).any(unread) {
                            missed.push(format!("{capture} / {} in part: {content:.300}", span.name));
                        }
                        settles(&messages);
                        read += 1;
                    }
                    // An object that the program asked for.
                    None if content.contains("\"answer\"") => {}
                    None => missed.push(format!("{capture} / {}: {content:.300}", span.name)),
                }
            }
        }
    }
    assert_eq!(missed, Vec::<String>::new());
    assert!(read > 150, "{read}");
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "role",
        "content",
        "parts",
        "type",
        "text",
        "tool_calls",
        "id",
        "name",
        "arguments",
        "function",
        "messages",
        "kwargs",
        "lc",
        "kind",
        "part_kind",
        "message",
        "response",
        "image_url",
        "source",
        "data",
        "user",
        "assistant",
        "tool",
        "tool_call",
        "tool_call_response",
        "reasoning",
        "blob",
        "system",
        "request",
        "finish_reason",
        "{\"a\":1}",
        "[{\"type\":\"text\"}]",
    ]);
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        ".{0,8}".prop_map(|value| json!(value)),
        word.clone().prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(8, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| json!(values)),
            prop::collection::vec((word.clone(), inner), 0..5)
                .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn whatever_is_read_reads_back_as_itself(value in any_json()) {
        for messages in [chat::of_input(&value.to_string()), chat::of_output(&value.to_string())].into_iter().flatten() {
            settles(&messages);
        }
    }
}
