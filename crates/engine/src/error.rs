//! Why a query could not be answered.

use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use spanlake_model::{Code, Fault};

use crate::guard::Trespass;

/// Why a query could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The range holds more files than one query may open.
    #[error("the range holds {files} data files; one query opens at most {max}")]
    TooManyFiles {
        /// In the range.
        files: usize,
        /// [`crate::Config::files_max`].
        max: usize,
    },
    /// The file list could not be read.
    #[error("the catalog could not be read")]
    Catalog(#[from] spanlake_catalog::Error),
    /// A writer that may hold rows gave no answer.
    #[error("a writer could not be asked for its fresh rows")]
    Writer(#[source] Fault),
    /// Flushes kept overtaking the snapshot.
    #[error("no stable snapshot after {rounds} rounds")]
    Unsettled {
        /// How often it was tried.
        rounds: u32,
    },
    /// A writer answered with rows that are not of the table's schema.
    #[error("a writer's rows are not of the table's schema")]
    Schema(#[source] arrow::error::ArrowError),
    /// A writer answered with rows that cannot be told apart.
    #[error("a writer's rows cannot be read")]
    Rows(#[source] spanlake_store::rows::DecodeError),
    /// It took longer than [`crate::Config::deadline_ms`].
    #[error("the query took longer than {deadline_ms} ms")]
    Deadline {
        /// The deadline.
        deadline_ms: u64,
    },
    /// So many queries of the tenant wait for their turn that no other may.
    #[error("{at_once} queries of the tenant run at the same time, and {waiting_max} wait already")]
    Crowded {
        /// What the tenant's limit and the installation's let run.
        at_once: usize,
        /// [`crate::Config::tenant_queries_waiting`].
        waiting_max: usize,
    },
    /// The query read more than [`crate::Config::query_read_bytes`].
    #[error("the query reads more than {bytes_max} bytes of data files")]
    ReadBytes {
        /// The bound.
        bytes_max: u64,
    },
    /// What a file holds could not be read.
    #[error("a data file could not be indexed")]
    Index(#[source] Arc<spanlake_store::file::Error>),
    /// The query wanted more memory than [`crate::Config::query_memory_bytes`].
    #[error("the query needs more than {bytes} bytes of memory")]
    QueryMemory {
        /// The bound.
        bytes: usize,
    },
    /// All queries together hold [`crate::Config::memory_bytes`].
    #[error("the memory for queries is used up")]
    SharedMemory,
    /// A data file could not be read.
    #[error("the object store failed")]
    Store(#[source] DataFusionError),
    /// A scan met a row of another tenant.
    #[error("a scan met a row of another tenant")]
    Trespass,
    /// Scores were asked for of a session that was not made with them: our mistake.
    #[error("the session holds no scores")]
    NoScores,
    /// Anything else the query engine says: our mistake.
    #[error("the query engine failed")]
    Engine(#[source] DataFusionError),
}

impl Error {
    /// What a failed plan means. `memory` is the bound that a refused allocation ran into.
    pub(crate) fn of(error: DataFusionError, memory: impl FnOnce() -> Self) -> Self {
        if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) {
            memory()
        } else if holds::<Trespass>(&error) {
            Self::Trespass
        } else if holds::<object_store::Error>(&error) || tells_of_store(&error) {
            Self::Store(error)
        } else {
            Self::Engine(error)
        }
    }
}

impl From<DataFusionError> for Error {
    /// For planning, which allocates nothing.
    fn from(error: DataFusionError) -> Self {
        Self::of(error, || Self::SharedMemory)
    }
}

/// Whether an error of type `T` is anywhere in the chain of causes.
fn holds<T: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|error| {
        // A shared error is its own link of the chain, and hides what it holds from `source`.
        error.is::<T>() || error.downcast_ref::<Arc<DataFusionError>>().is_some_and(|shared| holds::<T>(&**shared))
    })
}

/// Whether it is a store's failure of which only the text is left, as of one met while a footer is fetched
/// (`datafusion-datasource-parquet` 55.2, `metadata.rs`).
fn tells_of_store(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ParquetError(text) if text.to_string().contains("Object Store error"))
}

/// Logs what the caller does not hear.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::TooManyFiles { .. } => {
                Self::new(Code::InvalidQueryParams, "The time range holds too much data for one query; narrow it.")
                    .detail("start_date", error.to_string())
            }
            Error::Catalog(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a query could not read the catalog");
                error.into()
            }
            // About the caller's receipt.
            Error::Writer(fault) if fault.code == Code::InvalidQueryParams => fault,
            Error::Writer(fault) => {
                tracing::warn!(error = %fault, "a query could not reach a writer");
                Self::unavailable("The newest rows cannot be read right now; try again.")
            }
            Error::Crowded { at_once, waiting_max } => {
                let message = format!(
                    "The limit on queries at once is {at_once} for this account, and {waiting_max} wait already; send fewer at a time, \
                     or see queries_at_once in /v1/limits."
                );
                Self::new(Code::RateLimited, message).retry_after(Duration::from_secs(1))
            }
            Error::ReadBytes { bytes_max } => Self::new(
                Code::InvalidQueryParams,
                format!(
                    "The query reads more than {} MiB of data; narrow the time range or the filters.",
                    bytes_max >> 20
                ),
            ),
            Error::Unsettled { .. } | Error::SharedMemory | Error::Store(_) | Error::Index(_) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a query could not be answered now");
                Self::unavailable("The query cannot be answered right now; try again.")
            }
            Error::Deadline { deadline_ms } => Self::new(
                Code::Timeout,
                format!(
                    "The query took longer than {} s; narrow the time range or the filters.",
                    deadline_ms.div_ceil(1_000)
                ),
            ),
            Error::QueryMemory { bytes } => Self::new(
                Code::InvalidQueryParams,
                format!(
                    "The query needs more than {} MiB of memory; narrow the time range or the filters.",
                    bytes >> 20
                ),
            ),
            Error::Schema(_) | Error::Rows(_) | Error::Trespass | Error::Engine(_) | Error::NoScores => {
                tracing::error!(error = &error as &dyn std::error::Error, "a query failed");
                Self::internal()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::Error as StoreError;

    fn told(error: DataFusionError) -> Code {
        Fault::from(Error::of(error, || Error::QueryMemory { bytes: 1 << 20 })).code
    }

    #[test]
    fn a_failing_store_is_no_fault_of_the_caller_however_deep_it_lies() {
        let store = || StoreError::NotImplemented { operation: "get".into(), implementer: "test".into() };
        let parquet = parquet::errors::ParquetError::External(Box::new(store()));
        let shared = DataFusionError::Shared(Arc::new(DataFusionError::ObjectStore(Box::new(store()))));
        assert_eq!(told(DataFusionError::ParquetError(Box::new(parquet))), Code::ServiceUnavailable);
        assert_eq!(told(shared), Code::ServiceUnavailable);
    }

    #[test]
    fn each_limit_has_its_own_answer() {
        assert_eq!(told(DataFusionError::ResourcesExhausted("no".into())), Code::InvalidQueryParams);
        assert_eq!(told(DataFusionError::External(Box::new(Trespass))), Code::InternalError);
        assert_eq!(told(DataFusionError::Plan("no".into())), Code::InternalError);
        assert_eq!(Fault::from(Error::Deadline { deadline_ms: 1 }).code, Code::Timeout);
    }
}
