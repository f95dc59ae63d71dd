//! One message, in whatever form: who speaks, and what.

pub(super) use super::Message;
use super::node::{Node, Object};
use super::part;
use super::{Json, Part, Side, ToolResult};
use crate::normalise::plain_reason;

/// Each of our roles, and what senders call it, in lower case.
const ROLES: &[(&str, &[&str])] = &[
    ("system", &["system", "developer", "systemmessage", "systemmessagechunk"]),
    ("user", &["user", "human", "humanmessage", "humanmessagechunk"]),
    ("assistant", &["assistant", "ai", "model", "aimessage", "aimessagechunk", "chatbot", "tool-call", "tool_call"]),
    (
        "tool",
        &["tool", "function", "toolmessage", "toolmessagechunk", "functionmessage", "tool-response", "tool_response"],
    ),
];

/// The `type` of items that OpenAI's Responses, and LiveKit, list beside messages; who speaks in each.
const ITEMS: &[(&str, &str)] = &[
    ("message", ""),
    ("reasoning", "assistant"),
    ("function_call", "assistant"),
    ("custom_tool_call", "assistant"),
    ("mcp_call", "assistant"),
    ("function_call_output", "tool"),
    ("custom_tool_call_output", "tool"),
];

/// Kinds of parts in which Pydantic's requests mix speakers.
const PYDANTIC: &[(&str, &str)] =
    &[("system-prompt", "system"), ("user-prompt", "user"), ("tool-return", "tool"), ("retry-prompt", "tool")];

/// Members that hold what a message says.
const CONTENT: &[&str] = &["parts", "content", "contents", "blocks", "message", "text"];

/// One of our roles, when the word is known: `MessageRole.USER`, `human`, `model` …
pub(super) fn known_role(word: &str) -> Option<String> {
    let lower = word.trim().to_lowercase();
    let last = lower.rsplit('.').next().unwrap_or_default();
    ROLES.iter().find(|(_, words)| words.contains(&last)).map(|(role, _)| (*role).to_owned())
}

fn role(word: &str) -> String {
    known_role(word).unwrap_or_else(|| word.trim().to_lowercase())
}

/// Whether it is an item of an answer of OpenAI's Responses.
pub(super) fn is_item(object: &Object<'_>) -> bool {
    object.word(&["type"]).is_some_and(|kind| ITEMS.iter().any(|(item, _)| *item == kind))
}

/// The message in this object, mostly one; `None` when it is no message.
pub(super) fn of_object(object: &Object<'_>, side: Side) -> Option<Vec<Message>> {
    by_itself(object, side).or_else(|| choice(object, side))
}

/// As [`of_object`], of what does not stand in an element of an answer.
fn by_itself(object: &Object<'_>, side: Side) -> Option<Vec<Message>> {
    if let Some(said) = object.word(&["role"]) {
        return Some(vec![of_body(&role(&said), object)]);
    }
    if object.has("kwargs") && object.has("lc") {
        return langchain(object);
    }
    if let Some(messages) = pydantic(object) {
        return Some(messages);
    }
    if let Some(name) = object.word(&["event.name"]) {
        return event(&name, object);
    }
    let kind = object.word(&["type"]).unwrap_or_default();
    if let Some((_, role)) = ITEMS.iter().find(|(item, _)| *item == kind) {
        return item(if role.is_empty() { side.role() } else { role }, object);
    }
    if let Some(role) = known_role(&kind) {
        let body = object.get("data").and_then(Node::object);
        let body = body.as_ref().unwrap_or(object);
        return CONTENT.iter().any(|key| body.has(key)).then(|| vec![of_body(&role, body)]);
    }
    None
}

/// What nobody knows, among messages: its content if it has some, else its JSON.
pub(super) fn unknown(node: Node<'_>, object: Option<&Object<'_>>, side: Side) -> Message {
    match object {
        Some(object) if CONTENT.iter().any(|key| object.has(key)) => of_body(side.role(), object),
        _ => of_content(side.role(), node),
    }
}

/// A message that is nothing but its content.
pub(super) fn of_content(role: &str, content: Node<'_>) -> Message {
    // `{"parts": […]}`, in which Gemini's instructions stand.
    let held = content.object().and_then(|object| object.get("parts"));
    Message { role: role.to_owned(), parts: part::parts(held.unwrap_or(content)), finish_reason: None }
}

/// LangChain's `{"lc":1,"type":"constructor","id":[…,"HumanMessage"],"kwargs":{…}}`.
fn langchain(object: &Object<'_>) -> Option<Vec<Message>> {
    let class = object.get("id")?.list()?.last()?.text()?;
    let kwargs = object.get("kwargs")?.object()?;
    let said = known_role(&class).or_else(|| kwargs.word(&["role", "type"]).map(|word| role(&word)))?;
    Some(vec![of_body(&said, &kwargs)])
}

