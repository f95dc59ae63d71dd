//! What was asked of a model and by whom it is run: provider, parameters, why it stopped.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Source;
use super::fields::{Family, Field};
use super::said::{self, Entry, Said};
use super::value;
use crate::sent::Value;

/// Senders that name themselves where the provider should stand; nobody is paid by these names.
const FRAMEWORKS: &[&str] = &[
    "langchain",
    "langgraph",
    "strands-agents",
    "spring_ai",
    "spring-ai",
    "microsoft.agent_framework",
    "autogen",
    "crewai",
    "haystack",
    "llamaindex",
];

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
    "speech",
    "transcription",
];

/// Who runs the model: the first that names one, in lower case as the conventions spell all of them.
pub(super) fn provider(source: &Source<'_, '_>) -> Option<String> {
    let names = source.view.values(Field::Provider).filter_map(value::text);
    let mut provider = names.into_iter().find(|name| !is_framework(name))?;
    if let Some((name, api)) = provider.split_once('.')
        && !name.is_empty()
        && (PROVIDER_APIS.contains(&api) || source.text(Field::ProviderAndApi).as_deref() == Some(&provider))
    {
        provider.truncate(name.len());
    }
    provider.make_ascii_lowercase();
    Some(provider)
}

/// The model that was asked for, where only the parameters of the call name it: OpenInference's spans of failed calls.
pub(super) fn model_in_parameters(source: &Source<'_, '_>) -> Option<String> {
    let map = source.view.values(Field::Parameters).find_map(value::map)?;
    let name =
        ["model", "model_name", "model_id", "modelId"].iter().find_map(|key| value::unquote(map.get(*key)?.get()))?;
    Some(name).filter(|name| !name.trim().is_empty())
}

/// Also a `host:port`, which LiveKit sends.
fn is_framework(name: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    FRAMEWORKS.iter().any(|framework| framework.eq_ignore_ascii_case(name))
        || name.rsplit_once(':').is_some_and(|(_, port)| is_port(port))
}

/// The families whose names are parameters, first the one to believe first.
const PARAMETERS: &[Family] = &[Family::GenaiRequest, Family::VercelSettings, Family::LlmRequest];

/// Stand among the parameters and are none.
const NO_PARAMETERS: &[&str] = &[
    "model",
    "model_name",
    "type",
    "streaming",
    "user",
    "input",
    "messages",
    "prompt",
    "contents",
    "system",
    "instructions",
    "tools",
    "functions",
    "base_url",
    "api_base",
];

/// As [`NO_PARAMETERS`], by how they begin.
const NO_PARAMETER_PREFIXES: &[&str] = &["context.", "functions.", "tools.", "headers.", "metadata."];

/// Temperature and the like, as a canonical JSON object: of each name the value of the first carrier that says something.
pub(super) fn parameters(source: &Source<'_, '_>) -> Option<String> {
    let view = source.view;
    let is_stream = is_stream(source).map(Value::Bool);
    let maps: Vec<value::Map> = view.values(Field::Parameters).filter_map(value::map).collect();
    let of_stream = is_stream.iter().map(|said| Entry { name: "stream".into(), rank: 0, said: Said::Value(said) });
    let mut entries: Vec<Entry<'_>> = of_stream.collect();
    for (rank, map) in (1..).zip(&maps) {
        entries.extend(map.iter().map(|(name, raw)| Entry { name: name.into(), rank, said: Said::Json(raw.get()) }));
    }
    for (rank, family) in (1 + maps.len()..).zip(PARAMETERS) {
        let of_family = view.family(*family);
        entries.extend(of_family.map(|(name, value)| Entry { name: snake_case(name), rank, said: Said::Value(value) }));
    }
    for (rank, (key, value)) in (1 + maps.len() + PARAMETERS.len()..).zip(view.entries(Field::BareParameters)) {
        let name = key.strip_prefix("llm.").unwrap_or(key);
        let name = name.strip_prefix("chat.").unwrap_or(name).into();
        entries.push(Entry { name, rank, said: Said::Value(value) });
    }
    entries.retain(|entry| is_parameter(&entry.name));
    let says_something = |json: &str| !matches!(json, "null" | "\"\"" | "[]" | "{}");
    Some(entries)
        .filter(|entries| !entries.is_empty())
        .map(|entries| said::object(entries, says_something))
        .filter(|object| object != "{}")
}

fn is_parameter(name: &str) -> bool {
    !NO_PARAMETERS.contains(&name) && !NO_PARAMETER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// `maxOutputTokens`, as Vercel writes it, in the spelling of all others.
fn snake_case(name: &str) -> Cow<'_, str> {
    if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    Cow::Owned(if snake == "max_output_tokens" { "max_tokens".to_owned() } else { snake })
}

