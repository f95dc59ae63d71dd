//! What must go: rows that were erased, files past their time.

use std::time::Duration;

use async_trait::async_trait;
use spanlake_model::{AgentId, AppId, Day, Erasure, ErasureId, FileId, Table, TenantId, Timestamp, TraceId};

use crate::error::Error;
use crate::files::{DataFile, Removed, Replacement};

/// Erasures of one tenant that hide rows at the same time, about; more are refused, since each query weighs each row against them.
pub const OPEN_ERASURES_MAX: u64 = 1_000;
/// Traces that one erasure may name.
pub const ERASED_TRACES_MAX: usize = 100_000;
/// Traces that those of one tenant may name together, about, while they hide rows: what each query reads.
pub const OPEN_TRACES_MAX: u64 = 400_000;
/// Files that one answer lists of an erasure.
pub const LISTED_FILES_MAX: u32 = 1_000;

/// What was named when an erasure was asked for. The user or the session itself is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Traces, by their ids.
    Traces,
    /// All traces of a user.
    User,
    /// All traces of a session.
    Session,
    /// An app.
    App,
    /// Everything of the tenant.
    Tenant,
}

impl Subject {
    const ALL: [Self; 5] = [Self::Traces, Self::User, Self::Session, Self::App, Self::Tenant];

    /// In the catalog and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::User => "user",
            Self::Session => "session",
            Self::App => "app",
            Self::Tenant => "tenant",
        }
    }
    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.as_str() == text)
    }
}

/// An erasure to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewErasure {
    /// What is erased; its bounds are those of spans.
    pub erasure: Erasure,
    /// Of each writer that had scores of the tenant, the last write of them that is meant.
    pub score_bounds: Vec<spanlake_model::Receipt>,
    /// What was named.
    pub subject: Subject,
    /// Traces that stay and lose scores: schedules tell them again, beside those that are erased.
    pub touched: Vec<TraceId>,
    /// What of all these each agent of [`Erasures::agents_told`] had: its schedules hear of nothing else.
    pub of_agents: Vec<(AgentId, Vec<TraceId>)>,
    /// When.
    pub requested_at: Timestamp,
}

impl NewErasure {
    /// Without bounds of scores, and nobody to be told of but by what is erased.
    pub const fn new(erasure: Erasure, subject: Subject, requested_at: Timestamp) -> Self {
        Self { erasure, score_bounds: Vec::new(), subject, touched: Vec::new(), of_agents: Vec::new(), requested_at }
    }
}

/// A file that an erasure took rows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasedFile {
    /// For which erasure.
    pub erasure: ErasureId,
    /// The file.
    pub file: FileId,
    /// Its day.
    pub day: Day,
    /// How many of its rows were erased.
    pub rows: u64,
    /// The file that holds the rows that stay; `None` when none did, and the file was dropped.
    pub replaced_by: Option<FileId>,
}

/// How far an erasure is, and what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureProof {
    /// Its id.
    pub id: ErasureId,
    /// What was named.
    pub subject: Subject,
    /// The app, unless it was everything.
    pub app: Option<AppId>,
    /// Traces it came to; 0 for a whole app or tenant.
    pub traces: u64,
    /// Since when the rows are hidden.
    pub requested_at: Timestamp,
    /// Since when no live file, log or memory holds them.
    pub rewritten_at: Option<Timestamp>,
    /// Since when the files that held them are deleted, too.
    pub finished_at: Option<Timestamp>,
    /// Rows erased from files.
    pub rows: u64,
    /// Files that rows were taken from, in all.
    pub file_count: u64,
    /// The first [`LISTED_FILES_MAX`] of them, by day.
    pub files: Vec<ErasedFile>,
}

/// What must go from the data files.
#[async_trait]
pub trait Erasures: Send + Sync + 'static {
    /// Stores an erasure: every [`crate::Snapshot`] of the tenant taken from now on holds it, until [`Self::rewritten`].
    ///
    /// # Errors
    /// [`Error::Crowded`] when [`OPEN_ERASURES_MAX`] of the tenant are under way, or they name [`OPEN_TRACES_MAX`] traces.
    async fn add_erasure(&self, new: NewErasure) -> Result<(), Error>;
    /// Agents of the app whose rows are exported on a schedule.
    async fn agents_told(&self, tenant: TenantId, app: AppId) -> Result<Vec<AgentId>, Error>;
    /// What became of an erasure of the tenant. An app that was deleted has one of its own id, from then on.
    async fn erasure(&self, tenant: TenantId, id: ErasureId) -> Result<Option<ErasureProof>, Error>;
    /// Tenants with rows to be erased, longest waiting first, at most `most`. Across tenants: only the compactor asks.
    async fn tenants_to_erase(&self, most: u32) -> Result<Vec<TenantId>, Error>;
    /// As [`crate::Files::replace`], and notes in the same transaction which erasures took rows from the inputs.
    ///
    /// # Errors
    /// As [`crate::Files::replace`].
    async fn erase(&self, replacement: Replacement, erased: &[ErasedFile]) -> Result<(), Error>;
    /// No live file holds a row of this erasure, and none can come: it hides nothing from now on. Doing so twice keeps the first time.
    async fn rewritten(&self, id: ErasureId, at: Timestamp) -> Result<(), Error>;
    /// Begins erasures of apps that were deleted an hour ago, once every writer has settled what it let in of them; each has the id of its app.
    /// Finishes every erasure that is rewritten and whose tenant's files that were removed by then are all deleted and
    /// forgotten; answers how many. So it does with tenants that were deleted, and it deletes some of what ended of sessions, invitations
    /// and links.
    async fn finish_erasures(&self, at: Timestamp) -> Result<u64, Error>;
    /// As [`crate::Files::removable`], for files that an erasure took rows from, and those of tenants that were deleted.
    async fn erased_removable(&self, now: Timestamp, lingering: Duration, most: u32) -> Result<Vec<Removed>, Error>;
    /// Live files of the table whose every row is older than its tenant keeps rows, oldest first, at most `most`.
    /// Across tenants: only the compactor asks.
    async fn expired(&self, table: Table, now: Timestamp, most: u32) -> Result<Vec<DataFile>, Error>;
}
