//! A request of either signal, for those to whom it is all the same.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bytes::Bytes;

use crate::normalise::{
    Attribution, Context, Normalised, Taker, normalise, normalise_each, normalise_logs, normalise_logs_each,
};
use crate::otlp::{DecodeError, Encoding, LogsRequest, Signal, TracesRequest, logs, traces};

/// A request of either signal, not yet looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Spans.
    Traces(TracesRequest),
    /// Log records.
    Logs(LogsRequest),
}

impl Request {
    /// Reads what was sent as `signal`. An item that makes no sense stays in, for [`Self::normalise`] to refuse by itself.
    /// Of protobuf nothing is built: the request holds on to `body`.
    ///
    /// # Errors
    /// When the envelope or none of the items can be read: broken bytes, or another signal.
    pub fn decode(signal: Signal, encoding: Encoding, body: &Bytes) -> Result<Self, DecodeError> {
        match signal {
            Signal::Traces => traces::decode(encoding, body).map(Self::Traces),
            Signal::Logs => logs::decode(encoding, body).map(Self::Logs),
        }
    }

    /// What it holds.
    pub const fn signal(&self) -> Signal {
        match self {
            Self::Traces(_) => Signal::Traces,
            Self::Logs(_) => Signal::Logs,
        }
    }

    /// How many spans or log records it holds, good and bad.
    pub fn item_count(&self) -> usize {
        match self {
            Self::Traces(request) => request.span_count(),
            Self::Logs(request) => request.record_count(),
        }
    }

    /// The distinct agents it names, to be looked up before [`Self::normalise`] asks about each.
    pub fn named_agents(&self) -> BTreeSet<Cow<'_, str>> {
        match self {
            Self::Traces(request) => request.named_agents(),
            Self::Logs(request) => request.named_agents(),
        }
    }

    /// Gives every item, in order, as a span in our words, or why not. One by one: all of many tiny ones together take many times
    /// what the request does.
    pub fn normalise_each(&self, context: &Context, attribute: &mut Attribution<'_>, take: &mut Taker<'_>) {
        match self {
            Self::Traces(request) => normalise_each(request, context, attribute, take),
            Self::Logs(request) => normalise_logs_each(request, context, attribute, take),
        }
    }

    /// Every item as a span in our words, or why not.
    pub fn normalise(&self, context: &Context, attribute: &mut Attribution<'_>) -> Normalised {
        match self {
            Self::Traces(request) => normalise(request, context, attribute),
            Self::Logs(request) => normalise_logs(request, context, attribute),
        }
    }
}
