//! A request that holds spans.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::{DecodeError, Encoding, Signal, json, logs, named_agents};

/// Spans as they came, not yet looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TracesRequest(ExportTraceServiceRequest);

impl TracesRequest {
    /// What a gRPC service received.
    pub fn from_proto(request: ExportTraceServiceRequest) -> Self {
        Self(request)
    }
    /// The message itself, to be encoded into the log.
    pub fn into_proto(self) -> ExportTraceServiceRequest {
        self.0
    }
    /// The message itself.
    pub const fn as_proto(&self) -> &ExportTraceServiceRequest {
        &self.0
    }
    /// How many spans it holds, good and bad.
    pub fn span_count(&self) -> usize {
        self.0.resource_spans.iter().flat_map(|resource| &resource.scope_spans).map(|scope| scope.spans.len()).sum()
    }
    /// The distinct values of `agentos.agent_id` on its resources that have spans, which whoever admits the request looks up
    /// before [`crate::normalise`] asks about each.
    pub fn named_agents(&self) -> BTreeSet<&str> {
        let with_spans = self.0.resource_spans.iter().filter(|r| r.scope_spans.iter().any(|s| !s.spans.is_empty()));
        named_agents(with_spans.filter_map(|spans| spans.resource.as_ref()))
    }
    /// Whether no span has any id: what another signal looks like when it is read as traces.
    fn is_without_ids(&self) -> bool {
        let mut spans = self.0.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
        spans.all(|span| span.trace_id.is_empty() && span.span_id.is_empty())
    }
}

/// Reads an `ExportTraceServiceRequest`. A span that makes no sense stays in, for [`crate::normalise`] to refuse by itself.
///
/// # Errors
/// When the envelope cannot be read: broken bytes, nested too deeply, or another signal.
pub fn decode_traces(encoding: Encoding, bytes: &[u8]) -> Result<TracesRequest, DecodeError> {
    match encoding {
        Encoding::Protobuf => protobuf(bytes),
        Encoding::Json => json::decode(bytes).map(TracesRequest),
    }
}

fn protobuf(bytes: &[u8]) -> Result<TracesRequest, DecodeError> {
    let logs = DecodeError::OtherSignal { sent: Signal::Logs.as_str(), wanted: Signal::Traces };
    match ExportTraceServiceRequest::decode(bytes).map(TracesRequest) {
        // Field numbers of logs and traces coincide: log records read as spans without ids.
        Ok(request) if request.span_count() > 0 && request.is_without_ids() && logs::are_in(bytes) => Err(logs),
        Ok(request) => Ok(request),
        Err(_) if logs::are_in(bytes) => Err(logs),
        Err(error) => Err(DecodeError::protobuf(Signal::Traces, &error)),
    }
}

/// Whether these are traces, read by those who expected something else.
pub(super) fn are_in(bytes: &[u8]) -> bool {
    ExportTraceServiceRequest::decode(bytes).is_ok_and(|request| {
        let mut spans = request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
        // The name of a metric stands where a span has its trace id.
        spans.any(|span| span.trace_id.len() == 16 && span.span_id.len() == 8)
    })
}
