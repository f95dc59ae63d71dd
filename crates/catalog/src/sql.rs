//! The catalog in a SQL database: SQLite or Postgres, the same statements.
//!
//! ```text
//!   Catalog ─┬─ read  ──► SQLite: a few connections that cannot write   │ Postgres: one pool
//!            └─ write ──► SQLite: one connection, first come first served │ for both
//! ```
//!
//! Why sqlx's `Any` driver: with it each statement is written and tested once. Our columns are text and 64-bit integers,
//! which is what `Any` carries faithfully; what differs between the two databases is in [`Flavor`] and nowhere else.

mod accounts;
mod audit;
mod changes;
mod commit;
mod connect;
mod deleted_apps;
mod erasures;
mod exports;
mod files;
mod jobs;
mod keys;
mod people;
mod prices;
mod retention;
mod row;
mod sessions;
mod sweeps;
mod tenancy;

use std::sync::Arc;

use sqlx::{Any, AnyPool, Transaction};

use crate::audit::Act;
use crate::config::Config;
use crate::error::Error;

/// What differs between the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavor {
    Sqlite,
    Postgres,
}

impl Flavor {
    /// Starts a transaction that may write. SQLite takes the write lock at once: a transaction that turned from reading to
    /// writing would fail without waiting when another had written in between.
    const fn begin_write(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        }
    }
    /// Starts a transaction whose reads all see one instant.
    const fn begin_read(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN DEFERRED",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

/// The catalog in SQLite or Postgres. Cheap to clone; all clones share the connections.
#[derive(Clone, Debug)]
pub struct Catalog {
    flavor: Flavor,
    read: AnyPool,
    write: AnyPool,
    /// Whose doings are put on record; `None`: nobody's, as for what we do ourselves.
    act: Option<Arc<Act>>,
}

impl Catalog {
    /// Connects, and brings the schema up to date. A SQLite file is made when missing, readable by its owner only.
    ///
    /// # Errors
    /// [`Error::Database`] when the URL is neither `sqlite:PATH` nor `postgres://…`, the folder of a SQLite file is missing,
    /// or the server cannot be reached; [`Error::Migrate`] when the schema cannot be brought up to date.
    pub async fn open(config: &Config) -> Result<Self, Error> {
        connect::open(config).await
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`Error::Database`] when there is none within ten seconds.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT 1").execute(&self.read).await?;
        Ok(())
    }

    /// Waits for what is running, then closes every connection. Calls made later fail.
    pub async fn close(&self) {
        self.write.close().await;
        self.read.close().await;
    }

    async fn begin_read(&self) -> Result<Transaction<'static, Any>, Error> {
        Ok(self.read.begin_with(self.flavor.begin_read()).await?)
    }

    async fn begin_write(&self) -> Result<Transaction<'static, Any>, Error> {
        Ok(self.write.begin_with(self.flavor.begin_write()).await?)
    }
}
