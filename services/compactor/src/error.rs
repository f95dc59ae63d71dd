//! Why the compactor could not.

use spanlake_model::Fault;
use spanlake_store::background;
use spanlake_store::file::{self, merge};

/// Why the compactor could not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalog could not.
    #[error(transparent)]
    Catalog(#[from] spanlake_catalog::Error),
    /// A data file could not be deleted.
    #[error(transparent)]
    File(#[from] file::Error),
    /// Files could not be merged, and are as they were.
    #[error(transparent)]
    Merge(#[from] merge::Error),
    /// Its work was cut off.
    #[error(transparent)]
    Cut(#[from] background::Cut),
    /// A look left work undone; each failure has been logged.
    #[error("{failures} of the compactor's steps failed")]
    Incomplete {
        /// How many.
        failures: u64,
    },
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Catalog(error) => error.into(),
            Error::File(file::Error::Store(_))
            | Error::Merge(merge::Error::File(file::Error::Store(_)) | merge::Error::Stopped)
            | Error::Cut(_) => {
                Self::unavailable("The compactor cannot work right now; what it left is as it was. Try again.")
            }
            Error::Incomplete { .. } => Self::unavailable(
                "Some of the work could not be done and is left as it was; the log says why. Try again.",
            ),
            Error::File(_) | Error::Merge(_) => Self::internal(),
        }
    }
}
