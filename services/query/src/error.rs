//! Why a read failed.

use spanlake_engine::datafusion::error::DataFusionError;
use spanlake_model::Fault;
use spanlake_store::rows::DecodeError;

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request makes no sense, or asks for what is not there.
    #[error("{0}")]
    Refused(#[from] Fault),
    /// The engine could not answer.
    #[error("the engine could not answer")]
    Engine(#[from] spanlake_engine::Error),
    /// An erasure could not be stored or read.
    #[error("the catalog could not keep an erasure")]
    Erasure(#[from] spanlake_catalog::Error),
    /// A row does not read back.
    #[error("a stored row does not read back")]
    Row(#[from] DecodeError),
    /// An answer has not the columns that its plan asked for.
    #[error("an answer lacks the column {0}")]
    Column(&'static str),
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(fault) => fault,
            Error::Engine(error) => error.into(),
            Error::Erasure(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "an erasure could not be stored or read");
                error.into()
            }
            Error::Row(_) | Error::Column(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a read failed");
                Self::internal()
            }
        }
    }
}