/// Whether the answer came in pieces, when that was said.
fn is_stream(source: &Source<'_, '_>) -> Option<bool> {
    let said = source.view.values(Field::IsStream).find_map(value::bool);
    said.or_else(|| source.text(Field::VercelOperation)?.contains(".doStream").then_some(true))
}

/// Each of our words, and what senders mean by it: in lower case, `_` for `-`, and without what stands before a dot.
const REASONS: &[(&str, &[&str])] = &[
    ("stop", &["stop", "end_turn", "stop_sequence", "completed", "complete", "eos", "eos_token", "end"]),
    (
        "length",
        &["length", "max_tokens", "max_output_tokens", "model_context_window_exceeded", "max_length", "incomplete"],
    ),
    ("tool_calls", &["tool_calls", "tool_call", "tool_use", "function_call", "function_calls"]),
    (
        "content_filter",
        &[
            "content_filter",
            "content_filtered",
            "safety",
            "refusal",
            "recitation",
            "blocklist",
            "prohibited_content",
            "spii",
            "image_safety",
            "guardrail_intervened",
        ],
    ),
    ("error", &["error", "failed", "malformed_function_call", "malformed_model_output"]),
];

/// Why the model stopped, in our words, else in the sender's.
pub(super) fn finish_reason(source: &Source<'_, '_>) -> Option<String> {
    let indexed = || {
        let mut completions = source.view.family(Family::IndexedCompletion);
        completions.find_map(|(key, value)| if key.ends_with(".finish_reason") { value::text(value) } else { None })
    };
    let choice = || {
        let choices = source.span.events.iter().filter(|event| event.name == "gen_ai.choice");
        let mut attributes = choices.flat_map(|event| &event.attributes);
        let sent = attributes.find(|attribute| attribute.key == "finish_reason")?;
        value::text(&sent.value)
    };
    let sent = source
        .view
        .values(Field::FinishReasons)
        .find_map(first_reason)
        .or_else(|| source.view.values(Field::OutputMessages).find_map(reason_of_messages))
        .or_else(|| source.text(Field::FinishReasonLast))
        .or_else(indexed)
        .or_else(choice)
        .or_else(|| source.text(Field::BareFinishReason))?;
    Some(plain_reason(&sent))
}

/// A reason in one of our words, or in the sender's in lower case.
pub(crate) fn plain_reason(sent: &str) -> String {
    let lower = sent.trim().to_lowercase();
    let word = lower.rsplit('.').next().unwrap_or_default().replace('-', "_");
    let known = REASONS.iter().find(|(_, words)| words.contains(&word.as_str()));
    known.map_or(lower, |(reason, _)| (*reason).to_owned())
}

/// The first of a list, which may be JSON or Python; or the word that stands there instead of one.
fn first_reason(value: &Value<'_>) -> Option<String> {
    if let Value::List(values) = value {
        return values.iter().find_map(value::text);
    }
    let text = value::text(value)?;
    if !text.starts_with('[') {
        return Some(text);
    }
    value::literal::<Vec<Option<String>>>(&text)?.into_iter().flatten().find(|reason| !reason.is_empty())
}

fn reason_of_messages(messages: &Value<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(default, borrow)]
        finish_reason: Option<&'a RawValue>,
    }
    const KEY: &str = "\"finish_reason\"";
    let structured;
    let text = match value::str(messages) {
        Some(text) => text,
        None => {
            structured = value::whole(messages)?;
            &structured
        }
    };
    // Most senders list the reasons beside; reading the messages costs far more than a look for the word.
    if !text.contains(KEY) {
        return None;
    }
    let messages: Vec<Message<'_>> = serde_json::from_str(text).ok()?;
    messages.iter().filter_map(|message| value::unquote(message.finish_reason?.get())).find(|reason| !reason.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_reason_is_one_of_five_words() {
        for (sent, expected) in [
            ("STOP", "stop"),
            ("FinishReason.STOP", "stop"),
            ("end_turn", "stop"),
            ("tool-calls", "tool_calls"),
            ("tool_use", "tool_calls"),
            ("MAX_TOKENS", "length"),
            ("content-filter", "content_filter"),
            ("Error", "error"),
            ("Pause_Turn", "pause_turn"),
        ] {
            assert_eq!(plain_reason(sent), expected, "{sent}");
        }
    }

    #[test]
    fn vercels_settings_are_spelled_as_all_others() {
        for (sent, expected) in [("topP", "top_p"), ("maxOutputTokens", "max_tokens"), ("seed", "seed"), ("É", "É")] {
            assert_eq!(snake_case(sent), expected);
        }
    }
}
