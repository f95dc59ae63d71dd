//! How a span ended, and when its first token came.

use std::cmp::Ordering;

use spanlake_model::{Status, Timestamp};

use super::Source;
use super::fields::Field;
use super::value;
use crate::sent::{Event, Value};

/// Status codes of OTLP.
const OK: i32 = 1;
const ERROR: i32 = 2;

/// Events whose first one marks the first token.
const FIRST_TOKEN_EVENTS: &[&str] = &[
    "First Token Stream Event",
    "gen_ai.content.completion.chunk",
    "llm.content.completion.chunk",
    "mlflow.chunk.item.0",
];

/// The event in which the newest conventions tell of a failed call.
const EXCEPTION_EVENTS: &[&str] = &["exception", "gen_ai.client.operation.exception"];

/// How Python begins to print where an exception came from; which one it was comes last.
const TRACEBACK: &str = "Traceback (most recent call last)";

/// How it ended, and why.
pub(super) fn status(source: &Source<'_, '_>) -> (Status, Option<String>) {
    let sent = source.span.status.as_ref();
    let code = sent.map_or(0, |status| status.code);
    let exception = source.span.events.iter().find(|event| EXCEPTION_EVENTS.contains(&&*event.name));
    let is_ok = code == OK;
    let is_error = code == ERROR
        || source.text(Field::LangfuseLevel).is_some_and(|level| level.eq_ignore_ascii_case("error"))
        || source.view.first(Field::ErrorType).is_some()
        || failed_in_claude_code(source)
        // An exception in a span that ended well was a handled one; LangSmith tells of those only that ended a run, whatever it says then.
        || (exception.is_some() && (!is_ok || source.view.first(Field::LangsmithKind).is_some()));
    let said = || sent.map(|status| value::clean(&status.message)).filter(|message| !message.is_empty());
    let message = whole(source, Field::LangfuseStatusMessage).or_else(said).map(last_line_first);
    if is_error {
        let message = message
            .or_else(|| exception.and_then(exception_message))
            .or_else(|| whole(source, Field::ErrorMessage))
            .or_else(|| whole(source, Field::ErrorType));
        return (Status::Error, message);
    }
    (if is_ok { Status::Ok } else { Status::Unset }, message)
}

/// Of a traceback the last line, which says what happened, before all of it; any other message as it is.
fn last_line_first(message: String) -> String {
    if !message.starts_with(TRACEBACK) {
        return message;
    }
    let last = message.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    format!("{last}\n\n{message}")
}

/// How much it matters, in Langfuse's words: as sent, else by Logfire's numbers, else an error when it ended in one.
pub(super) fn level(source: &Source<'_, '_>, status: Status) -> Option<String> {
    let of_number = || Some(level_of(source.view.count(Field::LogfireLevel)?).to_owned());
    let of_status = || (status == Status::Error).then(|| "ERROR".to_owned());
    source.text(Field::LangfuseLevel).map(|level| level.to_uppercase()).or_else(of_number).or_else(of_status)
}

/// OpenTelemetry's severity numbers, which Logfire uses too, in Langfuse's words.
pub(super) fn level_of(severity: i64) -> &'static str {
    match severity {
        ..9 => "DEBUG",
        9..13 => "DEFAULT",
        13..17 => "WARNING",
        17.. => "ERROR",
    }
}

/// Output tokens a second, as sent, or as one over the time for each.
pub(super) fn tokens_per_second(source: &Source<'_, '_>) -> Option<f64> {
    let is_speed = |speed: &f64| speed.is_finite() && *speed > 0.0;
    let sent = source.view.number(Field::TokensPerSecond).filter(is_speed);
    sent.or_else(|| source.view.number(Field::SecondsPerToken).map(|seconds| 1.0 / seconds).filter(is_speed))
}

fn whole(source: &Source<'_, '_>, field: Field) -> Option<String> {
    source.view.values(field).find_map(value::whole)
}

fn failed_in_claude_code(source: &Source<'_, '_>) -> bool {
    source.scope == "com.anthropic.claude_code.tracing"
        && source.text(Field::ClaudeCodeSuccess).as_deref() == Some("false")
}

fn exception_message(event: &Event<'_>) -> Option<String> {
    let text = |key: &str| value::of_key(&event.attributes, key).and_then(value::whole);
    of_class(text("exception.type"), text("exception.message"))
}

/// What happened, behind the kind of thing it is.
pub(super) fn of_class(class: Option<String>, message: Option<String>) -> Option<String> {
    match (class, message) {
        (Some(class), Some(message)) => Some(format!("{class}: {message}")),
        (class, message) => message.or(class),
    }
}

/// Nanoseconds from `start` to the first token.
pub(super) fn time_to_first_token(source: &Source<'_, '_>, start: Timestamp) -> Option<i64> {
    let number = |field| source.view.number(field);
    let instant = |field| after(start, Timestamp::parse(&source.text(field)?)?);
    instant(Field::FirstTokenTime)
        .or_else(|| number(Field::FirstTokenSeconds).and_then(seconds))
        .or_else(|| number(Field::FirstTokenMillis).and_then(millis))
        .or_else(|| either(source))
        .or_else(|| number(Field::FirstTokenSecondsLast).and_then(seconds))
        .or_else(|| number(Field::FirstTokenMillisLast).and_then(millis))
        .or_else(|| instant(Field::FirstTokenTimeLast))
        .or_else(|| first_event(source, start))
}

fn seconds(seconds: f64) -> Option<i64> {
    value::whole_number(seconds * 1e9)
}

fn millis(millis: f64) -> Option<i64> {
    value::whole_number(millis * 1e6)
}

fn either(source: &Source<'_, '_>) -> Option<i64> {
    let value = source.view.first(Field::FirstTokenEither)?;
    let number = value::number(value)?;
    let is_strands = || source.text(Field::Provider).as_deref() == Some("strands-agents");
    if matches!(value, Value::Int(_)) || is_strands() { millis(number) } else { seconds(number) }
}

fn first_event(source: &Source<'_, '_>, start: Timestamp) -> Option<i64> {
    let mut events = source.span.events.iter();
    let first = events.find(|event| FIRST_TOKEN_EVENTS.contains(&&*event.name))?;
    after(start, Timestamp::from_nanos(i64::try_from(first.nanos).ok()?))
}

fn after(start: Timestamp, instant: Timestamp) -> Option<i64> {
    match instant.cmp(&start) {
        Ordering::Less => None,
        _ => instant.as_nanos().checked_sub(start.as_nanos()),
    }
}
