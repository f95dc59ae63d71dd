//! Why auth could not.

use spanlake_access::token::TokenError;
use spanlake_catalog as catalog;
use spanlake_model::{Fault, FaultKind};
use spanlake_transport::response::ErrorResponse;

use crate::password;

/// Why auth could not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is refused; the fault says why.
    #[error(transparent)]
    Refused(#[from] Fault),
    /// The catalog could not be read or written.
    #[error("the catalog failed")]
    Catalog(#[from] catalog::Error),
    /// A password could not be hashed.
    #[error("a password was not hashed")]
    Password(#[from] password::Error),
    /// A token could not be signed.
    #[error("a token was not made")]
    Token(#[from] TokenError),
}

/// The cause is logged here: what leaves says no more than the caller needs.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let detail = std::error::Error::source(&error).and_then(std::error::Error::source).map(ToString::to_string);
        let text = error.to_string();
        let fault = match error {
            Error::Refused(fault) => return fault,
            Error::Catalog(error) => error.into(),
            Error::Password(error) => error.into(),
            Error::Token(_) => Self::internal(),
        };
        if matches!(fault.kind(), FaultKind::Internal | FaultKind::Unavailable) {
            tracing::error!(error = %text, cause = %cause, detail = detail.unwrap_or_default(), "auth could not answer");
        }
        fault
    }
}

impl From<Error> for ErrorResponse {
    fn from(error: Error) -> Self {
        Self::from(Fault::from(error))
    }
}
