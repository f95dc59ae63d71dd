//! A session in API.md's words.

use serde::Serialize;
use utoipa::ToSchema;

use crate::read::sessions::Session;

/// A session: all traces of one session id in the app, wherever they began.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionRow {
    id: String,
    /// The newest that a span gave it.
    name: Option<String>,
    /// When its first span began, RFC 3339.
    start: String,
    /// When its last span ended; null while none has.
    end: Option<String>,
    /// From the start to the end, pauses included.
    latency_ms: Option<f64>,
    trace_count: i64,
    span_count: i64,
    /// Spans that failed.
    error_count: i64,
    /// Dollars, of all calls of models, each once.
    total_cost: Option<f64>,
    /// Of all calls of models, each once.
    total_tokens: Option<i64>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    user_ids: Vec<String>,
    models: Vec<String>,
    environments: Vec<String>,
    tags: Vec<String>,
}

impl From<Session> for SessionRow {
    fn from(session: Session) -> Self {
        Self {
            id: session.id,
            name: session.name,
            start: session.start.to_string(),
            end: session.end.map(|end| end.to_string()),
            latency_ms: session.end.map(|end| end.since(session.start).as_nanos() as f64 / 1e6),
            trace_count: session.trace_count,
            span_count: session.span_count,
            error_count: session.error_count,
            total_cost: session.cost.map(|cost| cost.as_dollars()),
            total_tokens: session.tokens,
            input_tokens: session.input_tokens,
            output_tokens: session.output_tokens,
            user_ids: session.user_ids,
            models: session.models,
            environments: session.environments,
            tags: session.tags,
        }
    }
}
