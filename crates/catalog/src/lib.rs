//! Metadata: tenants, people, apps, agents, keys, data files, watermarks, writers, jobs, exports.
//!
//! ```text
//!   auth ──► Accounts ─┐
//!   ingest, query,     ├──► sql::Catalog ──► SQLite file │ Postgres     (one SQL, the subset both speak)
//!   compactor ► Files, │
//!         Jobs, Sweeps,│
//!   query  ► Erasures ─┤
//!   export ► Exports ──┘
//! ```
//!
//! Invariants
//! - A data file and the watermark it moves are committed in one transaction, by a writer whose epoch is current.
//! - Every read of tenant data names its tenant; nothing lists across tenants but what says so.
//! - A commit whose reply was lost can be asked for again: it answers `None`, and changes nothing.
//! - Nothing is deleted that a reader may hold: a replaced file is marked, lingers, and is then forgotten.
//!
//! Absent on purpose: a cache (each caller knows how stale it may be) and a double (SQLite on a temporary file is one).
//!
//! ```
//! use spanlake_catalog::{Catalog, Config, Error};
//! async fn ready(url: &str) -> Result<Catalog, Error> {
//!     let catalog = Catalog::open(&Config::new(url)).await?;
//!     catalog.ping().await?;
//!     Ok(catalog)
//! }
//! ```

mod accounts;
mod audit;
mod changes;
mod config;
mod erasures;
mod error;
mod exports;
mod files;
mod jobs;
mod keys;
mod people;
mod sessions;
pub mod sql;
mod sweeps;
mod tenancy;

pub use accounts::{Account, Accounts, Agent, App, Member, NewAccount, Tenant};
pub use audit::{Act, Actor, Audit, AuditEntry, AuditHead, CHAIN_START, Deed, Deeds, Recorder};
pub use changes::{CHANGES_KEPT, Changes};
pub use config::Config;
pub use erasures::{
    ERASED_TRACES_MAX, ErasedFile, ErasureProof, Erasures, LISTED_FILES_MAX, NewErasure, OPEN_ERASURES_MAX,
    OPEN_TRACES_MAX, Subject,
};
pub use error::Error;
pub use exports::{
    AfterFailure, ClaimedExport, Export, ExportFailure, ExportLease, ExportRun, ExportStatus, Exports, NewExport,
    OPEN_EXPORTS_MAX, Progress, RunEnd, Then, UNTOLD_ERASURES_MAX, UNTOLD_TRACES_MAX, UntoldErasure,
};
pub use files::{Commit, DataFile, Files, Removed, Replacement, Since, Snapshot, Watermark, Writer, WriterLease};
pub use jobs::{DayLease, Ended, Jobs, TenantDay, Wanted};
pub use keys::{ApiKey, Keys, NewKey};
pub use people::{Invite, MemberChange, OPEN_INVITES_MAX, People};
pub use sessions::{Exchange, PasswordReset, RefreshToken, Sessions};
pub use sql::Catalog;
pub use sweeps::{Orphan, SweepLease, Sweeps};
pub use tenancy::{ClosedTenant, Holdings, Tenancy, UsageDay};
