//! Exports into files: what to write where, who works on it, how far it is, what was written.

use async_trait::async_trait;
use spanlake_model::{AgentId, AppId, Code, ErasureId, ExportId, ExporterId, Receipt, TenantId, Timestamp, TraceId};

use crate::error::Error;

/// Exports of one tenant that wait, run or are paused at the same time; more are refused.
pub const OPEN_EXPORTS_MAX: u64 = 100;
/// Erasures that a schedule keeps until it can tell them; with more, or more than [`UNTOLD_TRACES_MAX`] traces in them, it begins anew.
pub const UNTOLD_ERASURES_MAX: u64 = 1_000;
/// See [`UNTOLD_ERASURES_MAX`].
pub const UNTOLD_TRACES_MAX: u64 = 400_000;

/// Where an export stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportStatus {
    /// For its time, or for somebody who takes it.
    Waiting,
    /// Somebody has taken it; when their lease has ended, it is to be had again.
    Running,
    /// Its schedule has failed for so long that nobody tries any more until it is resumed.
    Paused,
    /// Everything is written.
    Done,
    /// Given up; nobody tries again.
    Failed,
    /// Called off.
    Cancelled,
}

impl ExportStatus {
    const ALL: [Self; 6] = [Self::Waiting, Self::Running, Self::Paused, Self::Done, Self::Failed, Self::Cancelled];

    /// In the catalog and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// An export to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewExport {
    /// Its id.
    pub id: ExportId,
    /// Whose.
    pub tenant: TenantId,
    /// Of which app.
    pub app: AppId,
    /// Of this agent only.
    pub agent: Option<AgentId>,
    /// Who asked, as our services pass a caller on.
    pub caller: Vec<u8>,
    /// What and where to; never a credential.
    pub spec: String,
    /// The destination's credentials, sealed.
    pub sealed: Option<Vec<u8>>,
    /// When to run; `None`: once.
    pub schedule: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the first run is due.
    pub not_before: Timestamp,
}

/// What an attempt has written, and what there is to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows in files that are written.
    pub rows: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// How many.
    pub files: u64,
    /// Rows there are in all, once that is known.
    pub total_rows: Option<u64>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportFailure {
    /// As in the API.
    pub code: String,
    /// For whoever asked for the export.
    pub message: String,
}

/// An export as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// What was asked for; `not_before` is when the next run or attempt is due.
    pub asked: NewExport,
    /// Where it stands.
    pub status: ExportStatus,
    /// The run at hand, or the next; counted from 1.
    pub run: u64,
    /// How often in a row that run has failed.
    pub failures: u64,
    /// Why, the last time.
    pub error: Option<ExportFailure>,
    /// When it failed first.
    pub failing_since: Option<Timestamp>,
    /// When the attempt at hand began.
    pub started_at: Option<Timestamp>,
    /// How far it is; of the last attempt, when none is at hand.
    pub progress: Progress,
    /// Up to where each writer's log has been exported.
    pub through: Vec<Receipt>,
    /// As `through`, of the scores that its rows show or are chosen by.
    pub scores_through: Vec<Receipt>,
    /// The last manifest.
    pub last: Option<ExportRun>,
    /// When it was done, failed or cancelled.
    pub finished_at: Option<Timestamp>,
}

/// A run that has written its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRun {
    /// Which.
    pub run: u64,
    /// Where the manifest lies, below the export's folder.
    pub path: String,
    /// SHA-256 of it, in hex.
    pub sha256: String,
    /// Rows in its files.
    pub rows: u64,
    /// Deletes in its files.
    pub deletes: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// How many.
    pub files: u64,
    /// When.
    pub created_at: Timestamp,
}

/// The right to work on an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportLease {
    /// Who.
    pub owner: ExporterId,
    /// On what.
    pub export: ExportId,
    /// On which run of it.
    pub run: u64,
}

/// An export that somebody has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedExport {
    /// The right to work on it.
    pub lease: ExportLease,
    /// As it stands.
    pub export: Export,
    /// Whether whoever had it before stopped without a word: the process may have died of it.
    pub was_abandoned: bool,
}

/// What becomes of an export after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is done.
    Done,
    /// The next run is due then.
    Again(Timestamp),
}

