//! What was measured, in API.md's words: AgentMark's names first, then ours.

use serde::Serialize;
use utoipa::ToSchema;

use crate::read::metrics::{Cell, Durations};

/// Durations in milliseconds. Percentiles are exact up to 1,024 values, beyond that within 0.4 %.
#[derive(Debug, Serialize, ToSchema)]
struct Percentiles {
    avg: Option<f64>,
    p50: Option<f64>,
    p90: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

/// Sums and counts of some spans. A request is a call of a model (kind `llm` or `embedding`), counted once however many spans repeat it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricsSummary)]
pub(super) struct Summary {
    total_requests: i64,
    success_count: i64,
    /// Failed requests.
    error_count: i64,
    /// Dollars.
    total_cost: f64,
    total_tokens: i64,
    input_tokens: i64,
    output_tokens: i64,
    /// Of requests.
    avg_latency_ms: Option<f64>,
    unique_users: i64,
    #[serde(flatten)]
    extended: Option<Extended>,
    #[serde(flatten)]
    more: More,
}

/// What `extended=true` adds.
#[derive(Debug, Serialize, ToSchema)]
struct Extended {
    avg_cost_per_request: Option<f64>,
    avg_input_tokens_per_request: Option<f64>,
    avg_output_tokens_per_request: Option<f64>,
    avg_total_tokens_per_request: Option<f64>,
    model_count: i64,
}

/// A stretch of time. Without any span in it, counts and sums are zero.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricsPoint)]
pub(super) struct Point {
    /// The date on which it begins, in the time zone asked for.
    date: String,
    /// The hour in which it begins, likewise.
    hour: u32,
    start: String,
    /// Not part of it.
    end: String,
    requests: i64,
    successes: i64,
    errors: i64,
    cost: f64,
    tokens: i64,
    input_tokens: i64,
    output_tokens: i64,
    avg_latency_ms: Option<f64>,
    unique_users: i64,
    #[serde(flatten)]
    more: More,
}

/// What is the same in both.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricsMeasures)]
struct More {
    span_count: i64,
    /// Spans that failed, of any kind.
    error_span_count: i64,
    /// Of all spans, the share that failed, from 0 to 1; null without spans.
    error_rate: Option<f64>,
    trace_count: i64,
    /// Spans whose usage is in the sums: calls, and agents whose calls are not there.
    usage_count: i64,
    /// Those among them that have no cost: it was not sent, and no price of the model is known.
    unpriced_count: i64,
    cached_input_tokens: i64,
    cache_write_tokens: i64,
    reasoning_tokens: i64,
    input_cost: f64,
    output_cost: f64,
    /// Of all spans that ended.
    latency_ms: Percentiles,
    time_to_first_token_ms: Percentiles,
    /// Output tokens over the time from the first token, or the start, to the end, of all calls together.
    tokens_per_second: Option<f64>,
}

fn millis(nanos: f64) -> f64 {
    nanos / 1e6
}

impl From<&Durations> for Percentiles {
    fn from(durations: &Durations) -> Self {
        let [p50, p90, p95, p99] = durations.quantiles.map(|nanos| nanos.map(|nanos| millis(nanos as f64)));
        Self { avg: durations.mean.map(millis), p50, p90, p95, p99 }
    }
}

impl From<&Cell> for More {
    fn from(cell: &Cell) -> Self {
        let [_, _, _, cached_input_tokens, cache_write_tokens, reasoning_tokens] = cell.tokens;
        let [_, input_cost, output_cost] = cell.cost.map(|cost| cost.as_dollars());
        Self {
            span_count: cell.spans,
            error_span_count: cell.failed_spans,
            error_rate: (cell.spans > 0).then(|| cell.failed_spans as f64 / cell.spans as f64),
            trace_count: cell.traces,
            usage_count: cell.calls,
            unpriced_count: cell.unpriced_calls,
            cached_input_tokens,
            cache_write_tokens,
            reasoning_tokens,
            input_cost,
            output_cost,
            latency_ms: (&cell.latency).into(),
            time_to_first_token_ms: (&cell.first_token).into(),
            tokens_per_second: cell.speed(),
        }
    }
}

impl Summary {
    pub(super) fn new(cell: &Cell, is_extended: bool) -> Self {
        let [input_tokens, output_tokens, total_tokens, ..] = cell.tokens;
        Self {
            total_requests: cell.requests,
            success_count: cell.requests - cell.failed_requests,
            error_count: cell.failed_requests,
            total_cost: cell.cost[0].as_dollars(),
            total_tokens,
            input_tokens,
            output_tokens,
            avg_latency_ms: cell.request_mean_ns.map(millis),
            unique_users: cell.users,
            extended: is_extended.then(|| cell.into()),
            more: cell.into(),
        }
    }
}

impl From<&Cell> for Extended {
    fn from(cell: &Cell) -> Self {
        let each = |sum: f64| (cell.requests > 0).then(|| sum / cell.requests as f64);
        let [input, output, total, ..] = cell.tokens.map(|tokens| each(tokens as f64));
        Self {
            avg_cost_per_request: each(cell.cost[0].as_dollars()),
            avg_input_tokens_per_request: input,
            avg_output_tokens_per_request: output,
            avg_total_tokens_per_request: total,
            model_count: cell.models,
        }
    }
}

/// When a point is.
pub(super) struct When {
    pub(super) local: (String, u32),
    pub(super) start: String,
    pub(super) end: String,
}

impl Point {
    pub(super) fn new(When { local: (date, hour), start, end }: When, cell: &Cell) -> Self {
        let [input_tokens, output_tokens, tokens, ..] = cell.tokens;
        Self {
            date,
            hour,
            start,
            end,
            requests: cell.requests,
            successes: cell.requests - cell.failed_requests,
            errors: cell.failed_requests,
            cost: cell.cost[0].as_dollars(),
            tokens,
            input_tokens,
            output_tokens,
            avg_latency_ms: cell.request_mean_ns.map(millis),
            unique_users: cell.users,
            more: cell.into(),
        }
    }
}
