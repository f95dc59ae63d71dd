//! Answers, in the encoding of the request.

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;

use super::{Encoding, Signal};

/// How long a message may be in an answer; what is longer is cut.
pub const ERROR_MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// `google.rpc.Status`, without details.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

impl Encoding {
    /// The encoding a content type names, parameters and case aside.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        [Self::Protobuf, Self::Json].into_iter().find(|one| one.content_type().eq_ignore_ascii_case(essence))
    }

    /// For the header of the answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    /// Everything is kept. In protobuf that is a body of no bytes.
    pub fn encode_success(self) -> Vec<u8> {
        match self {
            Self::Protobuf => Vec::new(),
            Self::Json => b"{}".to_vec(),
        }
    }

    /// `rejected` spans or log records were not kept, the others were; with zero rejected, the message is a warning.
    pub fn encode_partial(self, signal: Signal, rejected: u64, error_message: &str) -> Vec<u8> {
        let error_message = shorten(error_message);
        let count = i64::try_from(rejected).unwrap_or(i64::MAX);
        match (self, signal) {
            (Self::Protobuf, Signal::Traces) => {
                let partial_success = Some(ExportTracePartialSuccess { rejected_spans: count, error_message });
                ExportTraceServiceResponse { partial_success }.encode_to_vec()
            }
            (Self::Protobuf, Signal::Logs) => {
                let partial_success = Some(ExportLogsPartialSuccess { rejected_log_records: count, error_message });
                ExportLogsServiceResponse { partial_success }.encode_to_vec()
            }
            (Self::Json, _) => {
                let member = match signal {
                    Signal::Traces => "rejectedSpans",
                    Signal::Logs => "rejectedLogRecords",
                };
                // The JSON mapping of protobuf writes 64-bit integers as strings.
                let partial = serde_json::json!({member: count.to_string(), "errorMessage": error_message});
                serde_json::json!({"partialSuccess": partial}).to_string().into_bytes()
            }
        }
    }

    /// Nothing was kept: a `google.rpc.Status` with a gRPC code.
    pub fn encode_status(self, code: i32, message: &str) -> Vec<u8> {
        let message = shorten(message);
        match self {
            Self::Protobuf => Status { code, message }.encode_to_vec(),
            Self::Json => serde_json::json!({"code": code, "message": message}).to_string().into_bytes(),
        }
    }
}

fn shorten(message: &str) -> String {
    if message.len() <= ERROR_MESSAGE_BYTES_MAX {
        return message.to_owned();
    }
    let end = message.floor_char_boundary(ERROR_MESSAGE_BYTES_MAX - '…'.len_utf8());
    format!("{}…", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_says_nothing() {
        assert!(Encoding::Protobuf.encode_success().is_empty());
        assert_eq!(Encoding::Json.encode_success(), b"{}");
    }

    #[test]
    fn a_partial_success_reads_back_in_both_encodings() {
        let protobuf = Encoding::Protobuf.encode_partial(Signal::Traces, 3, "why");
        let partial = ExportTraceServiceResponse::decode(&*protobuf).unwrap().partial_success.unwrap();
        assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (3, "why"));
        let protobuf = Encoding::Protobuf.encode_partial(Signal::Logs, 3, "why");
        let partial = ExportLogsServiceResponse::decode(&*protobuf).unwrap().partial_success.unwrap();
        assert_eq!((partial.rejected_log_records, partial.error_message.as_str()), (3, "why"));
        for (signal, member) in [(Signal::Traces, "rejectedSpans"), (Signal::Logs, "rejectedLogRecords")] {
            let json = Encoding::Json.encode_partial(signal, 3, "why");
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(json, serde_json::json!({"partialSuccess": {member: "3", "errorMessage": "why"}}));
        }
    }

    #[test]
    fn a_status_has_its_code_and_a_bounded_message() {
        let long = "é".repeat(ERROR_MESSAGE_BYTES_MAX);
        let status = Status::decode(&*Encoding::Protobuf.encode_status(3, &long)).unwrap();
        assert_eq!(status.code, 3);
        assert!(status.message.len() <= ERROR_MESSAGE_BYTES_MAX && status.message.ends_with('…'));
        let json: serde_json::Value = serde_json::from_slice(&Encoding::Json.encode_status(3, "no")).unwrap();
        assert_eq!(json, serde_json::json!({"code": 3, "message": "no"}));
    }

    #[test]
    fn a_content_type_is_read_without_its_parameters() {
        assert_eq!(Encoding::from_content_type("Application/JSON; charset=utf-8"), Some(Encoding::Json));
        assert_eq!(Encoding::from_content_type("application/x-protobuf"), Some(Encoding::Protobuf));
        assert_eq!(Encoding::from_content_type("text/plain"), None);
    }
}
