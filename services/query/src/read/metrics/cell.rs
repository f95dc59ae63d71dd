//! What is measured of some spans.

use spanlake_model::Money;

use super::sketch::{QUANTILES, Sketch};
use super::tally::Tally;

/// Durations of some spans, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Durations {
    pub(crate) mean: Option<f64>,
    /// As [`QUANTILES`] has them.
    pub(crate) quantiles: [Option<i64>; QUANTILES.len()],
}

/// What is measured of some spans; sums of nothing are zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cell {
    pub(crate) spans: i64,
    pub(crate) failed_spans: i64,
    pub(crate) traces: i64,
    pub(crate) users: i64,
    pub(crate) models: i64,
    /// Calls of models, failed ones included, each once.
    pub(crate) requests: i64,
    pub(crate) failed_requests: i64,
    pub(crate) request_mean_ns: Option<f64>,
    /// Spans whose usage is in the sums, and how many of these have no cost.
    pub(crate) calls: i64,
    pub(crate) unpriced_calls: i64,
    /// Input, output, total, read from a cache, written to one, for reasoning.
    pub(crate) tokens: [i64; 6],
    /// Total, for input, for output.
    pub(crate) cost: [Money; 3],
    pub(crate) latency: Durations,
    pub(crate) first_token: Durations,
    /// Output tokens of calls that took some time, and how long these wrote.
    pub(crate) written_tokens: i64,
    pub(crate) written_ns: i64,
}

impl From<&Tally> for Cell {
    fn from(tally: &Tally) -> Self {
        Self {
            spans: tally.spans,
            failed_spans: tally.failed_spans,
            traces: tally.traces(),
            users: tally.users(),
            models: tally.models(),
            requests: tally.requests,
            failed_requests: tally.failed_requests,
            request_mean_ns: tally.request_mean_ns(),
            calls: tally.calls,
            unpriced_calls: tally.unpriced_calls,
            tokens: tally.tokens,
            cost: tally.cost.map(Money::from_pico),
            latency: (&tally.latency).into(),
            first_token: (&tally.first_token).into(),
            written_tokens: tally.written_tokens,
            written_ns: tally.written_ns,
        }
    }
}

impl From<&Sketch> for Durations {
    fn from(sketch: &Sketch) -> Self {
        Self { mean: sketch.mean(), quantiles: QUANTILES.map(|share| sketch.quantile(share)) }
    }
}

impl Cell {
    /// Output tokens a second, while they were written.
    pub(crate) fn speed(&self) -> Option<f64> {
        (self.written_ns > 0).then(|| self.written_tokens as f64 * 1e9 / self.written_ns as f64)
    }
}
