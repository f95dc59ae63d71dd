//! A trace in API.md's words.

use std::collections::BTreeMap;

use serde::Serialize;
use spanlake_model::Trace;
use utoipa::ToSchema;

/// A trace: all spans of one trace id in the app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trace)]
pub(super) struct TraceRow {
    #[serde(flatten)]
    summary: TraceSummary,
    /// By name the mean of the numbers that the trace and its spans were given.
    scores: BTreeMap<String, f64>,
}

/// What a trace is but for its scores.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TraceSummary {
    /// 32 lower-case hex digits.
    id: String,
    app_id: String,
    /// The agent it is attributed to.
    agent_id: Option<String>,
    name: String,
    /// `ERROR` when any span failed, else `OK` when the root says so, else `UNSET`.
    #[schema(value_type = String, example = "OK")]
    status: &'static str,
    /// When its first span began, RFC 3339.
    start: String,
    /// When its last span ended; null while none has.
    end: Option<String>,
    latency_ms: Option<f64>,
    /// Dollars, of all calls of models.
    cost: Option<f64>,
    /// Of all calls of models.
    tokens: Option<i64>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    span_count: i64,
    /// Spans that failed.
    error_count: i64,
    models: Vec<String>,
    session_id: Option<String>,
    user_id: Option<String>,
    environment: Option<String>,
    tags: Vec<String>,
    /// The first 200 characters.
    input_preview: Option<String>,
    /// The first 200 characters.
    output_preview: Option<String>,
}

impl From<Trace> for TraceRow {
    fn from(mut trace: Trace) -> Self {
        let scores = std::mem::take(&mut trace.scores);
        Self { summary: trace.into(), scores }
    }
}

impl From<Trace> for TraceSummary {
    fn from(trace: Trace) -> Self {
        Self {
            id: trace.id.to_string(),
            app_id: trace.app_id.to_string(),
            agent_id: trace.agent_id.map(|id| id.to_string()),
            name: trace.name,
            status: trace.status.as_str(),
            start: trace.start.to_string(),
            end: trace.end.map(|end| end.to_string()),
            latency_ms: trace.end.map(|end| end.since(trace.start).as_nanos() as f64 / 1e6),
            cost: trace.cost.map(|cost| cost.as_dollars()),
            tokens: trace.tokens,
            input_tokens: trace.input_tokens,
            output_tokens: trace.output_tokens,
            span_count: trace.span_count,
            error_count: trace.error_count,
            models: trace.models,
            session_id: trace.session_id,
            user_id: trace.user_id,
            environment: trace.environment,
            tags: trace.tags,
            input_preview: trace.input_preview,
            output_preview: trace.output_preview,
        }
    }
}
