//! An export, as it is shown.

use serde::Serialize;
use spanlake_catalog::{Export, ExportRun, ExportStatus};
use spanlake_model::Fault;
use spanlake_proto::query::RowsOf;
use utoipa::ToSchema;

use crate::jobs::spec::{Compression, Destination, FileFormat, Spec};

/// An export into files: what is written where, how far it is, and what was written last.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Export)]
pub(crate) struct Row {
    id: String,
    /// `waiting` for its time or its turn, `running`, `paused` until it is resumed, `done`, `failed` or `cancelled`.
    status: &'static str,
    /// `spans`, `scores` or `traces`.
    table: &'static str,
    format: FileFormat,
    compression: Compression,
    /// In the filter language; null for none.
    filter: Option<String>,
    /// Of spans: whether what scores say of each is beside it; of traces always.
    scores: bool,
    start_date: Option<String>,
    end_date: Option<String>,
    /// Without credentials.
    destination: Destination,
    /// Five fields of cron, in UTC; null for once.
    schedule: Option<String>,
    created_at: String,
    /// When the next run, or the next attempt at it, is due; null when there is none, or while one runs.
    next_run_at: Option<String>,
    /// The run at hand, or the next.
    run: Run,
    /// The last run that was written.
    last_manifest: Option<Written>,
    /// Why the last attempt failed; null after one that did not.
    error: Option<Failure>,
    /// Since when attempts have failed; null after one that did not.
    failing_since: Option<String>,
    finished_at: Option<String>,
}

/// A run under way.
#[derive(Debug, Serialize, ToSchema)]
struct Run {
    /// Counted from 1.
    number: u64,
    /// How often it was tried, this time included.
    attempts: u64,
    started_at: Option<String>,
    /// Rows in files that are written.
    rows: u64,
    bytes: u64,
    files: u64,
    /// Rows there are in all, deletes included; null until that is known.
    total_rows: Option<u64>,
}

/// A run that has written its manifest.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Written {
    pub(crate) run: u64,
    /// Where the manifest lies, below the export's folder.
    path: String,
    /// SHA-256 of the manifest, in hex.
    sha256: String,
    rows: u64,
    deletes: u64,
    bytes: u64,
    files: u64,
    created_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExportFailure)]
struct Failure {
    code: String,
    message: String,
}

impl Row {
    /// # Errors
    /// When it was stored by a later version.
    pub(crate) fn of(export: Export) -> Result<Self, Fault> {
        let spec = Spec::parse(&export.asked.spec)?;
        let table = spec.table()?;
        let is_waiting = export.status == ExportStatus::Waiting;
        let is_running = export.status == ExportStatus::Running;
        let filter = Some(spec.filter_text().to_string()).filter(|filter| !filter.is_empty());
        Ok(Self {
            id: export.asked.id.to_string(),
            status: export.status.as_str(),
            table: table.as_str(),
            format: spec.format,
            compression: spec.compression,
            filter,
            scores: spec.scores || table == RowsOf::Traces,
            start_date: spec.start.map(|at| at.to_string()),
            end_date: spec.end.map(|at| at.to_string()),
            destination: spec.destination,
            schedule: export.asked.schedule,
            created_at: export.asked.created_at.to_string(),
            next_run_at: is_waiting.then(|| export.asked.not_before.to_string()),
            run: Run {
                number: export.run,
                attempts: export.failures + u64::from(is_running),
                started_at: export.started_at.map(|at| at.to_string()),
                rows: export.progress.rows,
                bytes: export.progress.bytes,
                files: export.progress.files,
                total_rows: export.progress.total_rows,
            },
            last_manifest: export.last.map(Written::from),
            error: export.error.map(|error| Failure { code: error.code, message: error.message }),
            failing_since: export.failing_since.map(|at| at.to_string()),
            finished_at: export.finished_at.map(|at| at.to_string()),
        })
    }
}

impl From<ExportRun> for Written {
    fn from(run: ExportRun) -> Self {
        Self {
            run: run.run,
            path: run.path,
            sha256: run.sha256,
            rows: run.rows,
            deletes: run.deletes,
            bytes: run.bytes,
            files: run.files,
            created_at: run.created_at.to_string(),
        }
    }
}
