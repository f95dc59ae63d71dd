//! A request that holds spans.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span as ProtoSpan;

use super::wire::Seen;
use super::{DecodeError, Encoding, Signal, json, logs, named_agents, wire};
use crate::sent::{self, Item, Resource, tree};

/// Spans as they came, not yet looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct TracesRequest(Body);

#[derive(Clone, Debug, PartialEq)]
enum Body {
    /// A protobuf body in which what is around the spans was found to be readable.
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
    fn read(self, into: &mut sent::Span<'a>) -> Result<(), String> {
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
    pub fn named_agents(&self) -> BTreeSet<Cow<'_, str>> {
        named_agents(self.resources())
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
/// When the envelope or none of its spans can be read: broken bytes, or another signal.
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
    match look(body) {
        Ok(Seen::Good) => Ok(TracesRequest(Body::Wire(body.clone()))),
        // Field numbers of logs and traces coincide: log records read as spans without ids.
        _ if logs::are_in(body) => Err(logs),
        Ok(_) => Ok(TracesRequest(Body::Wire(body.clone()))),
        Err(why) => Err(DecodeError::Protobuf { wanted: Signal::Traces, why }),
    }
}

/// A good span has its ids. The name of a metric stands where a span has its trace id.
fn look(body: &[u8]) -> Result<Seen, String> {
    let is_good = |span: &sent::Span<'_>| span.trace_id.len() == 16 && span.span_id.len() == 8;
    wire::look::<wire::Span<'_>, _>(body, is_good)
}

/// Whether these are traces, read by those who expected something else.
pub(super) fn are_in(body: &[u8]) -> bool {
    look(body) == Ok(Seen::Good)
}
