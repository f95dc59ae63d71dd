//! Postgres, loaded from CSV by `psql` with `COPY`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use spanlake_testkit::Database;

use super::{Warehouse, files};

/// As docs/exports.md has it.
const TABLE: &str = r#"CREATE TABLE spans (
    trace_id text, span_name text, type text, model text, latency_ms double precision, "timestamp" timestamptz, input text,
    output text, metadata jsonb, span_id text, parent_span_id text, kind text, status text, user_id text, session_id text, tags jsonb,
    input_tokens bigint, output_tokens bigint, cost numeric, app_id text, PRIMARY KEY (app_id, trace_id, span_id));"#;
const COLUMNS: &str = r#"span_name, type, model, latency_ms, "timestamp", input, output, metadata, parent_span_id, kind, status, user_id,
    session_id, tags, input_tokens, output_tokens, cost"#;

pub(super) struct Postgres(Database);

impl Postgres {
    pub(super) async fn new() -> Self {
        let postgres = Self(Database::create().await);
        postgres.run(TABLE);
        postgres
    }

    /// What the statements print, a line a row.
    fn run(&self, statements: &str) -> String {
        let mut psql = Command::new("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", self.0.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql comes with Postgres; install postgresql-client");
        psql.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
        let done = psql.wait_with_output().unwrap();
        assert!(done.status.success(), "{statements}\n{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn rows(&self, select: &str) -> Vec<Value> {
        self.run(select).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// `\copy` of each file, which is on one line.
fn copies(table: &str, folder: &Path, manifest: &Value, kind: &str) -> String {
    let copy = |file: &Path| format!("\\copy {table} FROM '{}' WITH (FORMAT csv, HEADER match)\n", file.display());
    files(folder, manifest, kind).iter().map(|file| copy(file)).collect()
}

impl Warehouse for Postgres {
    const FORMAT: [&'static str; 2] = ["csv", "none"];

    fn merge(&self, folder: &Path, manifest: &Value) {
        let columns: Vec<_> = COLUMNS.split(',').map(str::trim).collect();
        let new: Vec<_> = columns.iter().map(|column| format!("EXCLUDED.{column}")).collect();
        self.run(&format!(
            "BEGIN;
            CREATE TEMP TABLE gone (app_id text, trace_id text, span_id text) ON COMMIT DROP;
            CREATE TEMP TABLE arrived (LIKE spans) ON COMMIT DROP;
{}{}
            DELETE FROM spans USING gone
             WHERE spans.app_id = gone.app_id AND (gone.trace_id IS NULL OR gone.trace_id = spans.trace_id) AND (gone.span_id IS NULL OR gone.span_id = spans.span_id);
            INSERT INTO spans SELECT * FROM arrived
            ON CONFLICT (app_id, trace_id, span_id) DO UPDATE SET ({}) = ({});
            COMMIT;",
            copies("gone", folder, manifest, "deletes"),
            copies("arrived", folder, manifest, "rows"),
            columns.join(", "),
            new.join(", "),
        ));
    }

    fn spans(&self) -> Vec<Value> {
        self.rows(
            "SELECT json_build_array(trace_id, span_id, span_name, input_tokens, output_tokens, cost) FROM spans;",
        )
    }

    fn sums(&self) -> Value {
        let sums = "SELECT json_build_array(count(*), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), sum(cost)) FROM spans;";
        self.rows(sums).remove(0)
    }
}
