//! A database per test.

use std::path::PathBuf;

use spanlake_catalog::{Catalog, Config};
use spanlake_model::{Entropy as _, SystemEntropy};

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, PgConnection, Row as _, query, raw_sql};

/// An empty database of its own, gone when dropped (SQLite) or removed (Postgres; its whole server is private to the run).
pub(crate) struct Database {
    pub(crate) url: String,
    place: Place,
}

enum Place {
    Folder(PathBuf),
    Server { url: String, name: String },
}

fn unique() -> String {
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random);
    format!("spanlake_catalog_{:016x}", u64::from_le_bytes(random))
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        // A space and a question mark: the path goes through a URL on its way to SQLite.
        let folder = std::env::temp_dir().join(unique()).join("a folder #1");
        std::fs::create_dir_all(&folder).unwrap();
        Self { url: format!("sqlite:{}", folder.join("catalog.db").display()), place: Place::Folder(folder) }
    }

    #[expect(clippy::disallowed_methods, reason = "tests have no configuration; this is theirs")]
    pub(crate) async fn postgres() -> Self {
        let server = std::env::var("SPANLAKE_TEST_POSTGRES_URL").expect(
            "SPANLAKE_TEST_POSTGRES_URL is not set. Run the tests through `make test`, which starts a private Postgres.",
        );
        let name = unique();
        let mut connection = PgConnection::connect(&server).await.unwrap();
        raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        let (host, _) = server.rsplit_once('/').expect("the URL ends in a database");
        Self { url: format!("{host}/{name}"), place: Place::Server { url: server, name } }
    }

    pub(crate) async fn open(&self) -> Catalog {
        Catalog::open(&Config::new(&self.url)).await.unwrap()
    }

    /// How many rows of each table that has this text column hold this value there.
    pub(crate) async fn rows_with(&self, column: &str, value: &str) -> Vec<(String, u64)> {
        let mut connection = self.connect().await;
        let tables = match &self.place {
            Place::Folder(_) => {
                "SELECT m.name AS table_name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE c.name = $1"
            }
            Place::Server { .. } => {
                "SELECT CAST(table_name AS TEXT) AS table_name FROM information_schema.columns \
                 WHERE table_schema = 'public' AND column_name = $1"
            }
        };
        let tables = query(tables).bind(column).fetch_all(&mut connection).await.unwrap();
        assert!(!tables.is_empty());
        let mut counted = Vec::new();
        for table in tables {
            let table: String = table.get("table_name");
            let count = format!("SELECT COUNT(*) AS rows_there FROM {table} WHERE {column} = $1");
            let row = query(AssertSqlSafe(count)).bind(value).fetch_one(&mut connection).await.unwrap();
            let rows: i64 = row.get("rows_there");
            counted.push((table, rows.unsigned_abs()));
        }
        connection.close().await.unwrap();
        counted
    }

    /// Runs a statement past the catalog, to bring about what it would never do.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        let mut connection = self.connect().await;
        raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn connect(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        let url = self.url.replace(' ', "%20").replace('#', "%23");
        AnyConnection::connect(&url).await.unwrap()
    }

    pub(crate) async fn remove(self) {
        if let Place::Server { url, name } = &self.place {
            let mut connection = PgConnection::connect(url).await.unwrap();
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await.unwrap();
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Place::Folder(folder) = &self.place {
            let _ = std::fs::remove_dir_all(folder.parent().expect("it lies in a folder of its own"));
        }
    }
}
