//! Names and labels: tool, agent, session, user, tags, metadata.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use spanlake_model::Kind;

use super::Source;
use super::fields::{Family, Field};
use super::said::{self, Entry, Said};
use super::value;
use crate::sent::Value;

/// Further tags of a span are not kept, as in AgentMark.
const TAGS_MAX: usize = 20;
/// A longer tag is not kept, as in AgentMark.
const TAG_CHARS_MAX: usize = 100;

/// The families that are metadata, first the one to believe first, and whether their values are JSON in a string.
const METADATA: &[(Family, bool)] = &[
    (Family::LangfuseTraceMetadata, true),
    (Family::LangfuseMetadata, true),
    (Family::AgentmarkMetadata, false),
    (Family::LaminarMetadata, true),
    (Family::TraceloopMetadata, false),
    (Family::LangsmithMetadata, false),
    (Family::MastraMetadata, false),
    (Family::VercelMetadata, false),
    (Family::VercelContext, false),
    (Family::MlflowTags, true),
    (Family::BareMetadata, false),
];

/// Names an operation puts before the tool's own.
const TOOL_PREFIXES: &[&str] = &["execute_tool ", "running tool: ", "ai.toolCall "];
/// Names an operation puts before the agent's own.
const AGENT_PREFIXES: &[&str] = &["invoke_agent ", "create_agent ", "agent_run "];

pub(super) fn tool_name(source: &Source<'_, '_>, kind: &Kind) -> Option<String> {
    let name = source.text(Field::ToolName);
    if name.is_some() || kind.as_str() != Kind::TOOL {
        return name.or_else(|| source.text(Field::ToolNameElsewhere));
    }
    source.text(Field::ToolNameOfTool).or_else(|| {
        let name = &*source.span.name;
        let name = behind(TOOL_PREFIXES, name).unwrap_or(name);
        let name = name.strip_suffix(".tool").unwrap_or(name);
        (!name.is_empty()).then(|| value::clean(name))
    })
}

pub(super) fn agent_name(source: &Source<'_, '_>, kind: &Kind) -> Option<String> {
    let name = source.text(Field::AgentName);
    if name.is_some() || kind.as_str() != Kind::AGENT {
        return name.or_else(|| source.text(Field::AgentNameElsewhere));
    }
    source.text(Field::AgentNameOfAgent).or_else(|| {
        // `invoke_agent support`, and `agent_run [support]` of Google's ADK.
        let name = behind(AGENT_PREFIXES, &source.span.name)?.trim();
        let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        (!name.is_empty()).then(|| value::clean(name))
    })
}

fn behind<'n>(prefixes: &[&str], name: &'n str) -> Option<&'n str> {
    prefixes.iter().find_map(|prefix| name.strip_prefix(prefix))
}

pub(super) fn session(source: &Source<'_, '_>) -> Option<String> {
    let in_metadata = || from_metadata(source, &["session_id", "thread_id", "langfuse_session_id"]);
    let on_span = source.text(Field::Session).or_else(in_metadata).or_else(|| source.text(Field::SessionInMetadata));
    on_span.or_else(|| source.resource.text(Field::Session))
}

pub(super) fn user(source: &Source<'_, '_>) -> Option<String> {
    let in_metadata = || from_metadata(source, &["user_id", "langfuse_user_id"]);
    let on_span = source.text(Field::User).or_else(in_metadata).or_else(|| source.text(Field::UserInMetadata));
    on_span.or_else(|| source.resource.text(Field::User))
}

fn from_metadata(source: &Source<'_, '_>, keys: &[&str]) -> Option<String> {
    let map = source.view.first(Field::MetadataObject).and_then(value::map)?;
    keys.iter().find_map(|key| text_of_json(map.get(*key)?.get()))
}

pub(super) fn trace_name(source: &Source<'_, '_>, is_root: bool) -> Option<String> {
    let of_root = || if is_root { source.text(Field::TraceNameOfRoot) } else { None };
    source.text(Field::TraceName).or_else(of_root).or_else(|| source.text(Field::TraceNameLast))
}

pub(super) fn environment(source: &Source<'_, '_>) -> Option<String> {
    source.text_or_resource(Field::Environment).or_else(|| source.text(Field::EnvironmentLast))
}

