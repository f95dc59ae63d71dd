//! Who of several compactors works on what, and what they know of it.

use async_trait::async_trait;
use spanlake_model::{CompactorId, Day, Table, TenantId, Timestamp};

use crate::error::Error;

/// A tenant's table on one day, with how many of its live files may still be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantDay {
    /// Whose.
    pub tenant: TenantId,
    /// Of which table.
    pub table: Table,
    /// Which day.
    pub day: Day,
    /// Live files below their final size.
    pub files: u64,
}

/// What makes a day worth a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Days that somebody works on, or that failed and are to wait, are left out.
    pub now: Timestamp,
    /// This many files below their final size, one of them newer than what was settled; 2 at the least.
    pub least_files: u64,
    /// Or two of whatever size, when the day is before this one and was never finished.
    pub closed_before: Day,
    /// A file of more bytes has its final size.
    pub small_bytes: u64,
    /// On a day that is before [`Self::closed_before`] and was never finished, a file of so many bytes is enough.
    pub alone_bytes_min: u64,
    /// By which files are chosen: what was settled by others is not settled.
    pub rules: String,
}

/// A compactor's right to work on a day. Losing it is harmless: a merge is taken only while its inputs live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayLease {
    /// Who.
    pub owner: CompactorId,
    /// Whose files.
    pub tenant: TenantId,
    /// Of which table.
    pub table: Table,
    /// Which day.
    pub day: Day,
    /// How often in a row work on it has failed.
    pub failures: u64,
    /// Whether it was over before, and made as few files as may be.
    pub is_finished: bool,
}

/// How work on a day ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There is nothing more to merge in files up to this version.
    Settled {
        /// The highest of the day.
        version: u64,
        /// By which that is so.
        rules: String,
        /// Set when the day was over and is as few files as may be.
        finished_at: Option<Timestamp>,
    },
    /// It failed, and is to be left alone until then.
    Failed {
        /// When to try again.
        not_before: Timestamp,
    },
    /// It was left as it is, for anyone.
    Left,
}

/// What compactors share out among them. Times are theirs: a clock that is wrong makes two of them do the same work, no more.
#[async_trait]
pub trait Jobs: Send + Sync + 'static {
    /// Days that may have files to merge, those with the most first, at most `most`. Across tenants: only the compactor asks.
    async fn days(&self, wanted: Wanted, most: u32) -> Result<Vec<TenantDay>, Error>;
    /// Takes a day until `until`; `None` when somebody has it, or it is to wait.
    async fn claim(
        &self,
        owner: CompactorId,
        day: TenantDay,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<DayLease>, Error>;
    /// Keeps it until `until`.
    ///
    /// # Errors
    /// [`Error::Changed`] when somebody else has taken it.
    async fn renew(&self, lease: DayLease, until: Timestamp) -> Result<(), Error>;
    /// Gives it back, and says how it went.
    ///
    /// # Errors
    /// [`Error::Changed`] when somebody else has taken it; what they find out counts.
    async fn end(&self, lease: DayLease, ended: Ended) -> Result<(), Error>;
}
