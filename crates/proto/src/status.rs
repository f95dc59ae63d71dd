//! From a kind of error to HTTP status, gRPC code and whether to try again: the one table, and faults on the wire.
//!
//! | kind | HTTP | gRPC | try again |
//! |---|---|---|---|
//! | invalid | 400 | `INVALID_ARGUMENT` | no |
//! | unauthenticated | 401 | `UNAUTHENTICATED` | no |
//! | forbidden | 403 | `PERMISSION_DENIED` | no |
//! | not found | 404 | `NOT_FOUND` | no |
//! | conflict | 409 | `ALREADY_EXISTS` | no |
//! | too large | 413 | `RESOURCE_EXHAUSTED` without `RetryInfo` | no |
//! | unsupported | 415 | `INVALID_ARGUMENT` | no |
//! | exhausted | 429 | `UNAVAILABLE` with `RetryInfo` | yes |
//! | unavailable | 503 | `UNAVAILABLE` with `RetryInfo` | yes |
//! | timeout | 504 | `DEADLINE_EXCEEDED` | yes |
//! | internal | 500 | `INTERNAL` | no |
//!
//! A used-up limit is `UNAVAILABLE`, as the OTLP specification wants for throttling: every exporter retries that, while
//! `RESOURCE_EXHAUSTED` is retried only by those that read `RetryInfo`, and a proxy that drops the details would turn
//! "later" into "never". So `RESOURCE_EXHAUSTED` from us always means "never send this again".

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use prost::Message;
use spanlake_model::{Code, Fault, FaultKind};
use tonic::metadata::MetadataMap;

