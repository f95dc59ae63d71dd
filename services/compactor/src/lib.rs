//! Merges small files and sweeps up what nobody needs.
//!
//! ```text
//!   catalog: lease a day ─► choose neighbours ─► merge as streams, without dead rows ─► store, in parts
//!                                                                                                │
//!   catalog: inputs replaced by the output, if all of them still live ◄──────────────────────────┘
//!   catalog: replaced long enough ago ─► store: delete ─► catalog: forget
//!   store: old, and not in the catalog ─► catalog: as if replaced
//! ```
//!
//! Invariants
//! - What a query sees is the same before, during and after a merge: each row once, the last one sent.
//! - A merge stays within one tenant, one table, one day, and within a bound on memory.
//! - Losing a race is harmless: the catalog takes a merge only while every input lives, and what was written for
//!   nothing is deleted at once.
//! - A file is deleted only when the catalog has called it replaced for longer than any reader may hold it.
//! - Several compactors share the work by leases on days; a lease that is lost costs work, never rows.
//!
//! Absent on purpose: HTTP routes. Others ask for a look over gRPC: [`spanlake_proto::compactor::service`].

mod choose;
mod config;
mod days;
mod erase;
mod error;
mod hiding;
mod merge;
mod orphans;
mod retain;
mod service;
mod sweep;

pub use config::Config;
pub use error::Error;
pub use service::{Parts, Service};
