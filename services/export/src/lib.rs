//! Takes data out again: spans as lines of JSON, as conversations for fine-tuning, or as a table; streamed.
//!
//! ```text
//!   GET /v1/traces/export ──► access::Gate ──► params ──► Service::plan ──► gate.take(exports) ──► Service::start
//!                                                                                                      │
//!   the body  ◄── text, then the summary ◄── line, chat or csv ◄── record batches ◄── dyn SpanSource ◄──┘
//! ```
//!
//! Invariants
//! - Memory is flat: one record batch and one chunk of text, whatever the export's size. The client's pace is ours.
//! - The summary is last and the proof of completeness: as many rows came as the query announced. JSON has it as its last
//!   line, and every format as HTTP trailers. A stream that breaks has none, and the HTTP body is cut off rather than ended.
//! - A cursor continues exactly where the page before ended, also among rows of one instant, and fits one query only.
//! - A request that is refused for what it says is not counted against the limit.
//!
//! A row is a span. Scores do not exist yet, so a row has no `scores` and a filter on them is refused.

mod answer;
mod chat;
mod csv;
pub mod cursor;
mod line;
mod pieces;
mod service;
mod traces;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spanlake_access::Gate;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use service::{Plan, Service, Started};

/// Rows in one export at most, and how many when the request does not say.
pub const LIMIT_MAX: usize = 2_000;
/// See [`LIMIT_MAX`].
pub const LIMIT_DEFAULT: usize = 500;

/// How exports are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many days before its end an export begins when the request does not say.
    pub default_range_days: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self { default_range_days: 30 }
    }
}

/// The HTTP routes, all behind `gate`.
pub fn routes(service: Arc<Service>, gate: Gate) -> spanlake_transport::Api {
    OpenApiRouter::new().routes(routes!(traces::export)).with_state(traces::Context { service, gate })
}