const CODE_KEY: &str = "spanlake-code";
const DETAILS_KEY: &str = "spanlake-details";
const RETRY_INFO_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// A fault must fit into HTTP/2 headers, of which clients take 16 KiB by default; longer messages are cut.
const MESSAGE_BYTES_MAX: usize = 1024;
/// As above, for the details together; those that do not fit are left out.
const DETAILS_BYTES_MAX: usize = 4096;
/// What a fault that must name a time to try again, and does not, says.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// The HTTP status of a kind of error.
pub const fn http_status(kind: FaultKind) -> StatusCode {
    match kind {
        FaultKind::Invalid => StatusCode::BAD_REQUEST,
        FaultKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        FaultKind::Forbidden => StatusCode::FORBIDDEN,
        FaultKind::NotFound => StatusCode::NOT_FOUND,
        FaultKind::Conflict => StatusCode::CONFLICT,
        FaultKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FaultKind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        FaultKind::Exhausted => StatusCode::TOO_MANY_REQUESTS,
        FaultKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        FaultKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        FaultKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The gRPC code of a kind of error.
pub const fn grpc_code(kind: FaultKind) -> tonic::Code {
    match kind {
        FaultKind::Invalid | FaultKind::Unsupported => tonic::Code::InvalidArgument,
        FaultKind::Unauthenticated => tonic::Code::Unauthenticated,
        FaultKind::Forbidden => tonic::Code::PermissionDenied,
        FaultKind::NotFound => tonic::Code::NotFound,
        FaultKind::Conflict => tonic::Code::AlreadyExists,
        FaultKind::TooLarge => tonic::Code::ResourceExhausted,
        FaultKind::Exhausted | FaultKind::Unavailable => tonic::Code::Unavailable,
        FaultKind::Timeout => tonic::Code::DeadlineExceeded,
        FaultKind::Internal => tonic::Code::Internal,
    }
}

/// Whether the same request may pass later.
pub const fn is_retryable(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Exhausted | FaultKind::Unavailable | FaultKind::Timeout)
}

/// When to try again, for `Retry-After` and `RetryInfo`: what the fault says, or one second where the kind demands an
/// answer (exhausted, unavailable); `None` for everything that must not be tried again.
pub fn retry_after(fault: &Fault) -> Option<Duration> {
    match fault.kind() {
        FaultKind::Exhausted | FaultKind::Unavailable => Some(fault.retry_after.unwrap_or(DEFAULT_RETRY)),
        kind if is_retryable(kind) => fault.retry_after,
        _ => None,
    }
}

/// A fault as a gRPC status: code, message, `google.rpc.Status` with `RetryInfo` in the details, and our own code and
/// details as metadata, from which [`from_status`] makes the fault again.
pub fn to_status(fault: &Fault) -> tonic::Status {
    let mut metadata = MetadataMap::new();
    if let Ok(code) = fault.code.as_str().parse() {
        metadata.insert(CODE_KEY, code);
    }
    if !fault.details.is_empty()
        && let Ok(details) = details_json(&fault.details).parse()
    {
        metadata.insert(DETAILS_KEY, details);
    }
    let code = grpc_code(fault.kind());
    tonic::Status::with_details_and_metadata(code, cut(&fault.message), rpc_status(fault), metadata)
}

/// A fault as an encoded `google.rpc.Status`: what OTLP answers as body, and gRPC carries as details.
pub fn rpc_status(fault: &Fault) -> Bytes {
    let retry = retry_after(fault).map(|wait| rpc::Any {
        type_url: RETRY_INFO_URL.to_owned(),
        value: rpc::RetryInfo { retry_delay: Some(rpc::Duration::from(wait)) }.encode_to_vec(),
    });
    let status = rpc::Status {
        code: grpc_code(fault.kind()) as i32,
        message: cut(&fault.message).to_owned(),
        details: retry.into_iter().collect(),
    };
    status.encode_to_vec().into()
}

/// The fault that [`to_status`] sent.
///
/// A status without our code does not come from one of our services but from what lies between: a broken connection, a
/// timeout, a refused internal token. None of that is the caller's fault, so it is `service_unavailable`, and logged here.
pub fn from_status(status: tonic::Status) -> Fault {
    let code = status.metadata().get(CODE_KEY).and_then(|code| code.to_str().ok()).and_then(Code::parse);
    let Some(code) = code else {
        tracing::warn!(grpc.code = ?status.code(), grpc.message = status.message(), "an internal call failed");
        return Fault::unavailable("A part of the service cannot be reached right now; try again.");
    };
    let details = status
        .metadata()
        .get(DETAILS_KEY)
        .and_then(|json| serde_json::from_slice(json.as_bytes()).ok())
        .unwrap_or_default();
    Fault { details, retry_after: retry_info(status.details()), ..Fault::new(code, status.message().to_owned()) }
}

fn retry_info(details: &[u8]) -> Option<Duration> {
    let status = rpc::Status::decode(details).ok()?;
    let info = status.details.into_iter().find(|any| any.type_url == RETRY_INFO_URL)?;
    let delay = rpc::RetryInfo::decode(&*info.value).ok()?.retry_delay?;
    Some(Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?.min(999_999_999)))
}

/// As much of the message as fits.
fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]
}

/// As many details as fit, as JSON in ASCII, since that is what a header holds.
fn details_json(details: &BTreeMap<String, String>) -> String {
    let mut json = String::from("{");
    for (path, why) in details {
        let separator = if json.len() > 1 { "," } else { "" };
        let entry = ascii(&format!("{}:{}", serde_json::json!(path), serde_json::json!(why)));
        if json.len() + separator.len() + entry.len() < DETAILS_BYTES_MAX {
            json.push_str(separator);
            json.push_str(&entry);
        }
    }
    json.push('}');
    json
}

/// JSON with everything outside printable ASCII escaped; JSON has such characters in strings only.
fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            write!(escaped, "\\u{unit:04x}").expect("a String takes everything");
        }
    }
    escaped
}

