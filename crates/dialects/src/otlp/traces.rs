//! A request that holds spans.

use std::collections::BTreeSet;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span as ProtoSpan;

use super::{DecodeError, Encoding, Signal, json, logs, named_agents, wire};
use crate::sent::{self, Item, Resource, tree};

/// Spans as they came, not yet looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct TracesRequest(Body);

#[derive(Clone, Debug, PartialEq)]
enum Body {
    /// A protobuf body in which everything was found to be readable.
    Wire(Bytes),
    Tree(ExportTraceServiceRequest),
}

/// A span, not yet read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span<'a> {
    Wire(wire::Span<'a>),
    Tree(&'a ProtoSpan),
}

impl<'a> From<wire::Raw<'a>> for Span<'a> {
    fn from(raw: wire::Raw<'a>) -> Self {
        Self::Wire(raw.into())
    }
}

impl<'a> Item<sent::Span<'a>> for Span<'a> {
    fn read(self, into: &mut sent::Span<'a>) {
        match self {
            Self::Wire(span) => span.read(into),
            Self::Tree(span) => span.read(into),
        }
    }
}

impl TracesRequest {
    /// What was made by hand, or read in another way.
    pub const fn from_proto(request: ExportTraceServiceRequest) -> Self {
        Self(Body::Tree(request))
    }
    /// How many spans it holds, good and bad.
    pub fn span_count(&self) -> usize {
        self.resources().iter().flat_map(|resource| &resource.scopes).map(|scope| scope.items.len()).sum()
    }
    /// The distinct values of `agentos.agent_id` on its resources that have spans, which whoever admits the request looks up
    /// before [`crate::normalise`] asks about each.
    pub fn named_agents(&self) -> BTreeSet<&str> {
        named_agents(&self.resources())
    }
    /// The spans, by resource and scope.
    pub(crate) fn resources(&self) -> Vec<Resource<'_, Span<'_>>> {
        match &self.0 {
            Body::Wire(bytes) => wire::resources(bytes).expect("it was read once, when the request was decoded"),
            Body::Tree(request) => tree::spans(&request.resource_spans).map(|sent| sent.map(Span::Tree)).collect(),
        }
    }
}

/// Reads an `ExportTraceServiceRequest`. A span that makes no sense stays in, for [`crate::normalise`] to refuse by itself.
/// Copies the bytes; [`crate::Request::decode`] does not.
///
/// # Errors
/// When the envelope cannot be read: broken bytes, nested too deeply, or another signal.
pub fn decode_traces(encoding: Encoding, bytes: &[u8]) -> Result<TracesRequest, DecodeError> {
    decode(encoding, &Bytes::copy_from_slice(bytes))
}

/// Of protobuf nothing is built: the request holds on to `body`, and [`crate::normalise`] reads one span after the other.
pub(crate) fn decode(encoding: Encoding, body: &Bytes) -> Result<TracesRequest, DecodeError> {
    match encoding {
        Encoding::Protobuf => protobuf(body),
        Encoding::Json => json::decode(body).map(TracesRequest::from_proto),
    }
}

fn protobuf(body: &Bytes) -> Result<TracesRequest, DecodeError> {
    let logs = DecodeError::OtherSignal { sent: Signal::Logs.as_str(), wanted: Signal::Traces };
    match Seen::of(body) {
        // Field numbers of logs and traces coincide: log records read as spans without ids.
        Ok(seen) if seen.spans > 0 && seen.with_ids == 0 && logs::are_in(body) => Err(logs),
        Ok(_) => Ok(TracesRequest(Body::Wire(body.clone()))),
        Err(_) if logs::are_in(body) => Err(logs),
        Err(error) => Err(DecodeError::protobuf(Signal::Traces, error)),
    }
}

/// What a body holds, when all of it can be read as spans.
#[derive(Default)]
struct Seen {
    spans: usize,
    /// Spans with an id of any length.
    with_ids: usize,
    /// Spans whose ids are ids.
    identified: usize,
}

impl Seen {
    fn of(body: &[u8]) -> Result<Self, wire::Error> {
        let (mut seen, mut span) = (Self::default(), sent::Span::default());
        for scope in wire::resources::<wire::Span<'_>>(body)?.into_iter().flat_map(|resource| resource.scopes) {
            for item in scope.items {
                item.try_read(&mut span)?;
                seen.spans += 1;
                seen.with_ids += usize::from(!span.trace_id.is_empty() || !span.span_id.is_empty());
                seen.identified += usize::from(span.trace_id.len() == 16 && span.span_id.len() == 8);
            }
        }
        Ok(seen)
    }
}

/// Whether these are traces, read by those who expected something else.
pub(super) fn are_in(body: &[u8]) -> bool {
    // The name of a metric stands where a span has its trace id.
    Seen::of(body).is_ok_and(|seen| seen.identified > 0)
}
