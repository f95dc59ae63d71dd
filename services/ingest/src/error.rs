//! Why ingest could not.

use std::time::Duration;

use spanlake_model::{Code, Fault};
use spanlake_store::{file, log};

/// Why ingest could not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log's folder cannot be used.
    #[error(transparent)]
    Folder(#[from] log::FolderError),
    /// The log could not be started.
    #[error("the log could not be started")]
    Start(#[source] std::io::Error),
    /// The log did not take a frame.
    #[error(transparent)]
    Append(#[from] log::AppendError),
    /// The catalog could not.
    #[error(transparent)]
    Catalog(#[from] spanlake_catalog::Error),
    /// A data file could not be written or read.
    #[error(transparent)]
    File(#[from] file::Error),
    /// A data file that may be readable later.
    #[error("the data file {path} cannot be read now; rows that may replace some of its own wait for it")]
    Unread {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: file::Error,
    },
    /// A frame of the log that was readable when it was acknowledged.
    #[error("frame {sequence} of the log cannot be read by this version; start the version that wrote it")]
    Unreadable {
        /// Which.
        sequence: u64,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Other writers of the same tenant kept committing first.
    #[error("other writers kept committing first; the rows stay in memory and in the log")]
    Unsettled,
    /// Memory is full until a flush makes room.
    #[error("memtables are full")]
    Full,
    /// One tenant's share of it is.
    #[error("the tenant's memtable is full")]
    TenantFull,
    /// The disk of the log is nearly full.
    #[error("the disk is nearly full")]
    NoSpace,
    /// This process may not write any more: another has taken its log over, or the log has stopped.
    #[error("this writer has stopped")]
    Stopped,
    /// A task was cut off; if by a panic, that has been logged.
    #[error("a task was cut off")]
    Cut,
}

impl From<tokio::task::JoinError> for Error {
    /// What it says may be made of what somebody sent.
    fn from(_: tokio::task::JoinError) -> Self {
        Self::Cut
    }
}

impl Error {
    /// Whether there is simply too much at once.
    pub(crate) const fn is_overload(&self) -> bool {
        matches!(self, Self::Full | Self::TenantFull | Self::NoSpace | Self::Append(log::AppendError::Busy))
    }
}

impl From<Error> for Fault {
    /// Every one of these passes, so that no client ever drops its data: 503 (429 when it is the tenant's own doing), never 500.
    fn from(error: Error) -> Self {
        let wait = Duration::from_secs(if error.is_overload() { 1 } else { 5 });
        if matches!(error, Error::TenantFull) {
            let message = "Telemetry of this tenant comes in faster than it can be put away; nothing of this request was kept. Send it again.";
            return Self::new(Code::RateLimited, message).retry_after(wait);
        }
        if let Error::Unread { path, .. } = error {
            let message = format!(
                "The data file {path} cannot be read right now, so spans of its day are neither taken in nor shown. Try again."
            );
            return Self::new(Code::ServiceUnavailable, message).retry_after(wait);
        }
        let message = "Telemetry cannot be taken in right now; nothing of this request was kept. Send it again.";
        Self::new(Code::ServiceUnavailable, message).retry_after(wait)
    }
}
