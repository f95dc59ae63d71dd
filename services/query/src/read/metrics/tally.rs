//! Spans counted one by one, in one pass over the rows; and parts that were counted apart, put together.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::quality::FixedState;

use super::rows::Measured;
use super::sketch::Sketch;

/// Hashes of 64 bits, of which two values with the same one count as one value.
type Values = HashSet<u64, foldhash::fast::FixedState>;

/// What a hashed value takes in a set, at its fullest.
const VALUE_BYTES: usize = 10;

/// The hash of a text or an id, the same in every part.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    FixedState::default().hash_one(bytes)
}

/// What is measured of some spans. Sums of counts stop at the largest number.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) spans: i64,
    pub(super) failed_spans: i64,
    /// Of which it is known which they are.
    traces: Values,
    /// Others.
    more_traces: i64,
    users: Values,
    models: Values,
    /// The trace of the last span: those of a trace mostly come together.
    last_trace: Option<u64>,
    pub(super) requests: i64,
    pub(super) failed_requests: i64,
    ended_requests: i64,
    requests_ns: i128,
    pub(super) calls: i64,
    pub(super) unpriced_calls: i64,
    pub(super) tokens: [i64; 6],
    /// In units of 10⁻¹² dollars.
    pub(super) cost: [i128; 3],
    pub(super) latency: Sketch,
    pub(super) first_token: Sketch,
    pub(super) written_tokens: i64,
    pub(super) written_ns: i64,
}

impl Tally {
    /// Counts a span, and returns by how many bytes it grew.
    pub(super) fn add(&mut self, span: &Measured) -> usize {
        let before = self.held();
        self.spans += 1;
        self.failed_spans += i64::from(span.is_failed);
        if self.last_trace.replace(span.trace) != Some(span.trace) {
            self.traces.insert(span.trace);
        }
        self.users.extend(span.user);
        self.models.extend(span.model);
        if let Some(duration) = span.duration_ns {
            self.latency.insert(duration);
        }
        if let Some(first) = span.first_token_ns {
            self.first_token.insert(first);
        }
        if span.is_request {
            self.add_request(span);
        }
        if span.is_call {
            self.add_call(span);
        }
        self.held().saturating_sub(before)
    }

    fn add_request(&mut self, span: &Measured) {
        self.requests += 1;
        self.failed_requests += i64::from(span.is_failed);
        self.ended_requests += i64::from(span.duration_ns.is_some());
        self.requests_ns += i128::from(span.duration_ns.unwrap_or(0));
    }

    fn add_call(&mut self, span: &Measured) {
        self.calls += 1;
        self.unpriced_calls += i64::from(span.cost[0].is_none());
        for (sum, tokens) in self.tokens.iter_mut().zip(span.tokens) {
            *sum = sum.saturating_add(tokens.unwrap_or(0));
        }
        for (sum, cost) in self.cost.iter_mut().zip(span.cost) {
            *sum += cost.unwrap_or(0);
        }
        let (tokens, nanos) = (span.tokens[1].unwrap_or(0), span.written_ns());
        if tokens > 0 && nanos > 0 {
            self.written_tokens = self.written_tokens.saturating_add(tokens);
            self.written_ns = self.written_ns.saturating_add(nanos);
        }
    }

    /// Adds what was counted apart.
    pub(super) fn merge(&mut self, other: &Self) {
        let counts = [
            (&mut self.spans, other.spans),
            (&mut self.failed_spans, other.failed_spans),
            (&mut self.requests, other.requests),
            (&mut self.failed_requests, other.failed_requests),
            (&mut self.ended_requests, other.ended_requests),
            (&mut self.calls, other.calls),
            (&mut self.unpriced_calls, other.unpriced_calls),
            (&mut self.written_tokens, other.written_tokens),
            (&mut self.written_ns, other.written_ns),
        ];
        let tokens = self.tokens.iter_mut().zip(other.tokens);
        counts.into_iter().chain(tokens).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        self.cost.iter_mut().zip(other.cost).for_each(|(sum, more)| *sum += more);
        self.requests_ns += other.requests_ns;
        self.more_traces += other.more_traces;
        for (values, more) in
            [(&mut self.traces, &other.traces), (&mut self.users, &other.users), (&mut self.models, &other.models)]
        {
            values.extend(more);
        }
        self.latency.merge(&other.latency);
        self.first_token.merge(&other.first_token);
    }

    pub(super) fn traces(&self) -> i64 {
        self.more_traces + count(&self.traces)
    }

    /// Keeps only how many traces there are, and takes no more room than it must: no span of one of them comes any more.
    pub(super) fn forget_traces(&mut self) {
        self.more_traces += count(&std::mem::take(&mut self.traces));
        self.last_trace = None;
        self.users.shrink_to_fit();
        self.models.shrink_to_fit();
        self.latency.shrink_to_fit();
        self.first_token.shrink_to_fit();
    }

    pub(super) fn users(&self) -> i64 {
        count(&self.users)
    }

    pub(super) fn models(&self) -> i64 {
        count(&self.models)
    }

    /// Of requests that ended.
    pub(super) fn request_mean_ns(&self) -> Option<f64> {
        (self.ended_requests > 0).then(|| self.requests_ns as f64 / self.ended_requests as f64)
    }

    /// In bytes, beside itself.
    pub(super) fn held(&self) -> usize {
        let values = self.traces.capacity() + self.users.capacity() + self.models.capacity();
        values * VALUE_BYTES + self.latency.held() + self.first_token.held()
    }
}

fn count(values: &Values) -> i64 {
    i64::try_from(values.len()).unwrap_or(i64::MAX)
}
