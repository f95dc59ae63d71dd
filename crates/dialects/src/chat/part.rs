//! One piece of a message, in whatever form.

use super::media;
use super::node::{self, Node, Object};
use super::{Json, Part, ToolCall, ToolResult};

const TEXTS: &[&str] = &["text", "input_text", "output_text", "summary_text", "user-prompt", "system-prompt"];
const THOUGHTS: &[&str] = &["reasoning", "thinking", "redacted_thinking", "redacted-reasoning"];
const CALLS: &[&str] =
    &["tool_call", "tool-call", "tool_use", "function_call", "function", "server_tool_use", "mcp_tool_use", "toolCall"];
const RESULTS: &[&str] = &[
    "tool_call_response",
    "tool-result",
    "tool_result",
    "tool-return",
    "function_call_output",
    "function_response",
    "web_search_tool_result",
    "mcp_tool_result",
];

/// Parts in parts are looked into this deep; below, they stay as their JSON.
const DEPTH_MAX: usize = 4;

/// Members that say what a part without a type is: Gemini's, and Bedrock's as Strands sends them.
const UNTYPED: &[&str] = &[
    "functionCall",
    "function_call",
    "functionResponse",
    "function_response",
    "inlineData",
    "inline_data",
    "fileData",
    "file_data",
    "toolUse",
    "toolResult",
    "reasoningContent",
];

/// A text part without a type has these members and no others.
const TEXT_MEMBERS: &[&str] = &["text", "thought", "thoughtSignature", "thought_signature"];

fn kind(object: &Object<'_>) -> Option<String> {
    object.word(&["type", "part_kind", "block_type", "kind"])
}

/// Whether it is surely a part, seen without a message around it.
pub(super) fn is_part(object: &Object<'_>) -> bool {
    if object.has("role") {
        return false;
    }
    match kind(object) {
        // Items of OpenAI's Responses are messages of their own.
        Some(kind) if matches!(kind.as_str(), "function_call" | "function_call_output") => false,
        Some(kind) if kind == "reasoning" => object.first(&["text", "content"]).is_some(),
        Some(kind) => {
            (TEXTS.contains(&kind.as_str()) && object.first(&["text", "content"]).is_some())
                || [THOUGHTS, CALLS, RESULTS].iter().any(|kinds| kinds.contains(&kind.as_str()))
                || media::of_part(&kind, object).is_some()
        }
        None => {
            UNTYPED.iter().any(|key| object.has(key))
                || (object.has("text") && object.keys().all(|key| TEXT_MEMBERS.contains(&key)))
        }
    }
}

/// The parts in what a message says: text, one part, or a list of both.
pub(super) fn parts(content: Node<'_>) -> Vec<Part> {
    if let Some(text) = content.text() {
        return of_text(text);
    }
    below(content, 0)
}

/// As [`parts`], of what is no text.
fn below(content: Node<'_>, depth: usize) -> Vec<Part> {
    match content.list() {
        Some(list) => list.into_iter().flat_map(|node| part(node, depth)).collect(),
        None => part(content, depth),
    }
}

/// Text is what its author wrote, whatever it looks like; only a list of parts that have types is never that.
fn of_text(text: String) -> Vec<Part> {
    if text.starts_with("[{")
        && let Some(json) = node::parse(&text)
        && let Some(list) = Node::new(&json).list()
        && list.iter().all(|node| node.object().is_some_and(|object| object.has("type") && is_part(&object)))
    {
        return list.into_iter().flat_map(|node| part(node, 0)).collect();
    }
    if text.is_empty() { Vec::new() } else { vec![Part::Text { content: text }] }
}

fn part(node: Node<'_>, depth: usize) -> Vec<Part> {
    if let Some(text) = node.text() {
        return if text.is_empty() { Vec::new() } else { vec![Part::Text { content: text }] };
    }
    if node.is_empty() {
        return Vec::new();
    }
    let object = if depth < DEPTH_MAX { node.object() } else { None };
    let read = object.and_then(|object| match kind(&object) {
        Some(kind) => typed(&kind, &object, depth),
        None => untyped(&object, depth),
    });
    read.unwrap_or_else(|| vec![Part::Text { content: node.json().0 }])
}

fn typed(kind: &str, object: &Object<'_>, depth: usize) -> Option<Vec<Part>> {
    if TEXTS.contains(&kind) {
        let said = object.first(&["text", "content", "value"])?;
        return match said.text() {
            // Anthropic's blocks of no text, and OpenInference's, say nothing.
            Some(content) if content.is_empty() => Some(Vec::new()),
            Some(content) => Some(vec![Part::Text { content }]),
            None => said.list().map(|_| below(said, depth + 1)),
        };
    }
    if THOUGHTS.contains(&kind) {
        return Some(vec![Part::Reasoning { content: reasoning(object) }]);
    }
    if CALLS.contains(&kind) {
        return tool_call(object).map(|call| vec![call]);
    }
    if RESULTS.contains(&kind) || (kind == "retry-prompt" && object.has("tool_call_id")) {
        return Some(vec![tool_result(object)]);
    }
    if kind == "refusal" || kind == "retry-prompt" {
        let content = object.word(&["refusal", "content"])?;
        return Some(vec![Part::Text { content }]);
    }
    // Where LiveKit lets a provider cut its cache.
    if kind == "cache_breakpoint" {
        return Some(Vec::new());
    }
    media::of_part(kind, object).map(|media| vec![Part::Media(media)])
}

