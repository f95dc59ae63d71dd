//! Trace data at rest: the log, data files, object storage.
//!
//! ```text
//!   ingest ─► log ─► (durable) ─► memtable ─► file::write ─► Store: t/<tenant>/<table>/<day>/<file>.parquet
//!   engine, compactor ◄──────────────────────────────────── Store::tenant: one tenant's part of it
//! ```
//!
//! Beside it: [`export`], where files for others go.
//!
//! Invariants
//! - What [`log::Log::append`] answered is durable, and so is what [`Store`] has put.
//! - A data file is never changed; its name is never used again.
//! - [`Store::tenant`] reaches nothing outside `t/<tenant>/`.

pub mod background;
pub mod disk;
pub mod erased;
pub mod export;
pub mod file;
mod local;
pub mod log;
pub mod memtable;
pub mod rows;
pub mod schema;
mod scoped;
mod store;

pub use scoped::TenantStore;
pub use store::{Config, Object, OpenError, Store};
