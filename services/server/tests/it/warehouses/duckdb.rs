//! DuckDB, which reads Parquet in place; through its Python package.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use spanlake_testkit::TemporaryFolder;

use super::{Warehouse, files, key};

/// Runs what comes in and prints the rows of the last statement.
const PROGRAM: &str = "import sys, json, duckdb
db = duckdb.connect(sys.argv[1])
print(json.dumps(db.execute(sys.stdin.read()).fetchall()))";

pub(super) struct DuckDb {
    python: String,
    folder: TemporaryFolder,
}

impl DuckDb {
    /// `None` where there is none.
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration; this is theirs")]
    pub(super) fn find() -> Option<Self> {
        let python = std::env::var("SPANLAKE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let found = Command::new(&python).args(["-c", "import duckdb"]).stderr(Stdio::null()).status();
        found.is_ok_and(|status| status.success()).then(|| Self { python, folder: TemporaryFolder::new("duckdb") })
    }

    fn run(&self, statements: &str) -> Vec<Value> {
        let mut python = Command::new(&self.python)
            .args(["-c", PROGRAM])
            .arg(self.folder.path().join("warehouse.duckdb"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        python.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
        let done = python.wait_with_output().unwrap();
        assert!(done.status.success(), "{statements}\n{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    }
}

impl Warehouse for DuckDb {
    const FORMAT: [&'static str; 2] = ["parquet", "zstd"];

    /// The statements of docs/exports.md, with the manifest's table and key.
    fn merge(&self, folder: &Path, manifest: &Value) {
        let (run, table) = (folder.display(), manifest["table"].as_str().unwrap());
        let rows = format!("read_parquet('{run}/tenant=*/date=*/*.parquet', hive_partitioning = false)");
        let key = key(manifest);
        let mut statements = String::new();
        if manifest["run"] == 1 {
            statements += &format!(
                "CREATE TABLE {table} AS FROM {rows};
                ALTER TABLE {table} ADD PRIMARY KEY ({});",
                key.join(", ")
            );
        }
        statements += "BEGIN;";
        if !files(folder, manifest, "deletes").is_empty() {
            let fits = key.iter().map(|name| format!("(gone.{name} IS NULL OR gone.{name} = {table}.{name})"));
            statements += &format!(
                "DELETE FROM {table} USING (FROM read_parquet('{run}/deletes/*.parquet')) AS gone WHERE {};",
                fits.collect::<Vec<_>>().join(" AND ")
            );
        }
        if !files(folder, manifest, "rows").is_empty() {
            let same = key.iter().map(|name| format!("{table}.{name} = new.{name}")).collect::<Vec<_>>().join(" AND ");
            statements += &format!(
                "MERGE INTO {table} USING (FROM {rows}) AS new ON ({same})
                 WHEN MATCHED THEN UPDATE
                 WHEN NOT MATCHED THEN INSERT;"
            );
        }
        statements += "COMMIT; SELECT 1;";
        self.run(&statements);
    }

    fn spans(&self) -> Vec<Value> {
        self.run("SELECT trace_id, span_id, name, input_tokens, output_tokens, cost::DOUBLE FROM spans;")
    }

    fn sums(&self) -> Value {
        let sums = "SELECT count(*), coalesce(sum(input_tokens), 0)::BIGINT, coalesce(sum(output_tokens), 0)::BIGINT, sum(cost)::DOUBLE FROM spans;";
        self.run(sums).remove(0)
    }

    fn traces(&self) -> Vec<Value> {
        let rows = self.run(
            "SELECT json_array(trace_id, name, status, span_count, error_count, models, session_id, user_id, tokens, input_tokens,
                output_tokens, scores::JSON, cost::DOUBLE)::VARCHAR FROM traces;",
        );
        rows.iter().map(|row| serde_json::from_str(row[0].as_str().unwrap()).unwrap()).collect()
    }
}