/// Pydantic's `{"kind":"request","parts":[{"part_kind":…}]}`, whose parts have speakers of their own.
fn pydantic(object: &Object<'_>) -> Option<Vec<Message>> {
    let default = match object.word(&["kind"])?.as_str() {
        "request" => "user",
        "response" => "assistant",
        _ => return None,
    };
    let mut messages: Vec<Message> = Vec::new();
    for node in object.get("parts")?.list()? {
        let kind = node.object()?.word(&["part_kind"])?;
        let role = PYDANTIC.iter().find(|(part, _)| *part == kind).map_or(default, |(_, role)| role);
        let parts = part::parts(node);
        match messages.last_mut() {
            Some(last) if last.role == role => last.parts.extend(parts),
            _ => messages.push(Message { role: role.to_owned(), parts, finish_reason: None }),
        }
    }
    let reason = object.word(&["finish_reason"]).map(|sent| plain_reason(&sent));
    if let Some(last) = messages.last_mut() {
        last.finish_reason = reason;
    }
    Some(messages)
}

/// An event of the older conventions: its name says who speaks.
fn event(name: &str, object: &Object<'_>) -> Option<Vec<Message>> {
    let role = match name.strip_prefix("gen_ai.")? {
        "choice" => "assistant",
        other => other.strip_suffix(".message")?,
    };
    let inner = object.get("message").and_then(Node::object);
    let mut message = of_body(&self::role(role), inner.as_ref().unwrap_or(object));
    message.finish_reason = message.finish_reason.or_else(|| finish_reason(object));
    Some(vec![message])
}

fn item(role: &str, object: &Object<'_>) -> Option<Vec<Message>> {
    let parts = match object.word(&["type"])?.as_str() {
        "message" => return object.has("content").then(|| vec![of_body(role, object)]),
        "reasoning" => vec![Part::Reasoning { content: part::reasoning(object) }],
        kind if kind.ends_with("_output") => vec![part::tool_result(object)],
        _ => vec![part::tool_call(object)?],
    };
    Some(vec![Message { role: role.to_owned(), parts, finish_reason: None }])
}

/// An element of an answer: OpenAI's choice, Gemini's candidate, LangChain's generation.
fn choice(object: &Object<'_>, side: Side) -> Option<Vec<Message>> {
    let inner = object.first(&["message", "delta"]).or_else(|| object.get("content"))?.object()?;
    let is_choice = object.has("message") || object.has("delta") || inner.has("parts");
    let messages = by_itself(&inner, side);
    let is_bare = || is_choice && CONTENT.iter().chain(&["tool_calls"]).any(|key| inner.has(key));
    let mut messages = messages.or_else(|| is_bare().then(|| vec![of_body("assistant", &inner)]))?;
    if let Some(last) = messages.last_mut() {
        let info = object.get("generation_info").and_then(Node::object);
        let beside = finish_reason(object).or_else(|| finish_reason(&info?));
        last.finish_reason = last.finish_reason.take().or(beside);
    }
    Some(messages)
}

fn finish_reason(object: &Object<'_>) -> Option<String> {
    let sent = object.word(&["finish_reason", "finishReason", "stop_reason", "stopReason"])?;
    Some(plain_reason(&sent))
}

/// The message whose members these are.
pub(super) fn of_body(role: &str, object: &Object<'_>) -> Message {
    let content = object.first(CONTENT).filter(|content| !content.is_empty());
    let mut parts = Vec::new();
    if let Some(content) = object.word(&["reasoning_content", "reasoning", "thinking"]) {
        parts.push(Part::Reasoning { content });
    }
    parts.extend(content.map(part::parts).unwrap_or_default());
    let id = object.word(&["tool_call_id", "toolCallId", "call_id"]);
    // Typed parts say themselves which of them is a result.
    let holds_result = object.has("parts") || parts.iter().any(|part| matches!(part, Part::ToolResult(_)));
    if role == "tool"
        && !holds_result
        && let Some(content) = content
    {
        let content = content.text().map_or_else(|| content.json(), |text| Json::string(&text));
        let id = id.or_else(|| object.word(&["id"]));
        parts = vec![Part::ToolResult(ToolResult { id, content })];
    }
    let more = object.get("additional_kwargs").and_then(Node::object);
    let calls = [Some(object), more.as_ref()].into_iter().flatten().find_map(calls).unwrap_or_default();
    let has_calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    // Anthropic through LangChain lists a call twice: among the parts, and beside them.
    parts.extend(calls.into_iter().filter(|_| !has_calls));
    parts.extend(object.word(&["refusal"]).map(|content| Part::Text { content }));
    let metadata = object.get("response_metadata").and_then(Node::object);
    let finish_reason = finish_reason(object).or_else(|| finish_reason(&metadata?));
    Message { role: role.to_owned(), parts, finish_reason }
}

fn calls(object: &Object<'_>) -> Option<Vec<Part>> {
    let listed = object.first(&["tool_calls", "toolCalls"]).and_then(|calls| {
        let text = calls.text();
        let calls = text.as_deref().map_or(calls, Node::new).list()?;
        Some(calls.iter().filter_map(|call| part::tool_call(&call.object()?)).collect::<Vec<_>>())
    });
    let alone = || object.get("function_call")?.object().and_then(|call| part::tool_call(&call)).map(|call| vec![call]);
    listed.filter(|calls| !calls.is_empty()).or_else(alone)
}
