//! Finding the database, settling each connection, and bringing the schema up to date.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AnyPool, Connection, raw_sql};

use super::{Catalog, Flavor};
use crate::config::Config;
use crate::error::Error;

/// How long a call waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// A commit returns once it is on disk, also in WAL mode (`synchronous`). Whoever finds the file locked waits ten seconds.
const SQLITE_SESSION: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; \
    PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";

/// So that a statement that takes the wrong pool fails in the first test instead of waiting behind the writer.
const SQLITE_READS_ONLY: &str = "PRAGMA query_only = ON;";

/// No statement, lock or forgotten transaction holds the others up for long.
const POSTGRES_SESSION: &str = "SET application_name = 'spanlake'; SET statement_timeout = '30s'; \
    SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';";

/// A step of a migration may take as long as it needs, but not wait long for a lock while others queue behind it.
const POSTGRES_MIGRATION: &str = "SET application_name = 'spanlake'; SET lock_timeout = '10s';";

/// As [`Catalog::open`].
pub(super) async fn open(config: &Config) -> Result<Catalog, Error> {
    // Drivers are sqlx's one global. This sets the same list whoever calls, so nothing depends on the order.
    sqlx::any::install_default_drivers();
    if let Some(path) = config.url.strip_prefix("sqlite:") {
        return open_sqlite(path.strip_prefix("//").unwrap_or(path), config.connections_max).await;
    }
    if config.url.starts_with("postgres://") || config.url.starts_with("postgresql://") {
        return open_postgres(&config.url, config.connections_max).await;
    }
    Err(misconfigured("the catalog must be sqlite:PATH or postgres://…"))
}

async fn open_sqlite(path: &str, connections_max: u32) -> Result<Catalog, Error> {
    let url = sqlite_url(create(path).await?);
    migrate(&url, SQLITE_SESSION).await?;
    // One writer, because SQLite lets in one at a time: in our queue they wait in order, in its they poll.
    let write = pool(1, &[SQLITE_SESSION]).connect(&url).await?;
    let read = pool(connections_max, &[SQLITE_SESSION, SQLITE_READS_ONLY]).connect(&url).await?;
    Ok(Catalog { flavor: Flavor::Sqlite, read, write, act: None })
}

async fn open_postgres(url: &str, connections_max: u32) -> Result<Catalog, Error> {
    migrate(url, POSTGRES_MIGRATION).await?;
    let pool: AnyPool = pool(connections_max, &[POSTGRES_SESSION]).connect(url).await?;
    Ok(Catalog { flavor: Flavor::Postgres, read: pool.clone(), write: pool, act: None })
}

fn pool(connections_max: u32, session: &'static [&'static str]) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(connections_max.max(1)).acquire_timeout(ACQUIRE_TIMEOUT).after_connect(
        move |connection, _| {
            Box::pin(async move {
                for settings in session {
                    raw_sql(*settings).execute(&mut *connection).await?;
                }
                Ok(())
            })
        },
    )
}

/// On a connection of its own, before the pool: steps may run longer than any statement of ours.
async fn migrate(url: &str, session: &'static str) -> Result<(), Error> {
    let mut connection = AnyConnection::connect(url).await?;
    raw_sql(session).execute(&mut connection).await?;
    migrations().run(&mut connection).await.map_err(Error::Migrate)?;
    connection.close().await?;
    Ok(())
}

fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("../../migrations");
    // A process of the previous version may start after the next version has moved the schema on.
    migrations.set_ignore_missing(true);
    migrations
}

/// Makes the file if it is missing: password hashes are in it, so only its owner may read it. Answers its absolute path.
async fn create(path: &str) -> Result<PathBuf, Error> {
    if path.is_empty() || path == ":memory:" || path.contains('?') {
        return Err(misconfigured("the catalog's sqlite:PATH must be a plain path; parameters are set by us"));
    }
    let path = PathBuf::from(path);
    tokio::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .await
        .map_err(|cause| unreachable_file(&path, &cause))?;
    tokio::fs::canonicalize(&path).await.map_err(|cause| unreachable_file(&path, &cause))
}

/// sqlx takes a URL, where `?`, `#`, `%` and spaces mean something else than in a path.
fn sqlite_url(path: PathBuf) -> String {
    let mut url = String::from("sqlite://");
    for byte in path.into_os_string().into_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => url.push(char::from(byte)),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

fn misconfigured(why: &'static str) -> Error {
    Error::Database(sqlx::Error::Configuration(why.into()))
}

fn unreachable_file(path: &std::path::Path, cause: &io::Error) -> Error {
    Error::Database(sqlx::Error::Io(io::Error::new(cause.kind(), format!("{}: {cause}", path.display()))))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::row::Columns as _;
    use super::*;

    /// A folder for one test, named by it and gone with it.
    pub(in crate::sql) struct Folder(PathBuf);

    impl Folder {
        pub(in crate::sql) fn new(test: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("spanlake_catalog_{test}_{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
        pub(in crate::sql) fn config(&self) -> Config {
            Config::new(format!("sqlite:{}", self.0.join("catalog.db").display()))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_path_is_taken_literally_whatever_is_in_it() {
        assert_eq!(sqlite_url("/data/my files/100%?#.db".into()), "sqlite:///data/my%20files/100%25%3F%23.db");
    }

    #[tokio::test]
    async fn every_connection_is_durable_and_checks_references() {
        let folder = Folder::new("settings");
        let catalog = open(&folder.config()).await.unwrap();
        for pool in [&catalog.read, &catalog.write] {
            let journal = sqlx::query("PRAGMA journal_mode").fetch_one(pool).await.unwrap();
            assert_eq!(journal.text("journal_mode").unwrap(), "wal");
            // 2 is FULL.
            for (pragma, column, value) in [
                ("PRAGMA synchronous", "synchronous", 2),
                ("PRAGMA foreign_keys", "foreign_keys", 1),
                ("PRAGMA busy_timeout", "timeout", 10_000),
            ] {
                let setting = sqlx::query(pragma).fetch_one(pool).await.unwrap();
                assert_eq!(setting.integer(column).unwrap(), value, "{pragma}");
            }
        }
        assert!(sqlx::query("DELETE FROM tenants").execute(&catalog.read).await.is_err());
    }
}
