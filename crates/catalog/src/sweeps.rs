//! Walks through the whole store, for files that nobody knows.

use async_trait::async_trait;
use spanlake_model::{CompactorId, Day, FileId, Table, TenantId, Timestamp};

use crate::error::Error;

/// A compactor's right to walk through the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepLease {
    /// Who.
    pub owner: CompactorId,
    /// Which walk.
    pub name: &'static str,
    /// The last name seen; empty at the start.
    pub position: String,
}

/// A file in the store that no row names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// By its name.
    pub id: FileId,
    /// In whose part of the store it lies.
    pub tenant: TenantId,
    /// In the folder of which table.
    pub table: Table,
    /// In the folder of which day.
    pub day: Day,
    /// Where it lies.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// What a walk through the store asks. Across tenants: only the compactor does.
#[async_trait]
pub trait Sweeps: Send + Sync + 'static {
    /// Takes a walk until `until`; `None` when somebody has it, or it is not time.
    async fn claim_sweep(
        &self,
        owner: CompactorId,
        name: &'static str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<SweepLease>, Error>;
    /// Gives it back at the position of the lease, to go on not before then.
    ///
    /// # Errors
    /// [`Error::Changed`] when somebody else has taken it.
    async fn end_sweep(&self, lease: SweepLease, not_before: Timestamp) -> Result<(), Error>;

    /// Those of these files that no row names, live or replaced.
    async fn unknown(&self, files: &[FileId]) -> Result<Vec<FileId>, Error>;
    /// Enters orphans as files replaced at `at`, to be deleted like those: from here on a commit that names one of them is
    /// refused, as [`Error::Exists`], so that no row is ever lost with its file. Answers how many; one that has been
    /// committed meanwhile is left alone.
    async fn condemn(&self, orphans: &[Orphan], at: Timestamp) -> Result<u64, Error>;
}