fn untyped(object: &Object<'_>, depth: usize) -> Option<Vec<Part>> {
    if let Some(content) = object.get("text").and_then(Node::text) {
        if content.is_empty() {
            return Some(Vec::new());
        }
        let is_thought = object.first(&["thought"]).is_some_and(|thought| thought.json().0 == "true");
        return Some(vec![if is_thought { Part::Reasoning { content } } else { Part::Text { content } }]);
    }
    let inner = |keys: &[&str]| object.first(keys).and_then(Node::object);
    // OpenInference's indexed keys wrap a part by its sort.
    if let Some(call) = inner(&["functionCall", "function_call", "toolUse", "tool_call"]) {
        return tool_call(&call).map(|call| vec![call]);
    }
    if let Some(result) = inner(&["functionResponse", "function_response", "toolResult"]) {
        return Some(vec![tool_result(&result)]);
    }
    if let Some(thought) = inner(&["reasoningContent"]) {
        let text = thought.get("reasoningText").and_then(Node::object);
        return Some(vec![Part::Reasoning { content: reasoning(text.as_ref().unwrap_or(&thought)) }]);
    }
    if let Some(content) = object.get("message_content") {
        return Some(part(content, depth + 1));
    }
    media::of_untyped(object).map(|media| vec![Part::Media(media)])
}

/// What was thought: as text, or as a list of summaries.
pub(super) fn reasoning(object: &Object<'_>) -> String {
    let said = object.word(&["content", "text", "thinking", "reasoning", "data"]);
    said.unwrap_or_else(|| {
        let list = object.first(&["summary", "content"]).and_then(Node::list).unwrap_or_default();
        let texts = list.iter().filter_map(|node| node.text().or_else(|| node.object()?.word(&["text"])));
        texts.collect::<Vec<_>>().join("\n")
    })
}

/// A call in whatever form; `None` when it names no tool.
pub(super) fn tool_call(object: &Object<'_>) -> Option<Part> {
    let function = object.get("function").and_then(Node::object);
    let function = function.as_ref().unwrap_or(object);
    let name = function.word(&["name", "toolName", "tool_name"])?;
    let id = object.word(&["id", "toolCallId", "tool_call_id", "call_id", "toolUseId"]);
    // Responses tell the id of the item from that of the call, which its result names.
    let id = object.word(&["call_id"]).or(id);
    let sent = function.first(&["arguments", "args", "input", "parameters", "tool_kwargs"]);
    let arguments = sent.map_or_else(Json::empty_object, arguments);
    Some(Part::ToolCall(ToolCall { id, name, arguments }))
}

/// The object, also when it is written as JSON or Python in a string; else the text.
fn arguments(sent: Node<'_>) -> Json {
    let Some(text) = sent.text() else { return sent.json() };
    match node::parse(&text) {
        Some(json) => Node::new(&json).json(),
        None if text.trim().is_empty() => Json::empty_object(),
        None => Json::string(&text),
    }
}

/// A result in whatever form.
pub(super) fn tool_result(object: &Object<'_>) -> Part {
    let id = object.word(&["tool_use_id", "toolCallId", "tool_call_id", "call_id", "toolUseId", "id"]);
    let sent = object.first(&["response", "result", "output", "content"]);
    // Of our own spelling nothing is taken off: it would lose a layer each time it is read.
    let is_ours = object.word(&["type"]).is_some_and(|kind| kind == "tool_call_response");
    let content = match sent {
        None => Json("null".to_owned()),
        Some(sent) if is_ours => sent.json(),
        Some(sent) => result_content(sent),
    };
    Part::ToolResult(ToolResult { id, content })
}

/// Without the layers that only say that it is text: Vercel's `{"type":"json","value":…}`, Anthropic's `[{"type":"text",…}]`.
fn result_content(sent: Node<'_>) -> Json {
    if let Some(object) = sent.object() {
        let is_typed = object.word(&["type"]).is_some() && object.keys().all(|key| matches!(key, "type" | "value"));
        return object.get("value").filter(|_| is_typed).unwrap_or(sent).json();
    }
    let list = sent.list().unwrap_or_default();
    if let [one] = list.as_slice()
        && let Some(object) = one.object()
        && object.keys().all(|key| matches!(key, "type" | "text"))
        && let Some(text) = object.get("text")
    {
        return text.json();
    }
    sent.json()
}
