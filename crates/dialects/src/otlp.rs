//! OTLP requests and answers, in protobuf and JSON.

mod json;
mod lenient;
mod repair;
mod respond;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use prost::Message;
use spanlake_model::{Code, Fault};

pub use respond::ERROR_MESSAGE_BYTES_MAX;

/// How a request is written; the answer is written the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`, and gRPC.
    Protobuf,
    /// `application/json`, read leniently.
    Json,
}

/// The resource attribute that names the agent of a trace.
pub(crate) const AGENT_ID: &str = "agentos.agent_id";

fn text(value: &AnyValue) -> Option<&str> {
    match value.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

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
    pub fn named_agents(&self) -> std::collections::BTreeSet<&str> {
        let with_spans = self.0.resource_spans.iter().filter(|r| r.scope_spans.iter().any(|s| !s.spans.is_empty()));
        let attributes = with_spans.filter_map(|spans| spans.resource.as_ref());
        let named = attributes.flat_map(|resource| &resource.attributes).filter(|attribute| attribute.key == AGENT_ID);
        named.filter_map(|attribute| text(attribute.value.as_ref()?)).collect()
    }
    /// Whether no span has any id: what another signal looks like when it is read as traces.
    fn is_without_ids(&self) -> bool {
        let mut spans = self.0.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
        spans.all(|span| span.trace_id.is_empty() && span.span_id.is_empty())
    }
}

/// A request that is not OTLP traces at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Logs or metrics, sent to the wrong place.
    #[error("these are OTLP {signal}, not traces; send them to /v1/{signal}, or point the trace exporter here instead")]
    OtherSignal {
        /// What was sent.
        signal: &'static str,
    },
    /// Attribute values within attribute values, too many deep.
    #[error("the request is nested too deeply; an attribute value may hold about 30 levels of lists and maps")]
    TooDeep,
    /// Not the protobuf message.
    #[error("the body is not an ExportTraceServiceRequest in protobuf: {0}; was it cut short, or is it JSON?")]
    Protobuf(String),
    /// Not the JSON object.
    #[error("the body is not an ExportTraceServiceRequest in OTLP/JSON: {0}")]
    Json(String),
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::new(Code::InvalidOtlpPayload, error.to_string())
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
    match ExportTraceServiceRequest::decode(bytes).map(TracesRequest) {
        // Field numbers of logs and traces coincide: log records read as spans without ids.
        Ok(request) if request.span_count() > 0 && request.is_without_ids() && holds_logs(bytes) => {
            Err(DecodeError::OtherSignal { signal: "logs" })
        }
        Ok(request) => Ok(request),
        Err(_) if holds_logs(bytes) => Err(DecodeError::OtherSignal { signal: "logs" }),
        Err(error) => {
            let message = error.to_string();
            Err(if message.contains("recursion") { DecodeError::TooDeep } else { DecodeError::Protobuf(message) })
        }
    }
}

fn holds_logs(bytes: &[u8]) -> bool {
    ExportLogsServiceRequest::decode(bytes).is_ok_and(|request| {
        let mut records = request.resource_logs.iter().flat_map(|r| &r.scope_logs).flat_map(|s| &s.log_records);
        // Any message reads as any other when all its fields are unknown; a real record says when it was.
        records.any(|record| record.time_unix_nano != 0 || record.observed_time_unix_nano != 0 || record.body.is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

    fn logs(record: LogRecord) -> Vec<u8> {
        let scope = ScopeLogs { log_records: vec![record], ..Default::default() };
        let resource = ResourceLogs { scope_logs: vec![scope], ..Default::default() };
        ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec()
    }

    #[test]
    fn logs_sent_as_traces_are_named_in_both_encodings() {
        let timed = logs(LogRecord { time_unix_nano: 5, trace_id: vec![1; 16], ..Default::default() });
        let bare = logs(LogRecord { body: Some(Default::default()), ..Default::default() });
        for bytes in [timed, bare] {
            let refused = decode_traces(Encoding::Protobuf, &bytes).unwrap_err();
            assert_eq!(refused, DecodeError::OtherSignal { signal: "logs" });
        }
        for (body, signal) in [(r#"{"resourceLogs":[]}"#, "logs"), (r#"{"resource_metrics":[{}]}"#, "metrics")] {
            let refused = decode_traces(Encoding::Json, body.as_bytes()).unwrap_err();
            assert_eq!(refused, DecodeError::OtherSignal { signal });
            let fault = Fault::from(refused);
            assert_eq!(fault.code, Code::InvalidOtlpPayload);
            assert!(fault.message.contains(signal), "{}", fault.message);
        }
    }

    #[test]
    fn an_empty_request_is_fine() {
        assert_eq!(decode_traces(Encoding::Protobuf, b"").unwrap().span_count(), 0);
        assert_eq!(decode_traces(Encoding::Json, b"{}").unwrap().span_count(), 0);
        assert_eq!(decode_traces(Encoding::Json, br#"{"resourceSpans":[{},null]}"#).unwrap().span_count(), 0);
    }

    #[test]
    fn nonsense_is_refused_with_a_sentence() {
        let refused = decode_traces(Encoding::Protobuf, b"{\"resourceSpans\":[]}").unwrap_err();
        assert!(refused.to_string().contains("protobuf"), "{refused}");
        for body in ["", "[]", "null", "7", "{\"resourceSpans\":[", "{} {}"] {
            let refused = decode_traces(Encoding::Json, body.as_bytes()).unwrap_err();
            assert!(matches!(refused, DecodeError::Json(_)), "{body}: {refused}");
        }
    }
}
