//! Takes telemetry in.
//!
//! ```text
//!   http, grpc ─► admit: verify, limits, decode, normalise ─► writer: log (fsync) ─► memtable ─► acknowledge
//!                                                               │                       └─► fresh: queries
//!   start: replay the log into the memtables                    └─ flusher: file + watermark in one transaction
//! ```
//!
//! Invariants
//! - Acknowledged means in the fsynced log and visible to the next query.
//! - A span or log record is refused for itself alone; its neighbours stay.
//! - What admission decided about a request is in its frame, so that replay decides the same.
//! - Overload answers 429 or 503 with a time to wait; nothing is acknowledged and dropped.

mod admit;
mod config;
mod error;
mod figures;
mod flush;
pub mod grpc;
pub mod http;
mod keys;
mod replay;
mod room;
mod scores;
mod service;
mod spelling;
mod writer;

pub use admit::{Accepted, Door, Incoming};
pub use config::Config;
pub use error::Error;
pub use figures::Reading;
pub use scores::{Given as NewScore, Taken as TakenScores};
pub use service::{Parts, Service};
