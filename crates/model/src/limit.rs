//! What a tenant may use, and how much.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::Quota;

/// Something that is counted per tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Requests that bring something in, and those to auth by somebody of the tenant.
    Requests,
    /// Spans and log records taken in.
    Spans,
    /// Bytes taken in, after decompression.
    Bytes,
    /// Calls of the export endpoint, over a sliding hour, exactly.
    Exports,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Requests, Self::Spans, Self::Bytes, Self::Exports];

    /// In messages, metrics and Redis keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Spans => "spans",
            Self::Bytes => "bytes",
            Self::Exports => "exports",
        }
    }
}

/// How much one tenant may use. A bucket holds two seconds' worth, so short bursts pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests a second that bring something in or go to auth.
    pub requests_per_second: u32,
    /// Spans and log records a second.
    pub spans_per_second: u32,
    /// Decompressed bytes a second.
    pub bytes_per_second: u64,
    /// Exports in any sixty minutes.
    pub exports_per_hour: u32,
    /// Spans and log records that are stored in a calendar month, UTC; `None`: as many as they like.
    pub spans_per_month: Option<u64>,
    /// Queries that run at the same time, exports apart; `None`: as many as the installation lets a tenant run, which is the most.
    pub queries_at_once: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: 20_000,
            spans_per_second: 200_000,
            bytes_per_second: 512 << 20,
            exports_per_hour: 10,
            spans_per_month: None,
            queries_at_once: None,
        }
    }
}

/// How a limit stands after something was taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which limit, and how much there is of it.
    pub quota: Quota,
    /// What can be taken at once now: of a bucket up to two seconds' worth.
    pub left: u64,
    /// When a bucket is full again; of exports, when the oldest that counts does so no more.
    pub renewed_in: Duration,
}

/// A limit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit on {} is used up; try again in {} s", limit.as_str(), retry_after.as_secs().max(1))]
pub struct Exhausted {
    /// Which one.
    pub limit: Limit,
    /// How much there is of it in `window`.
    pub most: u64,
    /// Over which it is counted.
    pub window: Duration,
    /// When the same request would pass.
    pub retry_after: Duration,
}
