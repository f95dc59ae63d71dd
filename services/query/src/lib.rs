//! Traces and spans, read back.
//!
//! ```text
//!   http::routes ──► Gate (scope read) ──► Service ──► Engine::snapshot(caller, range, after)
//!   export ────────► SpanSource ────────────┘             │
//!                                                          ▼
//!        read::{traces, spans, sessions, metrics, facets, metadata, scan}: plans over one snapshot ──► rows in API.md's words
//!        read::scores: what is said of traces and spans, beside them in the same session
//!        read::logs: what log records say of spans that say nothing, filled in
//!        erase: a snapshot of everything ──► whole traces, and what was acknowledged until now ──► catalog::Erasures
//! ```
//!
//! Invariants
//! - Every plan begins with `read::columns::own`: the caller's app and, for an agent's key, that agent.
//! - `input` and `output` are read only where they are asked for; lists show previews.
//! - A page's cursor holds its range and is bound to tenant, app and query, so pages neither overlap nor leave gaps,
//!   however many rows start at the same instant.
//!
//! - No usage is in a sum twice, and the sums of groups are the whole (`read::metrics`, but for tags, of which a span has several).
//!
//! Deliberately absent until their issues: the filter language, SQL.

mod config;
mod erase;
mod error;
mod http;
mod read;
mod service;

pub use config::Config;
pub use error::Error;
pub use http::{routes, span_json};
pub use service::Service;
