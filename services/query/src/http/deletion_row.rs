//! A deletion, as it is shown.

use serde::Serialize;
use spanlake_catalog::{ErasedFile, ErasureProof};
use utoipa::ToSchema;

/// A deletion: what was deleted, how far it is, and which files it took rows from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Deletion {
    id: String,
    /// `hidden`: no read shows it. `rewritten`: no file in use, no log and no memory holds it. `finished`: the files that
    /// did hold it are deleted, too.
    status: &'static str,
    /// What was named: `traces`, `user`, `session`, `app` or `tenant`. The user or session itself is not kept.
    subject: &'static str,
    /// The app; null for a whole tenant.
    app_id: Option<String>,
    /// Traces that it came to; 0 for a whole app or tenant.
    traces: u64,
    requested_at: String,
    rewritten_at: Option<String>,
    finished_at: Option<String>,
    /// Rows taken from data files so far; a replaced version of a span is a row of its own.
    rows: u64,
    /// Files they were taken from so far.
    file_count: u64,
    /// The first 1,000 of those files.
    files: Vec<RewrittenFile>,
}

/// A file that rows were taken from.
#[derive(Debug, Serialize, ToSchema)]
struct RewrittenFile {
    /// The file, which is deleted.
    id: String,
    /// The day its spans began on.
    day: String,
    /// Rows taken from it.
    rows: u64,
    /// The file that holds its other rows; null when there were none.
    replaced_by: Option<String>,
}

impl From<ErasureProof> for Deletion {
    fn from(proof: ErasureProof) -> Self {
        let status = match (proof.rewritten_at, proof.finished_at) {
            (None, _) => "hidden",
            (Some(_), None) => "rewritten",
            (Some(_), Some(_)) => "finished",
        };
        Self {
            id: proof.id.to_string(),
            status,
            subject: proof.subject.as_str(),
            app_id: proof.app.map(|app| app.to_string()),
            traces: proof.traces,
            requested_at: proof.requested_at.to_string(),
            rewritten_at: proof.rewritten_at.map(|at| at.to_string()),
            finished_at: proof.finished_at.map(|at| at.to_string()),
            rows: proof.rows,
            file_count: proof.file_count,
            files: proof.files.into_iter().map(RewrittenFile::from).collect(),
        }
    }
}

impl From<ErasedFile> for RewrittenFile {
    fn from(file: ErasedFile) -> Self {
        Self {
            id: file.file.to_string(),
            day: file.day.to_string(),
            rows: file.rows,
            replaced_by: file.replaced_by.map(|by| by.to_string()),
        }
    }
}
