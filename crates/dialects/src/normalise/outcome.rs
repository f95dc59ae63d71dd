//! How a span ended, and when its first token came.

use std::cmp::Ordering;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use spanlake_model::{Status, Timestamp};

use super::Source;
use super::fields::Field;
use super::value;

/// Events whose first one marks the first token.
const FIRST_TOKEN_EVENTS: &[&str] = &[
    "First Token Stream Event",
    "gen_ai.content.completion.chunk",
    "llm.content.completion.chunk",
    "mlflow.chunk.item.0",
];

/// How it ended, and why.
pub(super) fn status(source: &Source<'_, '_>) -> (Status, Option<String>) {
    let sent = source.span.status.as_ref();
    let code = sent.map_or(0, |status| status.code);
    let exception = source.span.events.iter().find(|event| event.name == "exception");
    let is_ok = code == StatusCode::Ok as i32;
    let is_error = code == StatusCode::Error as i32
        || source.text(Field::LangfuseLevel).is_some_and(|level| level.eq_ignore_ascii_case("error"))
        || source.view.first(Field::ErrorType).is_some()
        || failed_in_claude_code(source)
        // An exception in a span that ended well was a handled one.
        || (exception.is_some() && !is_ok);
    let said = || sent.map(|status| value::clean(&status.message)).filter(|message| !message.is_empty());
    let message = whole(source, Field::LangfuseStatusMessage).or_else(said);
    if is_error {
        let message = message
            .or_else(|| exception.and_then(exception_message))
            .or_else(|| whole(source, Field::ErrorMessage))
            .or_else(|| whole(source, Field::ErrorType));
        return (Status::Error, message);
    }
    (if is_ok { Status::Ok } else { Status::Unset }, message)
}

fn whole(source: &Source<'_, '_>, field: Field) -> Option<String> {
    source.view.values(field).find_map(value::whole)
}

fn failed_in_claude_code(source: &Source<'_, '_>) -> bool {
    source.scope == "com.anthropic.claude_code.tracing"
        && source.text(Field::ClaudeCodeSuccess).as_deref() == Some("false")
}

fn exception_message(event: &Event) -> Option<String> {
    let text = |key: &str| {
        let attribute = event.attributes.iter().rev().find(|attribute| attribute.key == key)?;
        attribute.value.as_ref().and_then(value::whole).filter(|text| !text.is_empty())
    };
    match (text("exception.type"), text("exception.message")) {
        (Some(class), Some(message)) => Some(format!("{class}: {message}")),
        (class, message) => message.or(class),
    }
}

/// Nanoseconds from `start` to the first token.
pub(super) fn time_to_first_token(source: &Source<'_, '_>, start: Timestamp) -> Option<i64> {
    let number = |field| source.view.number(field);
    at_instant(source, start)
        .or_else(|| number(Field::FirstTokenSeconds).and_then(seconds))
        .or_else(|| number(Field::FirstTokenMillis).and_then(millis))
        .or_else(|| either(source))
        .or_else(|| number(Field::FirstTokenSecondsLast).and_then(seconds))
        .or_else(|| number(Field::FirstTokenMillisLast).and_then(millis))
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
    if matches!(value.value, Some(Value::IntValue(_))) { millis(number) } else { seconds(number) }
}

fn at_instant(source: &Source<'_, '_>, start: Timestamp) -> Option<i64> {
    let instant = source.text(Field::FirstTokenTime)?;
    after(start, Timestamp::parse(&instant)?)
}

fn first_event(source: &Source<'_, '_>, start: Timestamp) -> Option<i64> {
    let mut events = source.span.events.iter();
    let first = events.find(|event| FIRST_TOKEN_EVENTS.contains(&event.name.as_str()))?;
    after(start, Timestamp::from_nanos(i64::try_from(first.time_unix_nano).ok()?))
}

fn after(start: Timestamp, instant: Timestamp) -> Option<i64> {
    match instant.cmp(&start) {
        Ordering::Less => None,
        _ => instant.as_nanos().checked_sub(start.as_nanos()),
    }
}
