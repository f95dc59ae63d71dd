//! OTLP requests and answers, in protobuf and JSON.

mod json;
mod lenient;
pub(crate) mod logs;
mod repair;
mod respond;
pub(crate) mod traces;
mod wire;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use spanlake_model::{Code, Fault};

use crate::sent::{Resource, Value};

pub use logs::{LogsRequest, decode_logs};
pub use respond::ERROR_MESSAGE_BYTES_MAX;
pub use traces::{TracesRequest, decode_traces};

/// Lists and maps within each other in one value of an attribute. A list or map that lies deeper is kept as it was spelled: its
/// JSON as text, its protobuf as bytes. Readers of what becomes of it give up at 128 levels, and each takes a bit of the stack.
pub const DEPTH_MAX: usize = 100;

/// How a request is written; the answer is written the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`, and gRPC.
    Protobuf,
    /// `application/json`, read leniently.
    Json,
}

/// What a request holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signal {
    /// Spans, in an `ExportTraceServiceRequest`.
    #[default]
    Traces,
    /// Log records, in an `ExportLogsServiceRequest`.
    Logs,
}

impl Signal {
    /// As in OTLP's paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }
    /// What one of them is called.
    pub(crate) const fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Logs => "log records",
        }
    }
    const fn message(self) -> &'static str {
        match self {
            Self::Traces => "ExportTraceServiceRequest",
            Self::Logs => "ExportLogsServiceRequest",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request that is not OTLP of the signal that is taken here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Another signal, sent to the wrong place.
    #[error(
        "these are OTLP {sent}, not {wanted}; send them to /v1/{sent}, or point the exporter of {wanted} here instead"
    )]
    OtherSignal {
        /// What was sent.
        sent: &'static str,
        /// What is taken here.
        wanted: Signal,
    },
    /// Not the protobuf message.
    #[error("the body is not an {} in protobuf: {why}; was it cut short, or is it JSON?", wanted.message())]
    Protobuf {
        /// What is taken here.
        wanted: Signal,
        /// Where reading ended.
        why: String,
    },
    /// Not the JSON object.
    #[error("the body is not an {} in OTLP/JSON: {why}", wanted.message())]
    Json {
        /// What is taken here.
        wanted: Signal,
        /// Where reading ended.
        why: String,
    },
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::new(Code::InvalidOtlpPayload, error.to_string())
    }
}

/// The resource attribute that names the agent of a trace.
const AGENT_ID: &str = "agentos.agent_id";

/// The distinct agents that these resources name, of those that have items.
fn named_agents<I>(resources: Vec<Resource<'_, I>>) -> BTreeSet<Cow<'_, str>> {
    let with_items =
        resources.into_iter().filter(|resource| resource.scopes.iter().any(|scope| !scope.items.is_empty()));
    let named = with_items.flat_map(|resource| resource.attributes).filter(|attribute| attribute.key == AGENT_ID);
    let texts = named.filter_map(|attribute| match attribute.value {
        Value::Text(text) => Some(text),
        _ => None,
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;

    fn logs(record: LogRecord) -> Vec<u8> {
        let scope = ScopeLogs { log_records: vec![record], ..Default::default() };
        let resource = ResourceLogs { scope_logs: vec![scope], ..Default::default() };
        ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec()
    }

    fn traces(span: Span) -> Vec<u8> {
        let scope = ScopeSpans { spans: vec![span], ..Default::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..Default::default() };
        ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec()
    }

    #[test]
    fn logs_sent_as_traces_are_named_in_both_encodings() {
        let wanted = Signal::Traces;
        let timed = logs(LogRecord { time_unix_nano: 5, trace_id: vec![1; 16], ..Default::default() });
        let bare = logs(LogRecord { body: Some(Default::default()), ..Default::default() });
        for bytes in [timed, bare] {
            let refused = decode_traces(Encoding::Protobuf, &bytes).unwrap_err();
            assert_eq!(refused, DecodeError::OtherSignal { sent: "logs", wanted });
        }
        for (body, sent) in [(r#"{"resourceLogs":[]}"#, "logs"), (r#"{"resource_metrics":[{}]}"#, "metrics")] {
            let refused = decode_traces(Encoding::Json, body.as_bytes()).unwrap_err();
            assert_eq!(refused, DecodeError::OtherSignal { sent, wanted });
            let fault = Fault::from(refused);
            assert_eq!(fault.code, Code::InvalidOtlpPayload);
            assert!(fault.message.contains(sent), "{}", fault.message);
        }
    }

    #[test]
    fn traces_sent_as_logs_are_named_in_both_encodings() {
        let wanted = Signal::Logs;
        let bytes = traces(Span { trace_id: vec![1; 16], span_id: vec![2; 8], name: "n".into(), ..Default::default() });
        let refused = decode_logs(Encoding::Protobuf, &bytes).unwrap_err();
        assert_eq!(refused, DecodeError::OtherSignal { sent: "traces", wanted });
        assert!(refused.to_string().contains("/v1/traces"), "{refused}");
        for (body, sent) in [(r#"{"resource_spans":[{}]}"#, "traces"), (r#"{"resourceMetrics":[]}"#, "metrics")] {
            let refused = decode_logs(Encoding::Json, body.as_bytes()).unwrap_err();
            assert_eq!(refused, DecodeError::OtherSignal { sent, wanted });
        }
    }

    #[test]
    fn an_empty_request_is_fine() {
        assert_eq!(decode_traces(Encoding::Protobuf, b"").unwrap().span_count(), 0);
        assert_eq!(decode_traces(Encoding::Json, b"{}").unwrap().span_count(), 0);
        assert_eq!(decode_traces(Encoding::Json, br#"{"resourceSpans":[{},null]}"#).unwrap().span_count(), 0);
        assert_eq!(decode_logs(Encoding::Protobuf, b"").unwrap().record_count(), 0);
        assert_eq!(decode_logs(Encoding::Json, b"{}").unwrap().record_count(), 0);
        assert_eq!(decode_logs(Encoding::Json, br#"{"resourceLogs":[{},null]}"#).unwrap().record_count(), 0);
    }

    #[test]
    fn nonsense_is_refused_with_a_sentence() {
        let refused = decode_traces(Encoding::Protobuf, b"{\"resourceSpans\":[]}").unwrap_err();
        assert!(refused.to_string().contains("protobuf"), "{refused}");
        let refused = decode_logs(Encoding::Protobuf, b"{\"resourceLogs\":[]}").unwrap_err();
        assert!(refused.to_string().contains("ExportLogsServiceRequest in protobuf"), "{refused}");
        for body in ["", "[]", "null", "7", "{\"resourceSpans\":[", "{\"resourceLogs\":7}", "{} {}"] {
            let refused = decode_logs(Encoding::Json, body.as_bytes()).unwrap_err();
            assert!(matches!(refused, DecodeError::Json { wanted: Signal::Logs, .. }), "{body}: {refused}");
        }
        for body in ["", "[]", "null", "7", "{\"resourceSpans\":[", "{} {}"] {
            let refused = decode_traces(Encoding::Json, body.as_bytes()).unwrap_err();
            assert!(matches!(refused, DecodeError::Json { wanted: Signal::Traces, .. }), "{body}: {refused}");
        }
    }
}
