//! `/v1/limits`

pub(super) mod get;
pub(super) mod put;

use serde::Serialize;
use utoipa::ToSchema;

/// What the tenant may use. A request that is over a limit for now is answered 429 with `Retry-After`; one that is over it by itself, 413.
/// Answers that took from limits say how those stand: `RateLimit-Policy: "spans";q=200000;w=1` and `RateLimit: "spans";r=399995;t=1`, where
/// `r` can be taken at once and `t` is in how many seconds there is more.
#[derive(Serialize, ToSchema)]
#[schema(as = TenantLimits)]
pub(super) struct Limits {
    /// Requests with telemetry or scores a second; two seconds' worth at once.
    requests_per_second: u32,
    /// Spans, log records and scores a second; two seconds' worth at once.
    spans_per_second: u32,
    /// Bytes a second, after decompression; two seconds' worth at once.
    bytes_per_second: u64,
    /// Exports in any sixty minutes, exactly.
    exports_per_hour: u32,
    /// Spans and log records that are stored in a calendar month, UTC; null: as many as there are. What comes in within the minute
    /// or so in which it is reached is taken.
    spans_per_month: Option<u64>,
    /// Queries that run at the same time, exports apart; others wait for their turn, and beyond a bound are answered 429. Null: as
    /// many as the installation lets a tenant run, which no tenant gets past.
    queries_at_once: Option<u32>,
}

impl From<spanlake_model::Limits> for Limits {
    fn from(limits: spanlake_model::Limits) -> Self {
        Self {
            requests_per_second: limits.requests_per_second,
            spans_per_second: limits.spans_per_second,
            bytes_per_second: limits.bytes_per_second,
            exports_per_hour: limits.exports_per_hour,
            spans_per_month: limits.spans_per_month,
            queries_at_once: limits.queries_at_once,
        }
    }
}
