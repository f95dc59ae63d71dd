//! Ids, each a type of its own.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::{Clock, Entropy};
use crate::time::Timestamp;

/// Text that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {shape}")]
pub struct IdError {
    what: &'static str,
    shape: &'static str,
}

impl IdError {
    pub(crate) const fn receipt() -> Self {
        Self { what: "the receipt", shape: "what X-Spanlake-Receipt held" }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh id that sorts by its time of making (UUID version 7).
            pub fn generate(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
                let millis = u64::try_from(clock.now().as_micros() / 1_000).unwrap_or(0);
                let mut random = [0; 10];
                entropy.fill(&mut random);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }
            /// The id with these bytes, as stored.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
            /// When it was made, for an id of [`Self::generate`].
            pub fn made_at(&self) -> Option<Timestamp> {
                let (seconds, nanos) = self.0.get_timestamp().filter(|_| self.0.get_version_num() == 7)?.to_unix();
                Some(Timestamp::from_secs(i64::try_from(seconds).ok()?).plus(Duration::from_nanos(nanos.into())))
            }
            /// The sixteen bytes, most significant first.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text).map(Self).map_err(|_| IdError { what: $what, shape: "a UUID" })
            }
        }
    };
}

uuid_id!(
    /// The account that signed up: the unit of isolation, quota, storage and billing.
    TenantId, "the tenant id");
uuid_id!(
    /// What traces belong to inside a tenant.
    AppId, "the app id");
uuid_id!(
    /// An agent of an app.
    AgentId, "the agent id");
uuid_id!(
    /// A person in a tenant.
    MemberId, "the member id");
uuid_id!(
    /// An API key's public name; not the secret.
    KeyId, "the key id");
uuid_id!(
    /// An invitation to become a member; not its token.
    InviteId, "the invitation id");
uuid_id!(
    /// One ingest process's log, over all its restarts.
    WriterId, "the writer id");
uuid_id!(
    /// One compactor process, from its start to its end.
    CompactorId, "the compactor id");
uuid_id!(
    /// One data file.
    FileId, "the file id");
uuid_id!(
    /// One erasure; the API says deletion.
    ErasureId, "the deletion id");
uuid_id!(
    /// One export into files, with all its runs.
    ExportId, "the export id");
uuid_id!(
    /// One process that writes exports, from its start to its end.
    ExporterId, "the exporter id");
uuid_id!(
    /// A score's id, where the client gave none.
    ScoreId, "the score id");
uuid_id!(
    /// One request, echoed to the client as `X-Request-Id`.
    RequestId, "the request id");

macro_rules! otel_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal, $shape:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// The id with these bytes; `None` when all are zero, which OpenTelemetry forbids.
            pub fn from_bytes(bytes: [u8; $bytes]) -> Option<Self> {
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }
            /// As [`Self::from_bytes`], for a slice of any length.
            ///
            /// # Errors
            /// When the length is wrong or all bytes are zero.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
                <[u8; $bytes]>::try_from(bytes)
                    .ok()
                    .and_then(Self::from_bytes)
                    .ok_or(IdError { what: $what, shape: $shape })
            }
            /// The bytes, most significant first.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; $bytes];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError { what: $what, shape: $shape })?;
                Self::from_bytes(bytes).ok_or(IdError { what: $what, shape: $shape })
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

otel_id!(
    /// A trace's id; the same id in two tenants names two traces.
    TraceId, 16, "the trace id", "32 hex digits, not all zero");
otel_id!(
    /// A span's id, unique within its trace.
    SpanId, 8, "the span id", "16 hex digits, not all zero");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let trace: TraceId = "0AF7651916CD43DD8448EB211C80319C".parse().unwrap();
        assert_eq!(trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        let tenant = TenantId::from_bytes([7; 16]);
        assert_eq!(tenant.to_string().parse(), Ok(tenant));
    }

    #[test]
    fn a_zero_or_short_id_is_refused_with_what_it_should_be() {
        let refused = "0".repeat(32).parse::<TraceId>().unwrap_err();
        assert_eq!(refused.to_string(), "the trace id must be 32 hex digits, not all zero");
        assert!(SpanId::from_slice(&[1; 7]).is_err());
        assert!("../etc".parse::<AppId>().is_err());
    }
}
