//! What went into a span and what came out: which carrier to believe, in which order.
//!
//! Content stays as the sender wrote it: JSON stays that JSON, to the byte, and text stays text. Only what came in pieces
//! (indexed keys, events, system instructions beside messages) is put together, as JSON.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use spanlake_model::Kind;

use super::Source;
use super::canonical;
use super::fields::{Family, Field};
use super::kind::QUERY_RESULT;
use super::{indexed, value};
use crate::sent::{Attribute, Event, Value};

/// One way to carry content.
enum Carrier {
    /// An attribute, as it is.
    Plain(Field),
    /// An attribute whose strings are JSON: `"\"text\""` is text, and a list of JSON strings a list. Senders of these
    /// write `{}` for what they did not record.
    Json(Field),
    /// As [`Self::Json`], of a sender who writes a text as JSON in JSON.
    JsonInJson(Field),
    /// As [`Self::Plain`], of a root only.
    OfRoot(Field),
    /// Keys with an index.
    Indexed(Family),
    /// As [`Self::Indexed`], of messages, and who speaks in one that does not say.
    Said(Family, &'static str),
    /// As [`Self::Indexed`], of those keys that end so.
    IndexedEnd(Family, &'static str),
    /// The attribute of a family that ends so.
    End(Family, &'static str),
    /// Messages, with the system's instructions kept beside them.
    Messages(Field),
    /// The system's instructions alone.
    Instructions,
    /// One attribute of the first event of a name.
    Event { name: &'static str, key: &'static str },
    /// The messages and instructions of the event that holds both.
    Details,
    /// The attributes of each event of a name.
    Events(&'static str),
    /// What the user asked Copilot, out of all that is sent with it.
    Copilot,
    /// One event per message, with the role its name implies.
    Messengers(&'static [(&'static str, &'static str)]),
    /// A JSON list of events; those of this name, or all but those.
    Listed { name: &'static str, is_wanted: bool },
    /// Vercel's answer in parts.
    Vercel,
}

/// The kinds a row is for; all when empty.
type Row = (&'static [&'static str], Carrier);

const ANY: &[&str] = &[];
const LLM: &[&str] = &[Kind::LLM];
const TOOL: &[&str] = &[Kind::TOOL];
const RETRIEVER: &[&str] = &[Kind::RETRIEVER];

const DETAILS: &str = "gen_ai.client.inference.operation.details";
const CHOICE: &str = "gen_ai.choice";

const INPUT: &[Row] = &[
    (ANY, Carrier::Json(Field::LangfuseInput)),
    (ANY, Carrier::Json(Field::AgentmarkInput)),
    (ANY, Carrier::Json(Field::LaminarInput)),
    (ANY, Carrier::JsonInJson(Field::MlflowInput)),
    (ANY, Carrier::End(Family::Mastra, ".input")),
    (LLM, Carrier::Indexed(Family::InputMessages)),
    (LLM, Carrier::Indexed(Family::Prompts)),
    (ANY, Carrier::Plain(Field::InputValue)),
    (RETRIEVER, Carrier::Plain(Field::RerankerQuery)),
    (RETRIEVER, Carrier::Plain(Field::RetrievalQuery)),
    (RETRIEVER, Carrier::Indexed(Family::RerankerInput)),
    (ANY, Carrier::Indexed(Family::InputMessages)),
    (ANY, Carrier::IndexedEnd(Family::Embeddings, ".text")),
    (TOOL, Carrier::Plain(Field::ToolArguments)),
    (ANY, Carrier::Messages(Field::InputMessages)),
    (ANY, Carrier::Details),
    (ANY, Carrier::Json(Field::VercelInput)),
    (ANY, Carrier::Json(Field::AdkInput)),
    (ANY, Carrier::Json(Field::LastInput)),
    (ANY, Carrier::Plain(Field::LivekitInput)),
    (ANY, Carrier::Listed { name: CHOICE, is_wanted: false }),
    (ANY, Carrier::Messages(Field::PydanticMessages)),
    (ANY, Carrier::Said(Family::IndexedPrompt, "user")),
    (ANY, Carrier::Plain(Field::PlainPrompt)),
    (ANY, Carrier::Event { name: "gen_ai.content.prompt", key: "gen_ai.prompt" }),
    (TOOL, Carrier::Event { name: "gen_ai.tool.message", key: "content" }),
    (
        ANY,
        Carrier::Messengers(&[
            ("gen_ai.system.message", "system"),
            ("gen_ai.user.message", "user"),
            ("gen_ai.assistant.message", "assistant"),
            ("gen_ai.tool.message", "tool"),
        ]),
    ),
    (ANY, Carrier::Plain(Field::ToolArguments)),
    (ANY, Carrier::Plain(Field::AgentmarkProps)),
    (ANY, Carrier::OfRoot(Field::TraceInput)),
    (ANY, Carrier::Copilot),
    (ANY, Carrier::Plain(Field::BareInput)),
    // Of other kinds they are how something is set up, not what went in.
    (LLM, Carrier::Instructions),
];

const OUTPUT: &[Row] = &[
    (ANY, Carrier::Json(Field::LangfuseOutput)),
    (ANY, Carrier::Json(Field::AgentmarkOutput)),
    (ANY, Carrier::Json(Field::LaminarOutput)),
    (ANY, Carrier::JsonInJson(Field::MlflowOutput)),
    (ANY, Carrier::End(Family::Mastra, ".output")),
    (LLM, Carrier::Indexed(Family::OutputMessages)),
    (LLM, Carrier::Indexed(Family::Choices)),
    (RETRIEVER, Carrier::Indexed(Family::Documents)),
    (RETRIEVER, Carrier::Indexed(Family::RerankerOutput)),
    (RETRIEVER, Carrier::Plain(Field::RetrievalDocuments)),
    (ANY, Carrier::Plain(Field::OutputValue)),
    (RETRIEVER, Carrier::Events(QUERY_RESULT)),
    (ANY, Carrier::Indexed(Family::OutputMessages)),
    (ANY, Carrier::IndexedEnd(Family::Embeddings, ".vector")),
    (TOOL, Carrier::Plain(Field::ToolResult)),
    (ANY, Carrier::Plain(Field::OutputMessages)),
    (ANY, Carrier::Event { name: DETAILS, key: "gen_ai.output.messages" }),
    (ANY, Carrier::Vercel),
    (ANY, Carrier::Json(Field::VercelOutput)),
    (ANY, Carrier::Json(Field::AdkOutput)),
    (ANY, Carrier::Json(Field::LastOutput)),
    (ANY, Carrier::Plain(Field::LivekitOutput)),
    (ANY, Carrier::Listed { name: CHOICE, is_wanted: true }),
    (ANY, Carrier::Plain(Field::PydanticResult)),
    (ANY, Carrier::Said(Family::IndexedCompletion, "assistant")),
    (ANY, Carrier::Plain(Field::PlainCompletion)),
    (ANY, Carrier::Event { name: "gen_ai.content.completion", key: "gen_ai.completion" }),
    (TOOL, Carrier::Event { name: CHOICE, key: "message" }),
    (ANY, Carrier::Messengers(&[(CHOICE, "assistant")])),
    (ANY, Carrier::Plain(Field::ToolResult)),
    (TOOL, Carrier::Events("tool.output")),
    (ANY, Carrier::OfRoot(Field::TraceOutput)),
    (ANY, Carrier::Plain(Field::BareOutput)),
];

/// What went in and what came out.
pub(super) fn input_and_output(source: &Source<'_, '_>, kind: &str, is_root: bool) -> (Option<String>, Option<String>) {
    (believe(source, kind, is_root, INPUT), believe(source, kind, is_root, OUTPUT))
}

/// The first content that says something; else a plain attribute that says so, such as the `{}` of a tool without arguments.
fn believe(source: &Source<'_, '_>, kind: &str, is_root: bool, rows: &[Row]) -> Option<String> {
    let mut empty = None;
    let is_meant = |carrier: &Carrier| is_root || !matches!(carrier, Carrier::OfRoot(_));
    let rows = rows.iter().filter(|(kinds, carrier)| (kinds.is_empty() || kinds.contains(&kind)) && is_meant(carrier));
    for (_, carrier) in rows {
        let is_plain = matches!(carrier, Carrier::Plain(_));
        let mut speaks = |content: &String| {
            let speaks = says_something(content);
            if !speaks && is_plain && empty.is_none() {
                empty = Some(content.clone());
            }
            speaks
        };
        if let Some(content) = carrier.find(source, &mut speaks) {
            return Some(content);
        }
    }
    empty.filter(|content| matches!(content.trim(), "{}" | "[]"))
}

pub(super) fn says_something(content: &str) -> bool {
    let content = content.trim();
    !matches!(content, "" | "null" | "[]" | "{}" | "\"\"" | "<REDACTED>") && !is_hollow(content)
}

/// Whether these are messages of which nothing is said but who speaks and why they ended: LiteLLM writes an answer that only calls
/// a tool so.
fn is_hollow(content: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Hollow<'a> {
        #[serde(borrow, rename = "role")]
        _role: &'a RawValue,
        #[serde(default, borrow)]
        parts: Option<&'a RawValue>,
        #[serde(default, borrow)]
        content: Option<&'a RawValue>,
        #[serde(default, borrow, rename = "finish_reason")]
        _finish_reason: Option<&'a RawValue>,
    }
    const BYTES_MAX: usize = 512;
    if content.len() > BYTES_MAX || !content.starts_with('[') || !content.contains("\"role\"") {
        return false;
    }
    let is_empty = |sent: Option<&RawValue>| sent.is_none_or(|sent| matches!(sent.get(), "[]" | "null" | "\"\""));
    let messages: Option<Vec<Hollow<'_>>> = serde_json::from_str(content).ok();
    messages.is_some_and(|messages| messages.iter().all(|said| is_empty(said.parts) && is_empty(said.content)))
}

impl Carrier {
    /// Of what it holds, in order of belief, the first that is `wanted`; mostly it holds one content or none.
    fn find(&self, source: &Source<'_, '_>, wanted: &mut dyn FnMut(&String) -> bool) -> Option<String> {
        let one = match self {
            Self::Plain(field) => return source.view.values(*field).filter_map(value::whole).find(wanted),
            Self::Json(field) | Self::OfRoot(field) => return source.view.values(*field).filter_map(json).find(wanted),
            Self::JsonInJson(field) => {
                let texts = source.view.values(*field).filter_map(json);
                return texts.map(|text| value::unquote(text.trim()).unwrap_or(text)).find(wanted);
            }
            Self::End(family, end) => {
                // The type of the span is one word.
                let is_it = |key: &str| key.strip_suffix(end).is_some_and(|word| !word.contains('.'));
                let sent = source.view.family(*family).filter(|(key, _)| is_it(key));
                return sent.filter_map(|(_, value)| json(value)).find(wanted);
            }
            Self::Messages(field) => {
                let sent = source.view.values(*field).filter_map(value::whole);
                return sent.map(|messages| with_instructions(messages, instructions(source))).find(wanted);
            }
            Self::Copilot => {
                let sent = source.view.values(Field::CopilotInput).filter_map(value::str);
                return sent.map(user_request).find(wanted);
            }
            Self::Indexed(family) => indexed::list(source.view.family(*family)),
            Self::Said(family, role) => indexed::messages(source.view.family(*family), role),
            Self::IndexedEnd(family, end) => {
                indexed::list(source.view.family(*family).filter(|(key, _)| key.ends_with(end)))
            }
            Self::Instructions => instructions(source).map(|message| format!("[{message}]")),
            Self::Details => {
                let part = |key: &str| event_attribute(&source.span.events, DETAILS, key);
                let system = part("gen_ai.system_instructions").map(|sent| system_message(&sent));
                part("gen_ai.input.messages").map(|sent| with_instructions(sent, system))
            }
            Self::Events(name) => events(&source.span.events, name),
            Self::Event { name, key } => event_attribute(&source.span.events, name, key),
            Self::Messengers(names) => messengers(&source.span.events, names),
            Self::Listed { name, is_wanted } => listed(source, name, *is_wanted),
            Self::Vercel => vercel(source),
        };
        one.filter(wanted)
    }
}

/// A value whose strings are JSON.
fn json(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) => Some(value::unquote(text.trim()).unwrap_or_else(|| value::clean(text))),
        Value::List(values) => {
            let texts = values.iter().map(|value| value::str(value).filter(|text| is_json(text)));
            match texts.collect::<Option<Vec<_>>>() {
                Some(texts) => Some(format!("[{}]", texts.join(","))),
                None => value::whole(value),
            }
        }
        _ => value::whole(value),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The messages with the system's message before them, unless one is among them.
fn with_instructions(messages: String, system: Option<String>) -> String {
    let Some(system) = system else { return messages };
    let Some(rest) = messages.trim_start().strip_prefix('[') else { return messages };
    if has_system_message(&messages) {
        return messages;
    }
    let separator = if rest.trim_start().starts_with(']') { "" } else { "," };
    format!("[{system}{separator}{rest}")
}

#[derive(Deserialize)]
struct Role<'a> {
    #[serde(default, borrow)]
    role: Option<&'a RawValue>,
}

/// Roles of the system's messages, in JSON.
const SYSTEM_ROLES: [&str; 2] = ["\"system\"", "\"developer\""];

fn has_system_message(messages: &str) -> bool {
    // Most have none, and a look for the words costs a tenth of reading the messages.
    if !SYSTEM_ROLES.iter().any(|role| messages.contains(role)) {
        return false;
    }
    let roles: Vec<Role<'_>> = serde_json::from_str(messages).unwrap_or_default();
    roles.iter().filter_map(|message| message.role).any(|role| SYSTEM_ROLES.contains(&role.get()))
}

/// The system's instructions as one message.
fn instructions(source: &Source<'_, '_>) -> Option<String> {
    let sent = source.view.values(Field::SystemInstructions).find_map(json).filter(|text| says_something(text))?;
    Some(system_message(&sent))
}

/// Of a list of parts, or of text.
fn system_message(sent: &str) -> String {
    let is_list = sent.trim_start().starts_with('[') && is_json(sent);
    if is_list {
        return format!("{{\"role\":\"system\",\"parts\":{sent}}}");
    }
    let mut out = String::from("{\"role\":\"system\",\"parts\":[{\"type\":\"text\",\"content\":");
    canonical::write_string(&mut out, sent);
    out.push_str("}]}");
    out
}

/// What stands between the tags, when they are there.
fn user_request(sent: &str) -> String {
    let (open, close) = ("<userRequest>", "</userRequest>");
    let inner = sent.split_once(open).and_then(|(_, rest)| rest.rsplit_once(close));
    value::clean(inner.map_or(sent, |(inner, _)| inner.trim()))
}

/// Each event of that name as an object, in a list; alone when there is one.
fn events(events: &[Event<'_>], name: &str) -> Option<String> {
    let objects: Vec<String> =
        events.iter().filter(|event| event.name == name).map(|event| canonical::object(&event.attributes)).collect();
    match objects.as_slice() {
        [] => None,
        [one] if name != QUERY_RESULT => Some(one.clone()),
        all => Some(format!("[{}]", all.join(","))),
    }
}

fn event_attribute(events: &[Event<'_>], name: &str, key: &str) -> Option<String> {
    events
        .iter()
        .filter(|event| event.name == name)
        .find_map(|event| value::of_key(&event.attributes, key))
        .and_then(value::whole)
}

fn messengers(events: &[Event<'_>], names: &[(&str, &str)]) -> Option<String> {
    if events.is_empty() {
        return None;
    }
    let mut out = String::from("[");
    for event in events {
        let Some((_, role)) = names.iter().find(|(name, _)| *name == event.name) else { continue };
        if out.len() > 1 {
            out.push(',');
        }
        write_message(&mut out, event, role);
    }
    out.push(']');
    (out.len() > 2).then_some(out)
}

/// The attributes of the event as an object, with the role its name implies when it says none.
fn write_message(out: &mut String, event: &Event<'_>, role: &str) {
    let mut attributes: Vec<&Attribute<'_>> = event.attributes.iter().collect();
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
    out.push_str("{\"role\":");
    match value::of_key(&event.attributes, "role") {
        Some(role) => canonical::write_value(out, role),
        None => canonical::write_string(out, role),
    }
    for attribute in attributes.iter().filter(|attribute| attribute.key != "role") {
        out.push(',');
        canonical::write_string(out, &attribute.key);
        out.push(':');
        match value::str(&attribute.value) {
            // Parts of a message, as JSON: an object or a list of them; `[1]` may be what the user wrote.
            Some(text) if (text.starts_with("[{") || text.starts_with('{')) && is_json(text) => {
                canonical::write_compact(out, text);
            }
            _ => canonical::write_value(out, &attribute.value),
        }
    }
    out.push('}');
}

fn listed(source: &Source<'_, '_>, name: &str, is_wanted: bool) -> Option<String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(rename = "event.name", borrow)]
        name: &'a RawValue,
    }
    let sent = source.view.values(Field::PydanticEvents).find_map(json)?;
    let events: Vec<&RawValue> = serde_json::from_str(&sent).ok()?;
    let quoted = format!("\"{name}\"");
    let mut chosen = Vec::new();
    for event in events {
        // A list of anything else is not what we look for, only an attribute of the same name.
        let named: Named<'_> = serde_json::from_str(event.get()).ok()?;
        if (named.name.get() == quoted) == is_wanted {
            chosen.push(event.get());
        }
    }
    (!chosen.is_empty()).then(|| format!("[{}]", chosen.join(",")))
}

/// The text alone when there is nothing else, else an object of the parts.
fn vercel(source: &Source<'_, '_>) -> Option<String> {
    let part = |field: Field| source.view.values(field).find_map(value::whole).filter(|part| says_something(part));
    let (text, calls) = (part(Field::VercelText), part(Field::VercelToolCalls));
    let reasoning = part(Field::VercelReasoning);
    if calls.is_none() && reasoning.is_none() {
        return text;
    }
    let mut members = Vec::new();
    for (name, part, is_text) in [("reasoning", reasoning, true), ("text", text, true), ("toolCalls", calls, false)] {
        let Some(part) = part else { continue };
        let mut member = format!("\"{name}\":");
        if is_text || !is_json(&part) {
            canonical::write_string(&mut member, &part);
        } else {
            member.push_str(&part);
        }
        members.push(member);
    }
    Some(format!("{{{}}}", members.join(",")))
}
