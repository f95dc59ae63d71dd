//! What a record is called, and whether it is about a model's work at all.

use super::attribute;
use crate::normalise::value;
use crate::sent::Record;

/// What a record is called that says no name.
const NAMELESS: &str = "log";

/// How the names of events begin that are about a model's work.
const EVENTS: &[&str] =
    &["gen_ai.", "claude_code.", "codex.", "gemini_cli.", "qwen-code.", "copilot_chat.", "github.copilot."];
/// How the names of scopes and services begin whose records all are.
const SENDERS: &[&str] = &[
    "com.anthropic.claude_code",
    "claude-code",
    "codex",
    "gemini-cli",
    "qwen-code",
    "copilot-chat",
    "github-copilot",
    "openlit",
    "opentelemetry.util.genai",
];
/// Where Claude Code logs; its names come without a prefix there.
const CLAUDE_CODE: &str = "com.anthropic.claude_code";

/// The event's name: the attribute, since some put a place in their source into the field; else the field; else what an old
/// record's body says.
pub(super) fn of(record: &Record<'_>, scope: &str) -> String {
    let said = |text: &str| Some(value::clean(text.trim())).filter(|name| !name.is_empty());
    let attribute = attribute(record, &["event.name"]).and_then(value::str).and_then(said);
    let name = attribute.or_else(|| said(&record.event_name)).or_else(|| in_body(record));
    let Some(name) = name else { return NAMELESS.to_owned() };
    // Claude Code says `api_request` in the attribute, `claude_code.api_request` in the body.
    let body = record.body.as_ref().and_then(value::str);
    match body
        .filter(|body| body.strip_suffix(name.as_str()).is_some_and(|prefix| prefix.len() > 1 && prefix.ends_with('.')))
    {
        Some(body) if !body.contains(char::is_whitespace) => value::clean(body),
        _ if scope.starts_with(CLAUDE_CODE) && !name.contains('.') => format!("claude_code.{name}"),
        _ => name,
    }
}

fn in_body(record: &Record<'_>) -> Option<String> {
    let body = record.body.as_ref()?;
    let is_event = |text: &str| starts_with_any(text, EVENTS) && !text.contains(char::is_whitespace);
    if let Some(text) = value::str(body).filter(|text| is_event(text)) {
        return Some(value::clean(text));
    }
    let members = value::map(body)?;
    let name = ["event.name", "name"].iter().find_map(|key| value::unquote(members.get(*key)?.get()));
    name.filter(|name| is_event(name)).map(|name| value::clean(&name))
}

/// Whether the record is about a model's work, by its name, its attributes or its sender.
pub(super) fn is_of_a_model(name: &str, record: &Record<'_>, scope: &str, service: Option<&str>) -> bool {
    starts_with_any(name, EVENTS)
        || starts_with_any(scope, SENDERS)
        || service.is_some_and(|service| starts_with_any(service, SENDERS))
        || record.attributes.iter().any(|attribute| attribute.key.starts_with("gen_ai."))
}

fn starts_with_any(text: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sent::{Attribute, Value};

    fn named(attribute: &str, field: &str, body: &str, scope: &str) -> String {
        let attributes = vec![Attribute { key: "event.name".into(), value: Value::Text(attribute.into()) }];
        let body = Some(Value::Text(body.into()));
        of(&Record { attributes, event_name: field.into(), body, ..Record::default() }, scope)
    }

    #[test]
    fn the_attribute_is_believed_before_the_field_and_the_field_before_the_body() {
        assert_eq!(named("codex.user_prompt", "event otel/src/lib.rs:1089", "", ""), "codex.user_prompt");
        assert_eq!(named("", "gen_ai.choice", "codex.user_prompt", ""), "gen_ai.choice");
        assert_eq!(named("", "", "codex.user_prompt", ""), "codex.user_prompt");
        assert_eq!(named("", "", r#"{"event.name":"gen_ai.choice","index":0}"#, ""), "gen_ai.choice");
        assert_eq!(named("", "", "codex. is a sentence", ""), NAMELESS);
        assert_eq!(named("", "", r#"{"name":"ada"}"#, ""), NAMELESS);
    }

    #[test]
    fn a_bare_name_of_claude_code_gets_its_prefix() {
        assert_eq!(named("api_request", "", "claude_code.api_request", ""), "claude_code.api_request");
        assert_eq!(named("api_request", "", "", "com.anthropic.claude_code.events"), "claude_code.api_request");
        assert_eq!(named("api_request", "", "a sentence. api_request", "s"), "api_request");
        assert_eq!(named("gen_ai.choice", "", "I said: gen_ai.choice", "s"), "gen_ai.choice");
    }
}
