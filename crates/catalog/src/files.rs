//! What is stored: data files, watermarks, writers.

use std::time::Duration;

use async_trait::async_trait;
use spanlake_model::{Day, Erasure, FileId, SpanKey, Table, TenantId, TimeRange, Timestamp, WriterId};

use crate::error::Error;

/// One immutable Parquet file of one tenant, one table, one UTC day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Its id.
    pub id: FileId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its table.
    pub table: Table,
    /// The day all its rows start on.
    pub day: Day,
    /// Where it lies under the store's root: `t/<tenant>/<table>/<day>/<file>.parquet`.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Start of its first row in time.
    pub min_start: Timestamp,
    /// Start of its last row in time.
    pub max_start: Timestamp,
    /// Rises with every flush of the tenant's table: rows of a higher version are newer. Set by the catalog at commit;
    /// a merged file has the highest version of what went into it.
    pub version: u64,
    /// Rows with these keys in files of a lower version are replaced.
    pub superseded: Vec<SpanKey>,
}

/// Up to where a writer's log is in data files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Whose log.
    pub writer: WriterId,
    /// Every frame of the tenant up to this one is in data files.
    pub sequence: u64,
}

/// A registered writer: it may hold rows that are not in data files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Its id.
    pub id: WriterId,
    /// Where it answers Arrow Flight; empty in standalone.
    pub address: String,
}

/// A writer's right to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterLease {
    /// Who.
    pub writer: WriterId,
    /// Rises with each registration; only the highest may commit.
    pub epoch: u64,
}

/// What a query sees of the catalog: all of it read at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Live files that may hold rows in the range, lowest version first; and those of its days that replace rows of others,
    /// wherever their own rows start.
    pub files: Vec<DataFile>,
    /// The version the tenant's table has reached, whatever the range.
    pub version: u64,
    /// The tenant's watermarks; a writer without one has sequence 0.
    pub watermarks: Vec<Watermark>,
    /// Every registered writer.
    pub writers: Vec<Writer>,
    /// The tenant's erasures that files, memory or logs may still hold rows of: those rows are not to be seen.
    pub erasures: Vec<Erasure>,
    /// Rows that start longer ago than this many days are not to be seen either; `None`: all are kept.
    pub kept_days: Option<u32>,
    /// The tenant's own prices for calls of models: a JSON list.
    pub own_prices: Option<String>,
}

/// The outcome of a flush: these files, and the log up to here is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Who flushed.
    pub lease: WriterLease,
    /// Whose rows.
    pub tenant: TenantId,
    /// Of which table.
    pub table: Table,
    /// The new watermark; higher than the old.
    pub sequence: u64,
    /// The version up to which the writer has looked at the keys of the table's files, whoever wrote them: only then are the
    /// superseded keys of its own complete.
    pub known_version: u64,
    /// The files, already durable in the store; `version` is ignored.
    pub files: Vec<DataFile>,
}

/// What has come to a table since a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// The version the table has reached.
    pub version: u64,
    /// Live files above the version asked for, lowest version first. What was merged meanwhile stands in the merged file.
    pub files: Vec<DataFile>,
}

/// The outcome of a merge: these files instead of those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Whose.
    pub tenant: TenantId,
    /// Of which table.
    pub table: Table,
    /// Ids of what was read.
    pub inputs: Vec<FileId>,
    /// What was written, already durable; `version` is kept as given.
    pub outputs: Vec<DataFile>,
    /// When the inputs stopped being live.
    pub at: Timestamp,
}

/// A file that was replaced and may be deleted once no reader can hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its id.
    pub id: FileId,
    /// Whose.
    pub tenant: TenantId,
    /// Where it lies.
    pub path: String,
}

/// The data half of the catalog.
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// What a query over these tables and ranges needs, all of it in one consistent read; a snapshot for each, in their order.
    async fn snapshots(&self, tenant: TenantId, of: &[(Table, TimeRange)]) -> Result<Vec<Snapshot>, Error>;
    /// As [`Self::snapshots`], of one table.
    async fn snapshot(&self, tenant: TenantId, table: Table, range: TimeRange) -> Result<Snapshot, Error> {
        Ok(self.snapshots(tenant, &[(table, range)]).await?.pop().unwrap_or_default())
    }

    /// Takes the writer's lease: its epoch rises by one, which fences whoever held it.
    async fn register_writer(&self, writer: WriterId, address: &str, at: Timestamp) -> Result<WriterLease, Error>;
    /// Gives the lease back after everything is flushed; readers stop asking this writer, and the lease can commit no more.
    /// Giving it back twice is harmless. [`Error::Fenced`] when the writer has registered again since.
    async fn retire_writer(&self, lease: WriterLease) -> Result<(), Error>;
    /// Says that of what this writer let in before `before` nothing is in its memory or its log any more. [`Error::Fenced`] when it has
    /// registered again since.
    async fn settled(&self, lease: WriterLease, before: Timestamp) -> Result<(), Error>;
    /// All watermarks of a writer: (tenant, table, sequence).
    async fn watermarks(&self, writer: WriterId) -> Result<Vec<(TenantId, Table, u64)>, Error>;

    /// Inserts the files and moves the watermark, in one transaction; answers the version the files got.
    /// When the watermark already stands at `sequence` or above, the commit was done before: nothing changes and the answer is `None`.
    ///
    /// # Errors
    /// [`Error::Fenced`] when the lease is not current, [`Error::Behind`] when another writer has committed since
    /// `known_version`, [`Error::Misfiled`] when a file is not of this tenant, table and its day: nothing changed.
    async fn commit(&self, commit: Commit) -> Result<Option<u64>, Error>;
    /// What a writer that has looked at all files up to `version` has missed, in one consistent read.
    async fn files_since(&self, tenant: TenantId, table: Table, version: u64) -> Result<Since, Error>;

    /// Live files of one day, lowest version first.
    async fn day(&self, tenant: TenantId, table: Table, day: Day) -> Result<Vec<DataFile>, Error>;
    /// Puts outputs in the place of inputs, in one transaction.
    ///
    /// # Errors
    /// [`Error::Changed`] when any input is no longer live, [`Error::Misfiled`] as for a commit: nothing changed, and the
    /// outputs are orphans.
    async fn replace(&self, replacement: Replacement) -> Result<(), Error>;
    /// Files that stopped being live at least `lingering` before `now`, at most `most`; none that a running export of the tenant
    /// may have found live when it began. Across tenants: only the compactor asks.
    async fn removable(&self, now: Timestamp, lingering: Duration, most: u32) -> Result<Vec<Removed>, Error>;
    /// Forgets files that have been deleted from the store. A live file is never forgotten, whoever asks.
    async fn forget(&self, files: &[FileId]) -> Result<(), Error>;
}
