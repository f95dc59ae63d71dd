//! What was said in a span, from the first word to the answer.

use spanlake_dialects::chat::{self, Message, Part};
use spanlake_model::Kind;

use super::Skip;

/// Kinds of spans in which data goes in and data comes out.
const SILENT: &[&str] = &[Kind::TOOL, Kind::RETRIEVER, Kind::EMBEDDING, Kind::GUARDRAIL, Kind::EVALUATOR, Kind::EVENT];
/// Kinds whose output is a model's answer, also when it is data.
const ANSWERING: &[&str] = &[Kind::LLM, Kind::AGENT];

/// The messages of the input, then those that the output adds.
///
/// # Errors
/// When the span is no conversation, or one half of it is missing.
pub(super) fn of(kind: &str, input: Option<&str>, output: Option<&str>) -> Result<Vec<Message>, Skip> {
    if SILENT.contains(&kind) {
        return Err(Skip::NotAConversation);
    }
    let input = said(input).ok_or(Skip::NoInput)?;
    let output = said(output).ok_or(Skip::NoOutput)?;
    let asked = match chat::of_input(input) {
        Some(messages) => messages,
        None if is_data(input) => return Err(Skip::ParseError),
        None => vec![text("user", input)],
    };
    let answered = match chat::of_output(output) {
        Some(messages) => messages,
        None if is_data(output) && !ANSWERING.contains(&kind) => return Err(Skip::ParseError),
        None => vec![text("assistant", output)],
    };
    if answered.is_empty() {
        return Err(Skip::NoOutput);
    }
    Ok(joined(asked, answered))
}

/// Content that says something.
fn said(content: Option<&str>) -> Option<&str> {
    content.filter(|text| !matches!(text.trim(), "" | "null" | "\"\"" | "[]" | "{}"))
}

/// Whether it is an object or a list, of which nobody knows what was said.
fn is_data(content: &str) -> bool {
    content.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(content).is_ok()
}

/// A message of text; of a JSON string, of what it says.
fn text(role: &str, content: &str) -> Message {
    let content = serde_json::from_str(content).unwrap_or_else(|_| content.to_owned());
    Message { role: role.to_owned(), parts: vec![Part::Text { content }], finish_reason: None }
}

/// Frameworks give out the whole history with the answer at its end: what both have is there once. Of several answers to
/// choose from, the first is the one.
fn joined(mut asked: Vec<Message>, mut answered: Vec<Message>) -> Vec<Message> {
    let overlap = (1..=asked.len().min(answered.len()))
        .rev()
        .find(|&length| asked[asked.len() - length..] == answered[..length])
        .unwrap_or(0);
    let are_choices = overlap == 0 && answered.iter().all(|message| message.role == "assistant");
    if are_choices {
        answered.truncate(1);
    }
    asked.extend(answered.into_iter().skip(overlap));
    asked
}
