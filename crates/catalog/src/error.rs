//! Why the catalog could not.

use std::time::Duration;

use spanlake_model::{Code, Fault, FileId};

/// Why the catalog could not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row with this name, email or id is there already.
    #[error("{what} exists already")]
    Exists {
        /// What kind of thing.
        what: &'static str,
    },
    /// The writer's lease has passed to another process: it must stop at once.
    #[error("the writer's epoch {epoch} is over")]
    Fenced {
        /// The epoch it believed in.
        epoch: u64,
    },
    /// Another writer has committed files whose keys this one has not looked at; look, and commit again.
    #[error("the table has reached version {version}, which the writer does not know")]
    Behind {
        /// The version it has reached.
        version: u64,
    },
    /// The change was planned against something that is no longer so; look again.
    #[error("{0} has changed meanwhile")]
    Changed(&'static str),
    /// As many of these are under way as may be; later there will be room.
    #[error("{max} {what} are under way, and no more may be")]
    Crowded {
        /// What kind of thing.
        what: &'static str,
        /// The bound.
        max: u64,
    },
    /// A data file that names another tenant or table than what it came with, or whose rows do not start on its day.
    /// Stored, it would be invisible or in the wrong hands; so nothing was stored.
    #[error("the data file {file} does not belong where it was put")]
    Misfiled {
        /// Which.
        file: FileId,
    },
    /// What is stored does not read back: a broken row or a newer version's.
    #[error("the catalog holds {what} that cannot be read: {why}")]
    Corrupt {
        /// Which column.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The schema could not be brought up to date.
    #[error("the catalog's schema could not be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database is away, full, locked or refuses.
    #[error("the catalog's database failed")]
    Database(#[from] sqlx::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Exists { what } => Self::new(Code::Conflict, format!("{what} exists already; choose another.")),
            Error::Crowded { what, max } => {
                Self::new(Code::RateLimited, format!("{max} {what} are under way already; try again in a minute."))
                    .retry_after(Duration::from_secs(60))
            }
            Error::Fenced { .. } | Error::Behind { .. } | Error::Changed(_) | Error::Database(_) => {
                Self::unavailable("The catalog cannot be used right now; try again.")
            }
            Error::Misfiled { .. } | Error::Corrupt { .. } | Error::Migrate(_) => Self::internal(),
        }
    }
}
