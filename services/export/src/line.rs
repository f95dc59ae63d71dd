//! One span as one line of JSON.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use spanlake_model::{AppId, Money, SpanId, TraceId};

use crate::row::Row;

/// What a row has beside the fields of its span.
#[derive(Clone, Copy)]
pub(crate) struct Beside<'a> {
    /// Means by name of the span's scores, a JSON object.
    pub(crate) scores: Option<&'a str>,
    /// In a file of a job: the app, since rows are merged by it.
    pub(crate) app: bool,
}

/// The fields of AgentMark's export in its order, then their companions. Absent is null.
#[derive(Serialize)]
struct Line<'a> {
    trace_id: TraceId,
    span_name: &'a str,
    r#type: &'static str,
    model: Option<&'a str>,
    /// Milliseconds; null while the span runs.
    latency_ms: Option<f64>,
    timestamp: String,
    input: Option<Payload<'a>>,
    output: Option<Payload<'a>>,
    metadata: Payload<'a>,
    /// See [`Beside`].
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<&'a RawValue>,
    span_id: SpanId,
    parent_span_id: Option<SpanId>,
    kind: &'a str,
    status: &'static str,
    user_id: Option<&'a str>,
    session_id: Option<&'a str>,
    tags: &'a [&'a str],
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cost: Option<f64>,
    /// See [`Beside`].
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<AppId>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Payload<'a> {
    Json(Cow<'a, RawValue>),
    Text(&'a str),
}

impl<'a> Payload<'a> {
    /// Objects, arrays and strings that hold as JSON are it. Everything else is text: a model that answers `42` or
    /// `null` has said a word. Line breaks between JSON tokens become spaces, since a line of ours is one line.
    pub(crate) fn of(text: &'a str) -> Self {
        if !text.trim_start().starts_with(['{', '[', '"']) {
            return Self::Text(text);
        }
        match serde_json::from_str::<&RawValue>(text) {
            Err(_) => Self::Text(text),
            Ok(raw) if !raw.get().contains(['\n', '\r']) => Self::Json(Cow::Borrowed(raw)),
            Ok(raw) => match RawValue::from_string(raw.get().replace(['\n', '\r'], " ")) {
                Ok(one_line) => Self::Json(Cow::Owned(one_line)),
                Err(_) => Self::Text(text),
            },
        }
    }
}

/// Appends the line of the row, its end included.
///
/// # Errors
/// When it cannot be written as JSON, which no row that was read from the store can cause.
pub(crate) fn write(row: &Row<'_>, beside: Beside<'_>, lines: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let scores = beside.scores.map(serde_json::from_str).transpose()?;
    let app_id = beside.app.then_some(row.app_id);
    let line = Line {
        trace_id: row.trace_id,
        span_name: row.name,
        r#type: row.coarse_type(),
        model: row.model,
        latency_ms: row.latency_ms,
        timestamp: row.start.to_string(),
        input: row.input.map(Payload::of),
        output: row.output.map(Payload::of),
        metadata: Payload::of(row.metadata),
        scores,
        span_id: row.span_id,
        parent_span_id: row.parent_span_id,
        kind: row.kind,
        status: row.status.as_str(),
        user_id: row.user_id,
        session_id: row.session_id,
        tags: &row.tags,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        cost: row.cost.map(Money::as_dollars),
        app_id,
    };
    serde_json::to_writer(&mut *lines, &line)?;
    lines.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        serde_json::to_string(&Payload::of(text)).unwrap()
    }

    #[test]
    fn a_payload_is_json_when_it_holds_json_and_text_otherwise() {
        assert_eq!(json(r#" [{"role":"user"}] "#), r#"[{"role":"user"}]"#);
        assert_eq!(json(r#""hello""#), r#""hello""#);
        for text in ["hello", "{not json", "42", "true", "null", ""] {
            assert_eq!(json(text), serde_json::to_string(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn pretty_json_still_fits_on_one_line() {
        let line = json("{\r\n  \"a\": \"b\\nc\"\n}");
        assert!(!line.contains(['\n', '\r']));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), serde_json::json!({"a": "b\nc"}));
    }

    #[test]
    fn numbers_keep_every_digit() {
        assert_eq!(json("[12345678901234567890123, 1.10]"), "[12345678901234567890123, 1.10]");
    }
}
