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
//! Exports into files, for warehouses, are in [`jobs`].
//!
//! A row is a span.

mod answer;
mod chat;
mod csv;
pub mod cursor;
pub mod jobs;
mod line;
mod pieces;
mod row;
mod service;
mod traces;

use std::sync::Arc;

use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_access::Gate;
use spanlake_catalog::{Deed, Recorder};
use spanlake_model::{Caller, Fault, Scope};
use spanlake_transport::config::Secret;
use spanlake_transport::peer::client_address;
use spanlake_transport::{Api, Routes};
use utoipa_axum::routes;

pub use service::{Plan, Service, Started};

/// Rows in one export at most, and how many when the request does not say.
pub const LIMIT_MAX: usize = 2_000;
/// See [`LIMIT_MAX`].
pub const LIMIT_DEFAULT: usize = 500;

/// How exports are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many days before its end an export begins when the request does not say.
    pub default_range_days: u16,
    /// Below it, each tenant has a folder that its exports into files may go to. Empty: none may; in standalone, `exports` in
    /// `data_dir`.
    pub folder: String,
    /// What credentials of buckets are sealed with in the catalog: 32 random bytes or more as hex or base64. Empty: exports into
    /// buckets are refused.
    pub credentials_key: Secret,
    /// Whether buckets may lie at loopback, private and link-local addresses, and be spoken to without TLS.
    pub private_destinations: bool,
    /// About how large a file of an export is, and a third of what a running export holds in memory.
    pub file_bytes: usize,
    /// Exports that one process writes at the same time; the others wait for their turn.
    pub runs_at_once: usize,
    /// How often to look for exports that are due.
    pub look_interval_ms: u64,
    /// How often a running export says that it is alive, and how far it is. One that has not for four times as long may be taken by
    /// another process.
    pub heartbeat_ms: u64,
    /// How long one attempt at a run may take. What takes longer counts as failed and is tried again; until then files that it may
    /// be reading are kept.
    pub run_deadline_ms: u64,
    /// How long a run that failed waits for its next attempt; each time twice as long, up to an hour.
    pub retry_ms: u64,
    /// How long a schedule may fail, attempt after attempt, before it is paused until somebody resumes it: a week unless set. What is
    /// erased until then is remembered for it.
    pub pause_after_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            default_range_days: 30,
            folder: String::new(),
            credentials_key: Secret::default(),
            private_destinations: false,
            file_bytes: 64 << 20,
            runs_at_once: 2,
            look_interval_ms: 1_000,
            heartbeat_ms: 15_000,
            run_deadline_ms: 6 * 3_600_000,
            retry_ms: 10_000,
            pause_after_ms: 7 * 86_400_000,
        }
    }
}

/// The HTTP routes, all behind `gate`; what leaves is on record with `recorder` before it does.
pub fn routes(service: Arc<Service>, gate: Gate, recorder: Recorder) -> Api {
    let context = traces::Context { service, gate, recorder };
    Routes::default().to(Scope::Export, routes!(traces::export)).with_state(context)
}

/// Puts on record what the caller is about to do; what cannot be recorded is refused.
async fn recorded(recorder: &Recorder, caller: &Caller, head: &Parts, deed: Deed) -> Result<(), Fault> {
    let act = recorder.act(caller, client_address(head, recorder.proxies));
    recorder.deeds.put_on_record(caller.tenant(), act, deed).await.map_err(|error| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "an export was refused, since it could not be recorded"
        );
        Fault::from(error)
    })
}
