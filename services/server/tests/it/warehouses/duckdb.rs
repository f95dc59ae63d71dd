//! DuckDB, which reads Parquet in place; through its Python package.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use spanlake_testkit::TemporaryFolder;

use super::{Warehouse, files};

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

    /// The statements of docs/exports.md.
    fn merge(&self, folder: &Path, manifest: &Value) {
        let run = folder.display();
        let rows = format!("read_parquet('{run}/tenant=*/date=*/*.parquet', hive_partitioning = false)");
        let mut statements = String::new();
        if manifest["run"] == 1 {
            statements += &format!(
                "CREATE TABLE spans AS FROM {rows};
                ALTER TABLE spans ADD PRIMARY KEY (app_id, trace_id, span_id);"
            );
        }
        statements += "BEGIN;";
        if !files(folder, manifest, "deletes").is_empty() {
            statements += &format!(
                "DELETE FROM spans USING (FROM read_parquet('{run}/deletes/*.parquet')) AS gone
                 WHERE spans.app_id = gone.app_id
                   AND (gone.trace_id IS NULL OR gone.trace_id = spans.trace_id)
                   AND (gone.span_id IS NULL OR gone.span_id = spans.span_id);"
            );
        }
        if !files(folder, manifest, "rows").is_empty() {
            statements += &format!(
                "MERGE INTO spans USING (FROM {rows}) AS new
                   ON (spans.app_id = new.app_id AND spans.trace_id = new.trace_id AND spans.span_id = new.span_id)
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
}
