//! Why a place of somebody else's could not be used, in words for its owner.
//!
//! What a server answers is its own affair and may be anything, and paths of ours are nobody else's: neither is told or logged.

use std::error::Error as StdError;
use std::io;

use object_store::Error as StoreError;
use object_store::client::{HttpError, HttpErrorKind};

use crate::file::Error;

/// Bytes of a cause that are logged at most.
const CAUSE_BYTES_MAX: usize = 300;
/// How `object_store` tells of a status (0.13, `client/retry.rs`); the server's words follow.
const STATUS: &str = "Server returned non-2xx status code: ";
/// How it tells of an error in an answer that began well; the server's words follow.
const RESPONSE: &str = "Server returned error response: ";

/// What is wrong with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Its credentials, or what they may do.
    #[error("it refuses the credentials, which must be allowed to list, read, write and delete there")]
    Denied,
    /// There is no such bucket.
    #[error("there is no such bucket")]
    Absent,
    /// Nobody listens, or there is no way.
    #[error("it cannot be reached")]
    Unreachable,
    /// It takes too long.
    #[error("it did not answer in time")]
    Late,
    /// No space is left.
    #[error("its disk is full")]
    Full,
    /// It answers something else, or too much.
    #[error("it answers what no bucket answers")]
    Strange,
    /// Any other status.
    #[error("it answers with status {0}")]
    Status(u16),
    /// Anything else.
    #[error("it failed; the server's log says how")]
    Other,
}

/// What we do not put up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Impatience {
    #[error("the place did not answer in time")]
    Late,
    #[error("the file is longer than any of ours")]
    TooLong,
    #[error("the folder holds too many files")]
    TooMany,
    #[error("the request went to an address that is not public")]
    Private,
}

impl From<Impatience> for StoreError {
    fn from(impatience: Impatience) -> Self {
        Self::Generic { store: "outlet", source: Box::new(impatience) }
    }
}

impl From<Impatience> for HttpError {
    /// Of a kind that is not tried again.
    fn from(impatience: Impatience) -> Self {
        Self::new(HttpErrorKind::Decode, impatience)
    }
}

impl Trouble {
    /// What an error of an outlet means.
    pub fn of(error: &Error) -> Self {
        let all = || std::iter::successors(Some(error as &(dyn StdError + 'static)), |link| (*link).source());
        // The innermost link that says something is the one that knows.
        all().filter_map(said).last().unwrap_or(Self::Other)
    }

    /// For the log: what has happened, without the server's own words.
    pub fn cause(error: &Error) -> String {
        let text = StdError::source(error).map(ToString::to_string).unwrap_or_default();
        let body = text.find(STATUS).map(|at| at + STATUS.len() + 3).or_else(|| text.find(RESPONSE));
        let end = body.unwrap_or(text.len()).min(CAUSE_BYTES_MAX);
        text[..text.floor_char_boundary(end)].to_string()
    }
}

fn said(link: &(dyn StdError + 'static)) -> Option<Trouble> {
    if let Some(impatience) = link.downcast_ref::<Impatience>() {
        return Some(match impatience {
            Impatience::Late => Trouble::Late,
            Impatience::TooLong | Impatience::TooMany => Trouble::Strange,
            Impatience::Private => Trouble::Unreachable,
        });
    }
    if let Some(error) = link.downcast_ref::<HttpError>() {
        return Some(match error.kind() {
            HttpErrorKind::Timeout => Trouble::Late,
            HttpErrorKind::Decode => Trouble::Strange,
            _ => Trouble::Unreachable,
        });
    }
    if let Some(error) = link.downcast_ref::<io::Error>() {
        return matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            .then_some(Trouble::Full);
    }
    let text = link.to_string();
    let status = text.strip_prefix(STATUS)?.get(..3)?;
    Some(match status.parse().ok()? {
        401 | 403 => Trouble::Denied,
        404 => Trouble::Absent,
        507 => Trouble::Full,
        status => Trouble::Status(status),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(source: impl StdError + Send + Sync + 'static) -> Error {
        Error::Store(StoreError::Generic { store: "test", source: Box::new(source) })
    }

    #[test]
    fn what_is_wrong_is_said_in_our_own_words() {
        let http = |kind| store(HttpError::new(kind, io::Error::other("secret")));
        for (error, trouble) in [
            (store(io::Error::new(io::ErrorKind::StorageFull, "/srv/secret")), Trouble::Full),
            (store(io::Error::other("/srv/secret")), Trouble::Other),
            (store(Impatience::Late), Trouble::Late),
            (store(Impatience::TooMany), Trouble::Strange),
            (http(HttpErrorKind::Connect), Trouble::Unreachable),
            (http(HttpErrorKind::Timeout), Trouble::Late),
        ] {
            assert_eq!(Trouble::of(&error), trouble);
            assert!(!trouble.to_string().contains("secret"));
        }
    }
}
