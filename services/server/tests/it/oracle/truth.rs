//! What must be seen: the rule, in its simplest form.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use spanlake_model::{SpanId, Timestamp, TraceId};
use spanlake_testkit::otlp::{self, span_id, trace_id};

use crate::world::noon;

/// Which span; the same in both tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(pub(crate) u8);

/// Few, so that most are sent again.
pub(crate) const NUMBERS: u8 = 12;
const TRACES: u8 = 4;
/// Of today, of days before, of long ago.
const DAYS_AGO: [u64; 5] = [0, 0, 1, 2, 300];

impl Number {
    pub(crate) fn trace(self) -> TraceId {
        trace_id(1 + u128::from(self.0 % TRACES))
    }
    pub(crate) fn span(self) -> SpanId {
        span_id(1 + u64::from(self.0))
    }
    /// All spans of a trace have the same.
    pub(crate) fn user(self) -> String {
        format!("user-{}", self.0 % TRACES % 2)
    }
    /// As with the user.
    pub(crate) fn session(self) -> String {
        format!("session-{}", self.0 % TRACES % 3)
    }
    /// The same in all its versions.
    pub(crate) fn start(self) -> Timestamp {
        let days = DAYS_AGO[usize::from(self.0) % DAYS_AGO.len()];
        noon().minus(Duration::from_secs(days * 86_400 + 3_600)).plus(Duration::from_millis(u64::from(self.0) * 700))
    }
}

/// One version of a span, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Unlike that of any other version, and with the tenant in it.
    pub(crate) says: String,
    pub(crate) is_finished: bool,
    /// Summed up by traces.
    pub(crate) tokens: i64,
}

impl Version {
    pub(crate) fn of(holder: usize, count: u64, is_finished: bool) -> Self {
        Self { says: format!("{} {count}", canary(holder)), is_finished, tokens: 1 + i64::try_from(count).unwrap() }
    }

    pub(crate) fn to_otlp(&self, number: Number) -> Span {
        let mut span = otlp::span(number.trace(), number.span(), &self.says, number.start());
        span.attributes = vec![
            otlp::text("gen_ai.operation.name", "chat"),
            otlp::number("gen_ai.usage.input_tokens", self.tokens),
            otlp::text("gen_ai.output.messages", &self.says),
            otlp::text("user.id", &number.user()),
            otlp::text("session.id", &number.session()),
        ];
        if !self.is_finished {
            span.end_time_unix_nano = 0;
        }
        span
    }
}

/// In everything a tenant sends.
pub(crate) fn canary(holder: usize) -> &'static str {
    ["canary-of-ada", "canary-of-bob"][holder]
}

/// What one tenant must see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    rows: BTreeMap<Number, (Version, Timestamp)>,
}

impl Truth {
    /// A finished version beats an unfinished one, then the later received beats the earlier. (Within one writer that is the
    /// order of sequences, because here requests to one writer are received one after the other.)
    pub(crate) fn take(&mut self, number: Number, version: Version, received_at: Timestamp) {
        let wins = self
            .rows
            .get(&number)
            .is_none_or(|(standing, before)| (version.is_finished, received_at) >= (standing.is_finished, *before));
        if wins {
            self.rows.insert(number, (version, received_at));
        }
    }

    /// What was sent so far and is like this is gone, and answered; what is sent later is new.
    pub(crate) fn erase(&mut self, is_like: impl Fn(Number) -> bool) -> BTreeMap<Number, Version> {
        let gone = self.rows.extract_if(.., |number, _| is_like(*number));
        gone.map(|(number, (version, _))| (number, version)).collect()
    }

    /// Every span in its winning version.
    pub(crate) fn rows(&self) -> BTreeMap<Number, Version> {
        self.rows.iter().map(|(number, (version, _))| (*number, version.clone())).collect()
    }
}