/// How a run ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// The manifest that was written; `None` when nothing had changed, and the run's number is still to be had.
    pub written: Option<(ExportRun, String)>,
    /// Up to where each writer's log has now been exported.
    pub through: Vec<Receipt>,
    /// As `through`, of the scores that its rows show or are chosen by.
    pub scores_through: Vec<Receipt>,
    /// Erasures that the run's deletes tell of.
    pub told: Vec<ErasureId>,
    /// What comes then.
    pub then: Then,
    /// When it ended.
    pub at: Timestamp,
}

/// What becomes of an export after an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// The next attempt is due then.
    Again(Timestamp),
    /// Nobody tries until it is resumed. What it has yet to tell of erasures is given up, and noted as lost if there is any.
    Paused,
    /// Nobody tries any more.
    GivenUp,
}

/// Something erased that a scheduled export has yet to tell its warehouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntoldErasure {
    /// Which erasure.
    pub id: ErasureId,
    /// Traces of the export's app; `None`: all of it.
    pub traces: Option<Vec<TraceId>>,
}

/// What exporters share out among them, and what the API shows of it. Every read by the API names tenant and app.
#[async_trait]
pub trait Exports: Send + Sync + 'static {
    /// Stores an export.
    ///
    /// # Errors
    /// [`Error::Crowded`] when [`OPEN_EXPORTS_MAX`] of the tenant wait or run.
    async fn add_export(&self, new: NewExport) -> Result<(), Error>;
    /// One of the tenant's.
    async fn export(&self, tenant: TenantId, id: ExportId) -> Result<Option<Export>, Error>;
    /// Those of an app, newest first, older than `before`; of one agent when one is named.
    async fn exports(
        &self,
        tenant: TenantId,
        app: AppId,
        agent: Option<AgentId>,
        before: Option<(Timestamp, ExportId)>,
        most: u32,
    ) -> Result<Vec<Export>, Error>;
    /// Calls off one that waits, runs or is paused; whoever works on it finds its lease lost. Answers how it stands then.
    async fn cancel_export(&self, tenant: TenantId, id: ExportId, at: Timestamp) -> Result<Option<Export>, Error>;
    /// Lets a paused one go on, from `not_before`; any other stays as it is. One that has missed an erasure has everything to tell,
    /// under this new id of an erasure. Answers how it stands then.
    async fn resume_export(
        &self,
        tenant: TenantId,
        id: ExportId,
        everything: ErasureId,
        not_before: Timestamp,
    ) -> Result<Option<Export>, Error>;
    /// Manifests of an export, latest run first, before this run.
    async fn export_runs(
        &self,
        tenant: TenantId,
        id: ExportId,
        before: Option<u64>,
        most: u32,
    ) -> Result<Vec<ExportRun>, Error>;
    /// The text of one of them; of the last when none is named.
    async fn manifest(&self, tenant: TenantId, id: ExportId, run: Option<u64>) -> Result<Option<String>, Error>;

    /// Takes an export that is due until `until`: of the tenant that has the fewest running, the one that is due longest. Across
    /// tenants: only exporters ask.
    async fn claim_export(
        &self,
        owner: ExporterId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ClaimedExport>, Error>;
    /// Keeps it until `until`, and shows how far it is.
    ///
    /// # Errors
    /// [`Error::Changed`] when it was cancelled or somebody else has taken it: stop, and leave everything as it is.
    async fn keep_export(&self, lease: ExportLease, until: Timestamp, progress: Progress) -> Result<(), Error>;
    /// What the export has yet to tell of erasures; to be asked before the snapshot is taken.
    async fn untold_erasures(&self, lease: ExportLease) -> Result<Vec<UntoldErasure>, Error>;
    /// The run is over, all in one transaction.
    ///
    /// # Errors
    /// As [`Self::keep_export`].
    async fn end_run(&self, lease: ExportLease, end: RunEnd) -> Result<(), Error>;
    /// The attempt failed, and what comes then.
    ///
    /// # Errors
    /// As [`Self::keep_export`].
    async fn fail_run(
        &self,
        lease: ExportLease,
        failure: ExportFailure,
        then: AfterFailure,
        at: Timestamp,
    ) -> Result<(), Error>;
    /// Gives it back as it is, for anyone.
    ///
    /// # Errors
    /// As [`Self::keep_export`].
    async fn leave_export(&self, lease: ExportLease) -> Result<(), Error>;
}

/// Of a code as the API has it.
impl From<(Code, String)> for ExportFailure {
    fn from((code, message): (Code, String)) -> Self {
        Self { code: code.as_str().to_string(), message }
    }
}
