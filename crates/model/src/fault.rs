//! What went wrong, in words for the one who must act.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// Whose move it is. The kind alone decides HTTP status, gRPC code and whether to try again; the one table of that is in `proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request cannot be understood or makes no sense. Change it.
    Invalid,
    /// No credential, or one that does not verify.
    Unauthenticated,
    /// Known, but not allowed.
    Forbidden,
    /// It does not exist, or belongs to someone else: the same to the caller.
    NotFound,
    /// It clashes with what is there.
    Conflict,
    /// Bigger than will ever be taken. Never try again.
    TooLarge,
    /// A body in a format we do not read.
    Unsupported,
    /// A limit is used up for now. Try again after the time given.
    Exhausted,
    /// We cannot right now. Try again.
    Unavailable,
    /// It took too long.
    Timeout,
    /// Our mistake.
    Internal,
}

macro_rules! codes {
    ($($variant:ident = $text:literal => $kind:ident;)*) => {
        /// The stable codes a client may branch on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is its own text")]
        pub enum Code { $($variant,)* }

        impl Code {
            /// All of them, for docs and tests.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
            /// As sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
            /// The kind it belongs to.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }
            /// Reads what [`Self::as_str`] wrote.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    InvalidRequestBody = "invalid_request_body" => Invalid;
    InvalidQueryParams = "invalid_query_params" => Invalid;
    InvalidPathParams = "invalid_path_params" => Invalid;
    InvalidFilter = "invalid_filter" => Invalid;
    InvalidOtlpPayload = "invalid_otlp_payload" => Invalid;
    Unauthenticated = "unauthenticated" => Unauthenticated;
    Forbidden = "forbidden" => Forbidden;
    NotFound = "not_found" => NotFound;
    Conflict = "conflict" => Conflict;
    PayloadTooLarge = "payload_too_large" => TooLarge;
    UnsupportedMediaType = "unsupported_media_type" => Unsupported;
    RateLimited = "rate_limited" => Exhausted;
    ServiceUnavailable = "service_unavailable" => Unavailable;
    Timeout = "timeout" => Timeout;
    InternalError = "internal_error" => Internal;
}

/// An error as it leaves a service, over HTTP or gRPC. Safe to show: the cause stays in our log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What a client may branch on.
    pub code: Code,
    /// One helpful sentence: what is wrong and what to do.
    pub message: Cow<'static, str>,
    /// Which field, and why; empty when it is no field's fault.
    pub details: BTreeMap<String, String>,
    /// When trying again has a chance.
    pub retry_after: Option<Duration>,
    /// The limit that is used up.
    pub quota: Option<Quota>,
}

/// A limit, for whoever has used it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What is counted, as in headers: lower case and hyphens.
    pub name: &'static str,
    /// How many there are …
    pub most: u64,
    /// … in so long.
    pub window: Duration,
}

impl Fault {
    /// A fault with a code and a sentence.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), details: BTreeMap::new(), retry_after: None, quota: None }
    }
    /// Names the field at fault.
    #[must_use]
    pub fn detail(mut self, path: impl Into<String>, why: impl Into<String>) -> Self {
        self.details.insert(path.into(), why.into());
        self
    }
    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
    /// Says which limit is used up.
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }
    /// Whose move it is.
    pub const fn kind(&self) -> Kind {
        self.code.kind()
    }
    /// It does not exist or is not yours: one answer, so that nobody can tell which.
    pub fn not_found(what: &'static str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {what}."))
    }
    /// Something we need is away; try again in a second.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ServiceUnavailable, message).retry_after(Duration::from_secs(1))
    }
    /// Our mistake. The caller hears no more than that; log the cause where you make this.
    pub fn internal() -> Self {
        Self::new(Code::InternalError, "Something went wrong on our side; it has been logged under this request id.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
        }
    }
}
