//! One tenant's tables, planned and run by DataFusion.
//!
//! ```text
//!   Engine::snapshot(caller, range)
//!     1. catalog ──► data files, watermarks, writers      (one consistent read)
//!     2. each writer ──► rows above its watermark         (stale? back to 1)
//!          │
//!          ▼
//!   TenantSession ──► frame() ──► collect / stream        (deadline, memory share, tripwire)
//!          ├ table `spans` = guard(Parquet scan) ∪ guard(fresh batches)
//!          ├ priced(frame): costs of today's price book where the client sent none; call_totals(): each call summed once
//!          ├ uncounted(): which spans' usage repeats others', for sums in groups of any kind; distinct: counted in the share
//!          ├ fold(frame): each part of the rows into something of its own, where an aggregate would be slower
//!          ├ pieces(): single files whose traces are nowhere else, and the rest; what each came to is remembered
//!          └ logs(): the log records that lie beside the spans, which frame() leaves out
//! ```
//!
//! Invariants
//! - A session is built from one tenant's file list over an object store that sees that tenant's prefix only. There is no
//!   tenant predicate to forget; the guard on every scan checks each row's tenant all the same, and fails the query on a
//!   stranger ([`Engine::trespasses`] counts them).
//! - Each row is seen once: in a file or in a writer's answer, never in both and never in neither. A writer that cannot be
//!   reached fails the query; rows are not left out silently.
//! - Of rows of one span in the memory of several writers one is seen, the same for every query ([`spanlake_store::rows::Rank`]).
//! - An erased row is never seen, whether in a file or in memory, and a row past its tenant's retention neither; without an
//!   erasure under way that costs nothing.
//! - A replaced row is never seen: the guard hides the superseded keys, and costs nothing when there are none.
//! - Every query has a time range, a deadline, a memory share and a budget of bytes to read, waits for its tenant's turn, and
//!   dropping its stream stops its work; work that holds a thread asks whether it is still wanted.
//!
//! Deliberately absent: SQL from users, functions by name (the registry is empty), a shared catalog, file and URL tables.

mod answers;
mod books;
mod calls;
mod columns;
mod config;
mod days;
mod distinct;
mod engine;
mod error;
mod extent;
mod fold;
mod gathered;
mod guard;
mod hidden;
mod index;
mod memory;
mod metered;
mod parts;
mod pieces;
mod priced;
mod range;
mod rivals;
mod run;
mod session;
mod snapshot;
mod table;
mod tree;
mod turns;
mod wanted;

pub use calls::{Uncounted, reports};
pub use config::Config;
pub use distinct::distinct;
pub use engine::{Engine, SnapshotRequest, TenantStores};
pub use error::Error;
pub use fold::{Folded, finished};
pub use index::Named;
pub use memory::Held;
pub use pieces::{Piece, Pieces};
pub use range::{joined, microsecond, starts_in, starts_in_any};
pub use run::PLANS;
pub use session::TenantSession;
pub use tree::{LooseEnds, ParentStatus};

pub use datafusion;
