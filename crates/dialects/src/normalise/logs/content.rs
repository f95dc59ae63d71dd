//! What a record says of the input and output of its span.

use serde_json::value::RawValue;
use spanlake_model::Kind;

use super::attribute;
use crate::json;
use crate::normalise::value::{self, Map};
use crate::normalise::view::View;
use crate::normalise::{Source, canonical, content};
use crate::sent::{Attribute, Record, Value};

/// Which side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Input,
    Output,
}

/// Events that are one message each, and the role that their name implies.
const MESSAGES: &[(&str, Side, &str)] = &[
    ("gen_ai.system.message", Side::Input, "system"),
    ("gen_ai.user.message", Side::Input, "user"),
    ("gen_ai.assistant.message", Side::Input, "assistant"),
    ("gen_ai.tool.message", Side::Input, "tool"),
    ("gen_ai.choice", Side::Output, "assistant"),
];

/// Events with the whole content in one attribute. What other events carry, such as a tool's output that a coding agent logs
/// while its turn is the current span, is not the content of the span they name.
const WHOLE: &[(&str, Side, &str)] = &[
    ("gen_ai.content.prompt", Side::Input, "gen_ai.prompt"),
    ("gen_ai.content.completion", Side::Output, "gen_ai.completion"),
];
/// As [`WHOLE`], by the last word of the name: coding agents put their own before it.
const WHOLE_OF_AGENTS: &[(&str, Side, &str)] = &[
    ("user_prompt", Side::Input, "prompt"),
    ("assistant_response", Side::Output, "response"),
    ("api_request", Side::Input, "request_text"),
    ("api_response", Side::Output, "response_text"),
    ("tool_call", Side::Input, "function_args"),
];

const DETAILS: &str = "gen_ai.client.inference.operation.details";
/// Whatever their event is called, these are what went in and what came out.
const SIGNS: &[&str] = &["gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"];

pub(super) fn input_and_output(
    record: &Record<'_>,
    source: &Source<'_, '_>,
    name: &str,
) -> (Option<String>, Option<String>) {
    if let Some((_, side, role)) = MESSAGES.iter().find(|(event, ..)| *event == name) {
        return side.of(message(record, role));
    }
    let last_word = name.rsplit('.').next().unwrap_or_default();
    let whole = WHOLE.iter().find(|(event, ..)| *event == name);
    let whole = whole.or_else(|| WHOLE_OF_AGENTS.iter().find(|(event, ..)| *event == last_word));
    if let Some((_, side, key)) = whole {
        let text = attribute(record, &[key]).and_then(value::whole);
        return side.of(text.filter(|text| says_something(text)));
    }
    details(record, source, name)
}

impl Side {
    fn of(self, content: Option<String>) -> (Option<String>, Option<String>) {
        match self {
            Self::Input => (content, None),
            Self::Output => (None, content),
        }
    }
}

/// As a span with these attributes would have it.
fn details(record: &Record<'_>, source: &Source<'_, '_>, name: &str) -> (Option<String>, Option<String>) {
    if attribute(record, SIGNS).is_some() {
        return content::input_and_output(source, Kind::LLM, false);
    }
    if name != DETAILS {
        return (None, None);
    }
    let members = members_of_body(record);
    let mut view = View::new();
    view.load(&mut attributes_of_body(record, &members));
    content::input_and_output(&Source { view: &view, ..*source }, Kind::LLM, false)
}

/// The texts of a body that is an object in JSON.
fn members_of_body(record: &Record<'_>) -> Vec<(String, String)> {
    let members =
        record.body.as_ref().filter(|body| value::str(body).is_some()).and_then(value::map).unwrap_or_default();
    members.into_iter().map(|(key, json)| (key, text(json.get()))).collect()
}

/// A body's members as attributes: of a map its own, else `members`.
fn attributes_of_body<'r>(record: &Record<'r>, members: &'r [(String, String)]) -> Vec<Attribute<'r>> {
    match &record.body {
        Some(Value::Map(attributes)) => attributes.clone(),
        _ => members.iter().map(|(key, text)| Attribute { key: key.into(), value: Value::Text(text.into()) }).collect(),
    }
}

/// One message as a JSON object: a role, then what the sender says of it.
fn message(record: &Record<'_>, role: &str) -> Option<String> {
    let mut members = members(record);
    // A choice has its message inside; Google's has it as `content`. Text stays text, whatever it looks like.
    let object = |json: &RawValue| serde_json::from_str::<Map>(json.get()).ok();
    match members.remove("message").map(|message| object(&message).ok_or(message)) {
        Some(Ok(message)) => members.extend(message),
        Some(Err(text)) => drop(members.entry("content".to_owned()).or_insert(text)),
        None => {}
    }
    if let Some(content) = members.get("content").and_then(|content| object(content))
        && content.contains_key("parts")
    {
        members.remove("content");
        members.extend(content);
    }
    let is_said = members.iter().any(|(key, json)| !BESIDE.contains(&&**key) && says_something(&text(json.get())));
    if !is_said {
        return None;
    }
    let sent_role = members.remove("role").and_then(|json| word(json.get()));
    let mut out = String::from("{\"role\":");
    json::write_string(&mut out, sent_role.as_deref().unwrap_or(role));
    for (key, json) in &members {
        out.push(',');
        json::write_string(&mut out, key);
        out.push(':');
        match word(json.get()).filter(|_| key == "finish_reason") {
            Some(reason) => json::write_string(&mut out, &reason),
            None => json::write_compact(&mut out, json.get()),
        }
    }
    out.push('}');
    Some(out)
}

/// What is no content by itself.
const BESIDE: &[&str] = &["role", "index", "finish_reason", "id", "tool_call_id", "name", "event.name"];
/// What a message may have, in its body or, when it has none, as attributes.
const MEMBERS: &[&str] =
    &["role", "content", "parts", "message", "tool_calls", "tool_call_id", "id", "index", "finish_reason"];

/// The body's members: of a map, of an object in JSON, or its text as the content; else attributes.
fn members(record: &Record<'_>) -> Map {
    let body = record.body.as_ref().filter(|body| !body.is_empty());
    // JSON without a word of a message is what somebody wrote.
    let is_message = |members: &Map| MEMBERS.iter().any(|member| members.contains_key(*member));
    let of_event = || attribute(record, &["gen_ai.event.content"]).and_then(value::map);
    if let Some(members) = body.and_then(value::map).filter(is_message).or_else(of_event) {
        return members;
    }
    let member = |key: &str, value| Some((key.to_owned(), in_json(value)?));
    match body {
        Some(text) => member("content", text).into_iter().collect(),
        None => MEMBERS.iter().filter_map(|key| member(key, attribute(record, &[key])?)).collect(),
    }
}

fn in_json(value: &Value<'_>) -> Option<Box<RawValue>> {
    RawValue::from_string(canonical::value(value)).ok()
}

/// What a JSON string says, or any other JSON as it is.
fn text(json: &str) -> String {
    value::unquote(json).unwrap_or_else(|| json.to_owned())
}

/// A word such as a role: lower case, without the enum that Python puts before it (`AuthorRole.USER`, `FinishReason.STOP`).
fn word(json: &str) -> Option<String> {
    let word = value::unquote(json)?;
    let word = word.rsplit('.').next().unwrap_or_default().trim().to_ascii_lowercase();
    (!word.is_empty()).then(|| value::clean(&word))
}

/// As of a span, and coding agents write in brackets as well what they did not log.
fn says_something(text: &str) -> bool {
    content::says_something(text) && text.trim() != "[REDACTED]"
}