/// Name and version of the stored prompt that was used.
pub(super) fn prompt(source: &Source<'_, '_>) -> (Option<String>, Option<String>) {
    let is_gemini_cli = || source.text(Field::AgentName).as_deref() == Some("gemini-cli");
    let of_genai = || source.text(Field::GenaiPromptName).filter(|_| !is_gemini_cli());
    let name = source.text(Field::PromptName).or_else(of_genai).or_else(|| source.text(Field::PromptNameLast));
    if name.is_some() {
        return (name, source.text(Field::PromptVersion));
    }
    let object = source.view.values(Field::PromptObject).find_map(prompt_object).unwrap_or_default();
    let member = |key: &str| text_of_json(object.get(key)?.get());
    (member("name"), member("version"))
}

/// The object, or the first of a list.
fn prompt_object(value: &Value<'_>) -> Option<value::Map> {
    value::map(value).or_else(|| {
        let whole = value::whole(value)?;
        let text = value::unquote(whole.trim()).unwrap_or(whole);
        let list: Vec<value::Map> = serde_json::from_str(&text).ok()?;
        list.into_iter().next()
    })
}

/// Short text from a JSON value.
fn text_of_json(raw: &str) -> Option<String> {
    let text = value::unquote(raw).unwrap_or_else(|| raw.to_owned());
    value::text(&Value::Text(text.into()))
}

/// Of the first key that has any: a list, a list in JSON or Python, or words between commas. Without duplicates, as sent.
pub(super) fn tags(source: &Source<'_, '_>) -> Vec<String> {
    let found = |tags: Vec<String>| (!tags.is_empty()).then_some(tags);
    let on_span = source.view.values(Field::Tags).find_map(|value| found(tags_of(value)));
    on_span.or_else(|| source.resource.values(Field::Tags).find_map(|value| found(tags_of(value)))).unwrap_or_default()
}

fn tags_of(value: &Value<'_>) -> Vec<String> {
    let sent: Vec<String> = match value {
        Value::List(values) => values.iter().filter_map(value::text).collect(),
        Value::Text(text) => tags_of_text(text),
        _ => value::text(value).into_iter().collect(),
    };
    let mut tags: Vec<String> = Vec::new();
    for tag in sent {
        let is_tag = !tag.is_empty() && tag.chars().nth(TAG_CHARS_MAX).is_none();
        if is_tag && tags.len() < TAGS_MAX && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

fn tags_of_text(text: &str) -> Vec<String> {
    let text = value::unquote(text.trim()).unwrap_or_else(|| text.trim().to_owned());
    if matches!(text.as_str(), "null" | "None" | "{}") {
        return Vec::new();
    }
    if text.starts_with('[')
        && let Some(tags) = value::literal::<Vec<Box<RawValue>>>(&text)
    {
        return tags.iter().filter_map(|tag| text_of_json(tag.get())).collect();
    }
    text.split(',').map(|tag| value::clean(tag.trim())).collect()
}

/// The user's own keys and values, as a canonical JSON object: of each key what the first carrier says.
pub(super) fn metadata(source: &Source<'_, '_>) -> String {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for (rank, (family, is_json)) in METADATA.iter().enumerate() {
        // `metadata.` of Laminar is a family of its own.
        let of_family = source.view.family(*family).filter(|(key, _)| !key.is_empty());
        entries.extend(of_family.map(|(key, value)| Entry { name: key.into(), rank, said: said(value, *is_json) }));
    }
    let maps: Vec<value::Map> = source.view.values(Field::MetadataObject).filter_map(value::map).collect();
    for (rank, map) in (METADATA.len()..).zip(&maps) {
        entries.extend(map.iter().map(|(key, raw)| Entry { name: key.into(), rank, said: Said::Json(raw.get()) }));
    }
    said::object(entries, |_| true)
}

/// A value whose text may be JSON.
fn said<'s>(value: &'s Value<'s>, is_json: bool) -> Said<'s> {
    match value {
        Value::Text(text) if is_json && serde_json::from_str::<IgnoredAny>(text).is_ok() => Said::Json(text),
        value => Said::Value(value),
    }
}
