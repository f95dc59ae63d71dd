//! What a server says of the spans it did not take.

use serde::Deserialize;

use crate::protobuf::{Field, Fields};

/// A partial success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refused {
    /// Spans or log records.
    pub(super) count: u64,
    pub(super) message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    partial_success: Option<PartialSuccess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct PartialSuccess {
    #[serde(alias = "rejectedLogRecords")]
    rejected_spans: Count,
    error_message: String,
}

/// Protobuf's JSON writes 64 bits as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u64),
    Text(String),
}

impl Default for Count {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Refused {
    /// Of an OTLP response in JSON.
    pub(super) fn of_json(body: &[u8]) -> Option<Self> {
        let partial = serde_json::from_slice::<Response>(body).ok()?.partial_success?;
        let count = match partial.rejected_spans {
            Count::Number(count) => count,
            Count::Text(text) => text.parse().ok()?,
        };
        (count > 0).then_some(Self { count, message: partial.error_message })
    }

    /// Of an OTLP response in protobuf: `{1: {1: count, 2: message}}`.
    pub(super) fn of_protobuf(body: &[u8]) -> Option<Self> {
        let mut refused = Self::default();
        for (number, field) in Fields(body) {
            let Field::Bytes(partial) = field else { continue };
            for (part, field) in Fields(partial).filter(|_| number == 1) {
                match (part, field) {
                    (1, Field::Number(count)) => refused.count = count,
                    (2, Field::Bytes(text)) => refused.message = String::from_utf8_lossy(text).into_owned(),
                    _ => {}
                }
            }
        }
        (refused.count > 0).then_some(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Option<Refused> {
        Some(Refused { count: 300, message: "no id".into() })
    }

    #[test]
    fn a_partial_success_is_read_in_both_encodings() {
        let body = b"\x0a\x0a\x08\xac\x02\x12\x05no id";
        assert_eq!(Refused::of_protobuf(body), three());
        for body in [
            r#"{"partialSuccess":{"rejectedSpans":"300","errorMessage":"no id"}}"#,
            r#"{"partialSuccess":{"rejectedLogRecords":300,"errorMessage":"no id"}}"#,
        ] {
            assert_eq!(Refused::of_json(body.as_bytes()), three());
        }
    }

    #[test]
    fn a_whole_success_refuses_nothing() {
        assert_eq!(Refused::of_protobuf(b""), None);
        assert_eq!(Refused::of_protobuf(b"\x0a\x00"), None);
        for body in ["{}", r#"{"partialSuccess":{}}"#, r#"{"partialSuccess":{"rejectedSpans":0}}"#] {
            assert_eq!(Refused::of_json(body.as_bytes()), None);
        }
    }

    #[test]
    fn bytes_that_are_no_message_are_survived() {
        let body = b"\x0a\x0a\x08\xac\x02\x12\x05no id";
        for end in 0..body.len() {
            let _ = Refused::of_protobuf(&body[..end]);
        }
        let _ = Refused::of_protobuf(&[0xff; 40]);
        let _ = Refused::of_protobuf(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    }
}
