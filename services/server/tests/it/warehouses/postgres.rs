//! Postgres, loaded from CSV by `psql` with `COPY`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use spanlake_testkit::Database;

use super::{Warehouse, files, key};

/// As docs/exports.md has them.
const TABLES: &str = r#"CREATE TABLE spans (
    trace_id text, span_name text, type text, model text, latency_ms double precision, "timestamp" timestamptz, input text,
    output text, metadata jsonb, span_id text, parent_span_id text, kind text, status text, user_id text, session_id text, tags jsonb,
    input_tokens bigint, output_tokens bigint, cost numeric, app_id text, PRIMARY KEY (app_id, trace_id, span_id));
CREATE TABLE traces (
    id text, app_id text, agent_id text, name text, status text, start timestamptz, "end" timestamptz, latency_ms double precision,
    cost numeric, tokens bigint, input_tokens bigint, output_tokens bigint, span_count bigint, error_count bigint, models jsonb,
    session_id text, user_id text, environment text, tags jsonb, input_preview text, output_preview text, scores jsonb, metadata jsonb,
    trace_id text, PRIMARY KEY (app_id, trace_id));"#;

pub(super) struct Postgres(Database);

impl Postgres {
    pub(super) async fn new() -> Self {
        let postgres = Self(Database::create().await);
        postgres.run(TABLES);
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
        let (table, key) = (manifest["table"].as_str().unwrap(), key(manifest));
        let columns: Vec<_> =
            manifest["schema"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        let others: Vec<_> =
            columns.iter().filter(|name| !key.contains(name)).map(|name| format!("\"{name}\"")).collect();
        let set = match others.as_slice() {
            // A run of deletes alone has no columns.
            [] => "NOTHING".to_owned(),
            others => {
                let new = others.iter().map(|column| format!("EXCLUDED.{column}")).collect::<Vec<_>>().join(", ");
                format!("UPDATE SET ({}) = ({new})", others.join(", "))
            }
        };
        let texts = key.iter().map(|name| format!("{name} text")).collect::<Vec<_>>().join(", ");
        let fits = key.iter().map(|name| format!("(gone.{name} IS NULL OR gone.{name} = {table}.{name})"));
        self.run(&format!(
            "BEGIN;
            CREATE TEMP TABLE gone ({texts}) ON COMMIT DROP;
            CREATE TEMP TABLE arrived (LIKE {table}) ON COMMIT DROP;
{}{}
            DELETE FROM {table} USING gone WHERE {};
            INSERT INTO {table} SELECT * FROM arrived ON CONFLICT ({}) DO {set};
            COMMIT;",
            copies("gone", folder, manifest, "deletes"),
            copies("arrived", folder, manifest, "rows"),
            fits.collect::<Vec<_>>().join(" AND "),
            key.join(", "),
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
    fn traces(&self) -> Vec<Value> {
        self.rows(
            "SELECT json_build_array(trace_id, name, status, span_count, error_count, models, session_id, user_id, tokens, \
             input_tokens, output_tokens, scores, cost) FROM traces;",
        )
    }
}
