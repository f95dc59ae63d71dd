//! Exports in real warehouses: loaded and merged run by run as docs/exports.md says, they hold what the API shows.

mod duckdb;
mod postgres;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use spanlake_testkit::otlp::{self, number, span_id, text, trace_id};
use spanlake_testkit::{Dice, ManualClock};

use self::duckdb::DuckDb;
use self::postgres::Postgres;
use crate::cluster::Cluster;
use crate::exports::{ask, exporter, folder, manifest};

const WINDOWS: u64 = 6;
/// So few that windows meet in them: spans change, and traces come back after they were deleted.
const TRACES: usize = 7;
const SPANS: usize = 5;

/// Where runs of an export are merged.
trait Warehouse {
    /// Of the files that it takes, with what they are packed with.
    const FORMAT: [&'static str; 2];
    /// Merges a run, which lies in this folder and has this manifest.
    fn merge(&self, folder: &Path, manifest: &Value);
    /// `[trace_id, span_id, name, input_tokens, output_tokens, cost]` of each span.
    fn spans(&self) -> Vec<Value>;
    /// `[spans, input_tokens, output_tokens, cost]` of all of them.
    fn sums(&self) -> Value;
    /// Each trace, as [`TRACE_FIELDS`] has it.
    fn traces(&self) -> Vec<Value>;
}

/// Of a trace, in the API's words; dollars last.
const TRACE_FIELDS: [&str; 13] = [
    "id",
    "name",
    "status",
    "span_count",
    "error_count",
    "models",
    "session_id",
    "user_id",
    "tokens",
    "input_tokens",
    "output_tokens",
    "scores",
    "cost",
];

#[tokio::test]
async fn postgres_holds_what_the_api_shows_after_each_window() {
    follows(Postgres::new().await, "spans", 1).await;
}

#[tokio::test]
async fn postgres_holds_the_traces_that_the_api_shows_after_each_window() {
    follows(Postgres::new().await, "traces", 3).await;
}

#[tokio::test]
async fn duckdb_holds_what_the_api_shows_after_each_window() {
    if let Some(duckdb) = duckdb() {
        follows(duckdb, "spans", 2).await;
    }
}

#[tokio::test]
async fn duckdb_holds_the_traces_that_the_api_shows_after_each_window() {
    if let Some(duckdb) = duckdb() {
        follows(duckdb, "traces", 4).await;
    }
}

fn duckdb() -> Option<DuckDb> {
    let found = DuckDb::find();
    if found.is_none() {
        eprintln!("skipped: python3 has no duckdb (pip install duckdb, or name another in SPANLAKE_TEST_PYTHON)");
    }
    found
}

async fn follows(warehouse: impl Warehouse, table: &str, seed: u64) {
    let clock = Arc::new(ManualClock::at(spanlake_testkit::captured_at()));
    let cluster = Cluster::with_clock(clock.clone()).await;
    let (_, key) = exporter(&cluster).await;
    let [format, compression] = warehouse_format(&warehouse);
    let body = json!({
        "table": table, "format": format, "compression": compression, "schedule": "*/5 * * * *",
        "destination": {"type": "file", "path": "warehouse"},
    });
    let dice = Dice::new(seed);
    send(&cluster, &key, &dice, 12).await;
    let id = ask(&cluster.client, &key, &body).await;
    let mut scores = Vec::new();
    for run in 1..=WINDOWS {
        if run > 1 {
            if dice.chance(60) {
                delete(&cluster, &key, &dice).await;
            }
            // Now and then nothing of a trace changes but its scores.
            send(&cluster, &key, &dice, 1 + dice.below(6)).await;
            score(&cluster, &key, &dice, &mut scores).await;
        }
        clock.advance(Duration::from_secs(301));
        let manifest = manifest(&cluster.client, &key, &id, run).await;
        warehouse.merge(&folder(&cluster.exports(), &manifest), &manifest);
        let context = format!("after run {run} of seed {seed}");
        match table {
            "spans" => holds_spans(&warehouse, &cluster, &key, &context).await,
            _ => holds_traces(&warehouse, &cluster, &key, &context).await,
        }
    }
    cluster.stop().await;
}

async fn holds_spans(warehouse: &impl Warehouse, cluster: &Cluster, key: &str, context: &str) {
    let shown = cluster.client.get("/v1/spans?limit=1000", key).await.rows();
    let shown = values(&shown, &["trace_id", "id", "name", "input_tokens", "output_tokens", "cost"]);
    let held = warehouse.spans();
    assert_eq!(held.len(), shown.len(), "{context}");
    assert_eq!(comparable(held), comparable(shown), "{context}");
    let summary = cluster.client.get("/v1/metrics", key).await.data()["summary"].clone();
    let sums = ["total_requests", "input_tokens", "output_tokens", "total_cost"].map(|field| summary[field].clone());
    assert_eq!(row(&warehouse.sums()), row(&Value::Array(sums.to_vec())), "sums {context}");
}

async fn holds_traces(warehouse: &impl Warehouse, cluster: &Cluster, key: &str, context: &str) {
    let shown = cluster.client.get("/v1/traces?limit=1000", key).await.rows();
    let shown = values(&shown, &TRACE_FIELDS);
    let held = warehouse.traces();
    assert_eq!(held.len(), shown.len(), "{context}");
    assert_eq!(comparable(held), comparable(shown), "{context}");
}

fn values(rows: &[Value], fields: &[&str]) -> Vec<Value> {
    rows.iter().map(|row| fields.iter().map(|field| row[*field].clone()).collect()).collect()
}

/// The columns by which rows of a run are merged.
fn key(manifest: &Value) -> Vec<&str> {
    manifest["key"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

/// Scores of a trace that is there, so that something has changed, and of a span without its trace; and one that goes.
async fn score(cluster: &Cluster, key: &str, dice: &Dice, given: &mut Vec<String>) {
    if !given.is_empty() && dice.chance(40) {
        let gone = given.swap_remove(dice.below(given.len()));
        let answer = cluster.client.delete(&format!("/v1/scores/{gone}"), key).await;
        assert!(answer.status == 204 || answer.status == 404, "its trace may be deleted: {}", answer.text());
    }
    let traces = cluster.client.get("/v1/traces?limit=1000", key).await.rows();
    let trace = traces[dice.below(traces.len())]["id"].as_str().unwrap();
    // The same id is of the same thing always.
    for score in [
        json!({"id": format!("of-{trace}-{}", dice.below(2)), "trace_id": trace, "name": "good", "score": dice.below(100)}),
        json!({"id": "of-a-span", "span_id": span_id(101), "name": "good", "score": dice.below(100)}),
    ] {
        let answer = cluster.client.post("/v1/scores", key, &score).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        given.push(score["id"].as_str().unwrap().to_owned());
    }
}

fn warehouse_format<W: Warehouse>(_: &W) -> [&'static str; 2] {
    W::FORMAT
}

/// Calls of a model: each a trace of its own kind of work, new ones and new versions of old ones, on two days.
async fn send(cluster: &Cluster, key: &str, dice: &Dice, count: usize) {
    for _ in 0..count {
        let (trace, span) = (1 + dice.below(TRACES), 1 + dice.below(SPANS));
        // The day is the span's, whichever version of it comes.
        let start = cluster.now().minus(Duration::from_secs(60 + if span % 2 == 0 { 86_400 } else { 0 }));
        let tokens = |most| i64::try_from(dice.below(most)).unwrap();
        let name = format!("call, \"{}\"", dice.below(1_000));
        let mut call = otlp::span(trace_id(trace as u128), span_id(100 * trace as u64 + span as u64), &name, start);
        call.attributes = vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", "gpt-4o"),
            text("gen_ai.output.messages", "=an answer\nof two lines"),
            number("gen_ai.usage.input_tokens", tokens(10_000)),
            number("gen_ai.usage.output_tokens", tokens(1_000)),
            text("session.id", "a session"),
            text("user.id", "a user"),
        ];
        cluster.client.ingest(key, otlp::protobuf(vec![call])).await;
    }
}

async fn delete(cluster: &Cluster, key: &str, dice: &Dice) {
    let traces = cluster.client.get("/v1/traces?limit=1000", key).await.rows();
    if traces.is_empty() {
        return;
    }
    let trace = traces[dice.below(traces.len())]["id"].as_str().unwrap().to_owned();
    let deleted = cluster.client.delete(&format!("/v1/traces/{trace}"), key).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text());
}

/// Rows in one order, and dollars to the nano: one holds binary fractions and another decimals.
fn comparable(rows: impl IntoIterator<Item = Value>) -> BTreeSet<String> {
    rows.into_iter().map(|values| row(&values)).collect()
}

fn row(values: &Value) -> String {
    let mut values = values.as_array().unwrap().clone();
    let cost = values.pop().unwrap();
    let nanos = (cost.as_f64().unwrap_or_default() * 1e9).round();
    format!("{} {nanos}", Value::Array(values))
}

/// The files of a run of this kind.
fn files(folder: &Path, manifest: &Value, kind: &str) -> Vec<PathBuf> {
    let files = manifest["files"].as_array().unwrap().iter();
    files.filter(|file| file["kind"] == kind).map(|file| folder.join(file["path"].as_str().unwrap())).collect()
}
