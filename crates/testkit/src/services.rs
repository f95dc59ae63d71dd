//! The databases that `make test` starts.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};

use crate::folder::unique;

/// The private Postgres of this run.
///
/// # Panics
/// When there is none: a test that needs one fails, it is not skipped.
pub fn postgres_url() -> String {
    variable("SPANLAKE_TEST_POSTGRES_URL")
}

/// The private Redis of this run.
///
/// # Panics
/// When there is none: a test that needs one fails, it is not skipped.
pub fn redis_url() -> String {
    variable("SPANLAKE_TEST_REDIS_URL")
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration; this is theirs")]
fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run through `make test` (or scripts/with-services COMMAND)"))
}

/// An empty Postgres database, dropped with this.
#[derive(Debug)]
pub struct Database {
    url: String,
    server: String,
    name: String,
}

impl Database {
    /// A new one.
    ///
    /// # Panics
    /// Without a Postgres.
    pub async fn create() -> Self {
        let server = postgres_url();
        let name = format!("spanlake_test_{}", unique());
        run(&server, format!("CREATE DATABASE {name}")).await;
        let (host, _) = server.rsplit_once('/').unwrap();
        Self { url: format!("{host}/{name}"), server, name }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    /// On a thread of its own, since a drop cannot wait for a future and may be inside a runtime.
    fn drop(&mut self) {
        let (server, statement) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(&server, statement));
        });
        // The whole server goes at the end of the run; a failure here is not the test's.
        let _ = dropping.join();
    }
}

async fn run(server: &str, statement: String) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_is_ones_own_and_goes_with_its_owner() {
        let (one, two) = (Database::create().await, Database::create().await);
        assert_ne!(one.url(), two.url());
        let url = one.url().to_owned();
        run(&url, "CREATE TABLE thing (id int)".into()).await;
        drop(one);
        assert!(PgConnection::connect(&url).await.is_err());
    }
}
