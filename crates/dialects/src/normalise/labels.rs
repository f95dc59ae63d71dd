//! Names and labels: provider, tool, session, user, tags, metadata.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use spanlake_model::Kind;

use super::Source;
use super::canonical;
use super::fields::{Family, Field};
use super::value;

/// Further tags of a span are not kept.
const TAGS_MAX: usize = 256;

/// What Vercel appends to a provider: the API used.
const PROVIDER_APIS: &[&str] = &[
    "chat",
    "responses",
    "messages",
    "completion",
    "completions",
    "embedding",
    "embeddings",
    "generative-ai",
    "image",
];

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
    (Family::MlflowTags, false),
    (Family::BareMetadata, false),
];

/// Names an operation puts before the tool's own.
const TOOL_PREFIXES: &[&str] = &["execute_tool ", "running tool: ", "ai.toolCall "];

pub(super) fn provider(source: &Source<'_, '_>) -> Option<String> {
    let mut provider = source.text(Field::Provider)?;
    if let Some((name, api)) = provider.split_once('.')
        && PROVIDER_APIS.contains(&api)
    {
        provider.truncate(name.len());
    }
    Some(provider)
}

pub(super) fn tool_name(source: &Source<'_, '_>, kind: &Kind) -> Option<String> {
    let name = source.text(Field::ToolName);
    if name.is_some() || kind.as_str() != Kind::TOOL {
        return name;
    }
    source.text(Field::EntityName).or_else(|| {
        let name = source.span.name.as_str();
        let name = TOOL_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        let name = name.strip_suffix(".tool").unwrap_or(name);
        (!name.is_empty()).then(|| value::clean(name))
    })
}

pub(super) fn session(source: &Source<'_, '_>) -> Option<String> {
    let in_metadata = || from_metadata(source, &["session_id", "thread_id", "langfuse_session_id"]);
    source.text(Field::Session).or_else(in_metadata).or_else(|| source.resource.text(Field::Session))
}

pub(super) fn user(source: &Source<'_, '_>) -> Option<String> {
    let in_metadata = || from_metadata(source, &["user_id", "langfuse_user_id"]);
    source.text(Field::User).or_else(in_metadata).or_else(|| source.resource.text(Field::User))
}

fn from_metadata(source: &Source<'_, '_>, keys: &[&str]) -> Option<String> {
    let map = source.view.first(Field::MetadataObject).and_then(value::map)?;
    let raw = keys.iter().find_map(|key| map.get(*key))?.get();
    let text = value::unquote(raw).unwrap_or_else(|| raw.to_owned());
    value::text(&AnyValue { value: Some(Value::StringValue(text)) })
}

pub(super) fn trace_name(source: &Source<'_, '_>, is_root: bool) -> Option<String> {
    let of_root = || if is_root { source.text(Field::TraceNameOfRoot) } else { None };
    source.text(Field::TraceName).or_else(of_root).or_else(|| source.text(Field::TraceNameLast))
}

/// Of the first key that has any: a list, a list in JSON or Python, or words between commas. Without duplicates, as sent.
pub(super) fn tags(source: &Source<'_, '_>) -> Vec<String> {
    let found = |tags: Vec<String>| (!tags.is_empty()).then_some(tags);
    let on_span = source.view.values(Field::Tags).find_map(|value| found(tags_of(value)));
    on_span.or_else(|| source.resource.values(Field::Tags).find_map(|value| found(tags_of(value)))).unwrap_or_default()
}

fn tags_of(value: &AnyValue) -> Vec<String> {
    let sent: Vec<String> = match &value.value {
        Some(Value::ArrayValue(array)) => array.values.iter().filter_map(value::text).collect(),
        Some(Value::StringValue(text)) => tags_of_text(text),
        _ => value::text(value).into_iter().collect(),
    };
    let mut tags: Vec<String> = Vec::new();
    for tag in sent {
        if !tag.is_empty() && !tags.contains(&tag) && tags.len() < TAGS_MAX {
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
    if text.starts_with('[') {
        let json = serde_json::from_str(&text).ok();
        if let Some(tags) = json.or_else(|| serde_json::from_str(&value::python(&text)?).ok()) {
            return tags;
        }
    }
    text.split(',').map(|tag| value::clean(tag.trim())).collect()
}

/// The user's own keys and values, as a canonical JSON object.
pub(super) fn metadata(source: &Source<'_, '_>) -> String {
    let mut entries: BTreeMap<String, String> = BTreeMap::new();
    for (family, is_json) in METADATA {
        // Within a family the last of a repeated key wins, between families the first.
        let mut of_family: BTreeMap<&str, String> = BTreeMap::new();
        for (key, value) in source.view.family(*family) {
            // `metadata.` of Laminar is a family of its own.
            if !key.is_empty() {
                of_family.insert(key, rendered(value, *is_json));
            }
        }
        for (key, value) in of_family {
            if !entries.contains_key(key) {
                entries.insert(value::clean(key), value);
            }
        }
    }
    for map in source.view.values(Field::MetadataObject).filter_map(value::map) {
        for (key, raw) in map {
            entries.entry(value::clean(&key)).or_insert_with(|| canonical::compact(raw.get()));
        }
    }
    let mut out = String::from("{");
    for (key, value) in &entries {
        if out.len() > 1 {
            out.push(',');
        }
        canonical::write_string(&mut out, key);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    out
}

fn rendered(value: Option<&AnyValue>, is_json: bool) -> String {
    if let (true, Some(text)) = (is_json, value.and_then(value::str))
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    {
        return canonical::compact(text);
    }
    let mut out = String::new();
    canonical::write_value(&mut out, value);
    out
}
