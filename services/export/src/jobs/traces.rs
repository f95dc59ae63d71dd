//! A trace as a line of JSON and as a record of a table: the fields of `GET /v1/traces`, its metadata, and the column by which rows
//! replace older ones and deletes name them.

use std::collections::BTreeMap;

use serde::Serialize;
use spanlake_model::{AgentId, AppId, Money, Trace, TraceId};

use crate::csv::{self, Cell};
use crate::line::Payload;

/// The columns of a table, in the order of [`Line`]'s fields.
pub(crate) const COLUMNS: [&str; 24] = [
    "id",
    "app_id",
    "agent_id",
    "name",
    "status",
    "start",
    "end",
    "latency_ms",
    "cost",
    "tokens",
    "input_tokens",
    "output_tokens",
    "span_count",
    "error_count",
    "models",
    "session_id",
    "user_id",
    "environment",
    "tags",
    "input_preview",
    "output_preview",
    "scores",
    "metadata",
    "trace_id",
];

/// A line of JSON.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    id: TraceId,
    app_id: AppId,
    agent_id: Option<AgentId>,
    name: &'a str,
    status: &'static str,
    start: String,
    end: Option<String>,
    latency_ms: Option<f64>,
    cost: Option<f64>,
    tokens: Option<i64>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    span_count: i64,
    error_count: i64,
    models: &'a [String],
    session_id: Option<&'a str>,
    user_id: Option<&'a str>,
    environment: Option<&'a str>,
    tags: &'a [String],
    input_preview: Option<&'a str>,
    output_preview: Option<&'a str>,
    scores: &'a BTreeMap<String, f64>,
    metadata: Payload<'a>,
    /// The same as `id`, by the name that Parquet has for it.
    trace_id: TraceId,
}

impl<'a> From<&'a Trace> for Line<'a> {
    fn from(trace: &'a Trace) -> Self {
        Self {
            id: trace.id,
            app_id: trace.app_id,
            agent_id: trace.agent_id,
            name: &trace.name,
            status: trace.status.as_str(),
            start: trace.start.to_string(),
            end: trace.end.map(|end| end.to_string()),
            latency_ms: latency_ms(trace),
            cost: trace.cost.map(Money::as_dollars),
            tokens: trace.tokens,
            input_tokens: trace.input_tokens,
            output_tokens: trace.output_tokens,
            span_count: trace.span_count,
            error_count: trace.error_count,
            models: &trace.models,
            session_id: trace.session_id.as_deref(),
            user_id: trace.user_id.as_deref(),
            environment: trace.environment.as_deref(),
            tags: &trace.tags,
            input_preview: trace.input_preview.as_deref(),
            output_preview: trace.output_preview.as_deref(),
            scores: &trace.scores,
            metadata: Payload::of(&trace.metadata),
            trace_id: trace.id,
        }
    }
}

fn latency_ms(trace: &Trace) -> Option<f64> {
    trace.duration_ns().map(|nanos| nanos.max(0) as f64 / 1e6)
}

/// Appends the trace's record, its end included.
pub(crate) fn write_csv(trace: &Trace, records: &mut Vec<u8>) {
    let scores = serde_json::json!(trace.scores).to_string();
    let cells: [Cell<'_>; COLUMNS.len()] = [
        Cell::plain(trace.id),
        Cell::plain(trace.app_id),
        Cell::number(trace.agent_id),
        Cell::text(&trace.name),
        Cell::plain(trace.status.as_str()),
        Cell::plain(trace.start),
        Cell::number(trace.end),
        Cell::number(latency_ms(trace)),
        Cell::number(trace.cost.map(Money::as_dollars)),
        Cell::number(trace.tokens),
        Cell::number(trace.input_tokens),
        Cell::number(trace.output_tokens),
        Cell::plain(trace.span_count),
        Cell::plain(trace.error_count),
        Cell::list(&trace.models),
        Cell::optional(trace.session_id.as_deref()),
        Cell::optional(trace.user_id.as_deref()),
        Cell::optional(trace.environment.as_deref()),
        Cell::list(&trace.tags),
        Cell::optional(trace.input_preview.as_deref()),
        Cell::optional(trace.output_preview.as_deref()),
        Cell::text(&scores),
        Cell::text(&trace.metadata),
        Cell::plain(trace.id),
    ];
    csv::write_cells(&cells, records);
}
