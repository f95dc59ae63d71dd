//! What one service needs of another: a trait in `model` words, and its gRPC adapter.
//!
//! ```text
//!   caller ──► dyn Auth ──┬── the auth service itself       (standalone: same process)
//!                         └── auth::Client ──gRPC──► auth::service(dyn Auth)   (cluster)
//! ```
//!
//! The caller cannot tell which of the two it holds. Generated messages never leave this crate.
//!
//! Invariants
//! - [`status`] is the one table from error kind to HTTP status, gRPC code and retry.
//! - Every adapter shows who it is and refuses strangers, by certificate or token ([`internal::Trust`]); that is why a `Caller` in a message is believed.
//! - Rows travel as Arrow Flight, in bounded pieces; a stream that breaks ends in a `Fault`, never in silence.
//! - `ingest` and `query` both speak Flight, whose gRPC name is fixed: they are served on the ports of different roles.
//!
//! ```
//! use spanlake_model::{Code, Fault};
//! use spanlake_proto::status::{from_status, http_status, to_status};
//! let fault = Fault::new(Code::Forbidden, "This key may not export.").detail("scope", "export is missing");
//! assert_eq!(from_status(to_status(&fault)), fault);
//! assert_eq!(http_status(fault.kind()), 403);
//! ```

pub mod auth;
pub mod compactor;
mod convert;
pub mod export;
mod flight;
pub mod ingest;
pub mod internal;
pub mod query;
pub mod status;

/// Generated from `proto/`.
mod pb {
    #![expect(unreachable_pub, clippy::allow_attributes_without_reason, reason = "generated")]
    pub(crate) mod common {
        pub(crate) mod v1 {
            tonic::include_proto!("spanlake.common.v1");
        }
    }
    pub(crate) mod auth {
        pub(crate) mod v1 {
            tonic::include_proto!("spanlake.auth.v1");
        }
    }
    pub(crate) mod ingest {
        pub(crate) mod v1 {
            tonic::include_proto!("spanlake.ingest.v1");
        }
    }
    pub(crate) mod query {
        pub(crate) mod v1 {
            tonic::include_proto!("spanlake.query.v1");
        }
    }
    pub(crate) mod export {
        pub(crate) mod v1 {
            tonic::include_proto!("spanlake.export.v1");
        }
    }
    pub(crate) mod compactor {
        pub(crate) mod v1 {
            tonic::include_proto!("spanlake.compactor.v1");
        }
    }
}
