//! The real server, killed while it exports: after each window of a schedule a warehouse that merged the runs holds each row once.
//!
//! A window is five minutes at the least, so the test makes it end: while the server is down it takes the waiting export from the
//! catalog, as a server would in an hour, and gives it back as one whose last attempt failed and that is due now.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use spanlake_catalog::{AfterFailure, Catalog, Config, ExportFailure, Exports as _};
use spanlake_model::{Clock as _, Code, ExporterId, SystemClock, Timestamp};
use spanlake_testkit::otlp::{self, span_id, trace_id};
use spanlake_testkit::{Dice, SeededEntropy, TemporaryFolder, eventually};

use super::{Warehouse, ask, manifest, shown};
use crate::client::Client;
use crate::cluster::files_in;
use crate::crash::{begin_with, sign_up, stop};
use crate::tenant::text;

/// Unless `SPANLAKE_TEST_EXPORT_WINDOWS` says otherwise.
const WINDOWS: u64 = 4;
/// How often a window's run is killed at the most.
const KILLS_MAX: usize = 3;
/// A run has a file for each day of its rows, one of its deletes, and its manifest.
const DAYS: u64 = 5;
const SPANS: usize = 60;
const TRACES: usize = 12;
const SETTINGS: [(&str, &str); 4] = [
    ("SPANLAKE_EXPORT__FILE_BYTES", "1"),
    // A killed server's lease is over in a second.
    ("SPANLAKE_EXPORT__HEARTBEAT_MS", "250"),
    ("SPANLAKE_EXPORT__LOOK_INTERVAL_MS", "20"),
    // And counts as a failure.
    ("SPANLAKE_EXPORT__RETRY_MS", "50"),
];

#[tokio::test]
async fn kill_9_while_exporting_loses_no_row_and_doubles_none() {
    let windows = windows();
    let (folder, dice) = (TemporaryFolder::new("killed"), Dice::new(windows));
    let exports = folder.path().join("exports");
    let (mut server, mut client) = begin_with(folder.path(), &SETTINGS);
    let key = sign_up(&client).await;
    let source = Source { first: SystemClock.now().minus(Duration::from_secs(60)), key: key.clone() };
    source.send(&client, &dice, SPANS).await;
    let body = json!({
        "format": "jsonl", "compression": "none", "schedule": "@monthly", "destination": {"type": "file", "path": "warehouse"},
    });
    let id = ask(&client, &key, &body).await;
    let (mut warehouse, mut kills) = (Warehouse::default(), 0);
    for run in 1..=windows {
        if run > 1 {
            source.delete(&client, &dice).await;
            source.send(&client, &dice, 1 + dice.below(SPANS / 2)).await;
        }
        server.kill();
        make_due(folder.path()).await;
        (server, client) = begin_with(folder.path(), &SETTINGS);
        for _ in 0..1 + dice.below(KILLS_MAX) {
            has_written(&exports, run, dice.below(usize::try_from(DAYS).unwrap() + 3)).await;
            server.kill();
            kills += 1;
            (server, client) = begin_with(folder.path(), &SETTINGS);
        }
        let manifest = manifest(&client, &key, &id, run).await;
        let at = format!("after run {run} of {windows} windows, {kills} kills");
        holds_what_is_named(&super::folder(&exports, &manifest), &manifest, &at);
        warehouse.merge(&super::folder(&exports, &manifest), &manifest);
        assert_eq!(warehouse.0, shown(&client, &key).await, "{at}");
    }
    assert!(kills >= windows);
    stop(server).await;
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration; this is theirs")]
fn windows() -> u64 {
    std::env::var("SPANLAKE_TEST_EXPORT_WINDOWS").map_or(WINDOWS, |windows| windows.parse().unwrap())
}

/// The only export, which waits for its next window.
async fn make_due(folder: &Path) {
    let catalog = Catalog::open(&Config::new(format!("sqlite:{}", folder.join("catalog.db").display()))).await.unwrap();
    let now = SystemClock.now();
    let later = now.plus(Duration::from_hours(24 * 40));
    let owner = ExporterId::generate(&SystemClock, &SeededEntropy::new(1));
    let lease = catalog.claim_export(owner, later, later).await.unwrap().expect("it waits").lease;
    let failure: ExportFailure = (Code::ServiceUnavailable, "it is the test that fails it".to_owned()).into();
    catalog.fail_run(lease, failure, AfterFailure::Again(now), now).await.unwrap();
}

/// Waits until a run has put so many files, or its manifest.
async fn has_written(exports: &Path, run: u64, files: usize) {
    let is_of_run = |path: &PathBuf| path.to_string_lossy().contains(&format!("/run={run:06}/"));
    let count = |extension| files_in(exports, extension).into_iter().filter(is_of_run).count();
    let look = || std::future::ready((count("jsonl") >= files || count("json") > 0).then_some(()));
    eventually("files of the run", look).await;
}

/// Nothing that an attempt left behind is there.
fn holds_what_is_named(run: &Path, manifest: &Value, at: &str) {
    let named = manifest["files"].as_array().unwrap().iter().map(|file| run.join(text(file, "/path")));
    let mut named: Vec<_> = named.collect();
    let mut there = files_in(run, "jsonl");
    named.sort();
    there.sort();
    assert_eq!(there, named, "{at}");
}

/// What is exported: spans on several days, of which each change is a new version.
struct Source {
    first: Timestamp,
    key: String,
}

impl Source {
    /// So many, new or sent again.
    async fn send(&self, client: &Client, dice: &Dice, count: usize) {
        let span = |_| {
            let number = 1 + dice.below(SPANS) as u64;
            let start = self.first.minus(Duration::from_hours(24 * (number % DAYS)));
            let trace = trace_id(1 + u128::from(number) % TRACES as u128);
            otlp::span(trace, span_id(number), &format!("version {}", dice.number()), start)
        };
        // A span is in a request once.
        let mut spans: Vec<_> = (0..count).map(span).collect();
        spans.sort_by(|one, other| one.span_id.cmp(&other.span_id));
        spans.dedup_by(|one, other| one.span_id == other.span_id);
        client.ingest(&self.key, otlp::protobuf(spans)).await;
    }

    async fn delete(&self, client: &Client, dice: &Dice) {
        let traces = client.get("/v1/traces?limit=1000", &self.key).await.rows();
        let trace = text(&traces[dice.below(traces.len())], "/id");
        let deleted = client.delete(&format!("/v1/traces/{trace}"), &self.key).await;
        assert_eq!(deleted.status, 204, "{}", deleted.text());
    }
}