/// The messages of `google/rpc/{status,error_details}.proto` that we speak; four of them, so not worth a dependency.
mod rpc {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Status {
        #[prost(int32, tag = "1")]
        pub(super) code: i32,
        #[prost(string, tag = "2")]
        pub(super) message: String,
        #[prost(message, repeated, tag = "3")]
        pub(super) details: Vec<Any>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Any {
        #[prost(string, tag = "1")]
        pub(super) type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        pub(super) retry_delay: Option<Duration>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Duration {
        #[prost(int64, tag = "1")]
        pub(super) seconds: i64,
        #[prost(int32, tag = "2")]
        pub(super) nanos: i32,
    }

    impl From<std::time::Duration> for Duration {
        fn from(duration: std::time::Duration) -> Self {
            Self {
                seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
                nanos: i32::try_from(duration.subsec_nanos()).expect("less than 10⁹"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: FaultKind) -> String {
        let code = Code::ALL.iter().find(|code| code.kind() == kind).expect("each kind has a code");
        let retry_info = retry_info(to_status(&Fault::new(*code, "no")).details()).is_some();
        format!(
            "{kind:?} {} {:?} retryable={} retry_info={retry_info}",
            http_status(kind).as_u16(),
            grpc_code(kind),
            is_retryable(kind),
        )
    }

    #[test]
    fn the_table_is_as_promised_for_every_kind() {
        let mut rows: Vec<_> = Code::ALL.iter().map(|code| row(code.kind())).collect();
        rows.dedup();
        let promised = [
            "Invalid 400 InvalidArgument retryable=false retry_info=false",
            "Unauthenticated 401 Unauthenticated retryable=false retry_info=false",
            "Forbidden 403 PermissionDenied retryable=false retry_info=false",
            "NotFound 404 NotFound retryable=false retry_info=false",
            "Conflict 409 AlreadyExists retryable=false retry_info=false",
            "TooLarge 413 ResourceExhausted retryable=false retry_info=false",
            "Unsupported 415 InvalidArgument retryable=false retry_info=false",
            "Exhausted 429 Unavailable retryable=true retry_info=true",
            "Unavailable 503 Unavailable retryable=true retry_info=true",
            "Timeout 504 DeadlineExceeded retryable=true retry_info=false",
            "Internal 500 Internal retryable=false retry_info=false",
        ];
        assert_eq!(rows, promised);
    }

    /// Through real headers, as the wire would carry it.
    fn over_the_wire(fault: &Fault) -> Fault {
        let response = to_status(fault).into_http::<()>();
        from_status(tonic::Status::from_header_map(response.headers()).unwrap())
    }

    #[test]
    fn a_fault_of_every_code_survives_the_wire() {
        for code in Code::ALL {
            let mut fault = Fault::new(*code, "Größe: 3 \"items\"\n too many.").detail("lim\u{7f}it", "höchstens 🦀");
            if is_retryable(code.kind()) {
                fault = fault.retry_after(Duration::new(41, 250_000_000));
            }
            assert_eq!(over_the_wire(&fault), fault);
        }
    }

    #[test]
    fn what_must_not_be_sent_again_names_no_time_to_do_so() {
        let fault = Fault::new(Code::PayloadTooLarge, "Too large.").retry_after(Duration::from_secs(9));
        assert_eq!(over_the_wire(&fault).retry_after, None);
    }

    #[test]
    fn an_endless_fault_still_fits_into_headers() {
        let mut fault = Fault::new(Code::InvalidRequestBody, "é".repeat(100_000));
        for field in 0..10_000 {
            fault = fault.detail(format!("field.{field:05}"), "must not be é".repeat(20));
        }
        let response = to_status(&fault).into_http::<()>();
        let bytes: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        assert!(bytes < 16 << 10, "{bytes}");
        let arrived = over_the_wire(&fault);
        assert_eq!(arrived.code, fault.code);
        assert!(
            !arrived.details.is_empty()
                && arrived.details.iter().all(|entry| fault.details.get(entry.0) == Some(entry.1))
        );
    }

    #[test]
    fn a_failure_between_us_is_never_blamed_on_the_caller() {
        for code in [tonic::Code::Unauthenticated, tonic::Code::InvalidArgument, tonic::Code::Unknown] {
            let fault = from_status(tonic::Status::new(code, "connection reset"));
            assert_eq!((fault.code, fault.message.contains("reset")), (Code::ServiceUnavailable, false));
            assert!(fault.retry_after.is_some());
        }
    }
}
