//! Exports into files: what lies in the folder is what the API shows.

mod killed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use spanlake_model::{Clock as _, Timestamp};
use spanlake_testkit::otlp::{self, span_id, text as attribute, trace_id};
use spanlake_testkit::{ManualClock, eventually};

use crate::client::Client;
use crate::cluster::Cluster;
use crate::tenant::{Tenant, text};

/// A tenant with a key for everything.
pub(crate) async fn exporter(cluster: &Cluster) -> (Tenant, String) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read", "export", "score", "admin"]).await;
    (tenant, key)
}

async fn send(cluster: &Cluster, key: &str, trace: u128, span: u64, name: &str, start: Timestamp) {
    let mut sent = otlp::span(trace_id(trace), span_id(span), name, start);
    sent.attributes =
        vec![attribute("gen_ai.operation.name", "chat"), attribute("gen_ai.output.messages", "an answer")];
    cluster.client.ingest(key, otlp::protobuf(vec![sent])).await;
}

pub(crate) async fn ask(client: &Client, key: &str, body: &Value) -> String {
    let answer = client.post("/v1/exports", key, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    text(&answer.data(), "/id")
}

/// The manifest of a run, once it is there.
pub(crate) async fn manifest(client: &Client, key: &str, id: &str, run: u64) -> Value {
    let path = format!("/v1/exports/{id}/manifest?run={run}");
    eventually("the run's manifest", || async {
        let answer = client.get(&path, key).await;
        (answer.status == 200).then(|| answer.data())
    })
    .await
}

/// Where the run with this manifest lies.
pub(crate) fn folder(exports: &Path, manifest: &Value) -> PathBuf {
    let (tenant, id) = (text(manifest, "/tenant_id"), text(manifest, "/export_id"));
    exports.join(tenant).join("warehouse").join(id).join(format!("run={:06}", manifest["run"].as_u64().unwrap()))
}

/// The lines of a run's files of this kind, each file held against the manifest.
fn lines(folder: &Path, manifest: &Value, kind: &str) -> Vec<Value> {
    let of_kind = manifest["files"].as_array().unwrap().iter().filter(|file| file["kind"] == kind);
    let read = |file: &Value| {
        let bytes = std::fs::read(folder.join(file["path"].as_str().unwrap())).unwrap();
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((&file["sha256"], &file["bytes"]), (&json!(digest), &json!(bytes.len())));
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    of_kind.flat_map(read).collect()
}

pub(crate) async fn an_export_lies_in_files_that_add_up_with_the_api(cluster: &Cluster) {
    let (tenant, key) = exporter(cluster).await;
    let yesterday = cluster.now().minus(Duration::from_hours(24));
    for number in 1..=6 {
        let start = if number % 2 == 0 { yesterday } else { cluster.a_minute_ago() };
        send(cluster, &key, 0xe1 + u128::from(number % 3), number, "sent", start).await;
        if number == 3 {
            cluster.has_files(&tenant.id, 2).await;
            // What is replaced is in no file twice.
            send(cluster, &key, 0xe2, 1, "sent again", cluster.a_minute_ago()).await;
        }
    }
    let given = cluster
        .client
        .post("/v1/scores", &key, &json!({"trace_id": trace_id(0xe1), "name": "good", "score": 0.5}))
        .await;
    assert_eq!(given.status, 201, "{}", given.text());
    for (table, rows) in [("spans", 6), ("scores", 1)] {
        let body = json!({
            "table": table, "format": "jsonl", "compression": "none", "destination": {"type": "file", "path": "warehouse"},
        });
        let id = ask(&cluster.client, &key, &body).await;
        let manifest = manifest(&cluster.client, &key, &id, 1).await;
        assert_eq!((&manifest["rows"], &manifest["deletes"]), (&json!(rows), &json!(0)), "{table}");
        let folder = folder(&cluster.exports(), &manifest);
        let exported = lines(&folder, &manifest, "rows");
        assert_eq!(exported.len(), rows);
        let shown = cluster.client.get(&format!("/v1/{table}"), &key).await.rows();
        // A span's id is `span_id` in a line of the export and `id` in the API.
        let own = if table == "spans" { "span_id" } else { "id" };
        let sorted = |rows: &[Value], field: &str| {
            let mut ids: Vec<_> = rows.iter().map(|row| row[field].as_str().unwrap().to_owned()).collect();
            ids.sort();
            ids
        };
        assert_eq!(sorted(&exported, own), sorted(&shown, "id"), "{table}");
        let done = cluster.client.get(&format!("/v1/exports/{id}"), &key).await.data();
        assert_eq!((&done["status"], &done["last_manifest"]["rows"]), (&json!("done"), &json!(rows)));
    }
    let (_, stranger) = exporter(cluster).await;
    assert_eq!(cluster.client.get("/v1/exports", &stranger).await.rows(), Vec::<Value>::new());
}

/// Rows by span, merged run by run.
#[derive(Default)]
struct Warehouse(BTreeMap<(String, String), String>);

impl Warehouse {
    fn merge(&mut self, folder: &Path, manifest: &Value) {
        for delete in lines(folder, manifest, "deletes") {
            let fits = |wanted: &Value, is: &String| wanted.as_str().is_none_or(|wanted| wanted == is);
            self.0.retain(|(trace, span), _| !(fits(&delete["trace_id"], trace) && fits(&delete["span_id"], span)));
        }
        for row in lines(folder, manifest, "rows") {
            let word = |field: &str| row[field].as_str().unwrap().to_owned();
            self.0.insert((word("trace_id"), word("span_id")), word("span_name"));
        }
    }
}

async fn shown(client: &Client, key: &str) -> BTreeMap<(String, String), String> {
    let rows = client.get("/v1/spans?limit=1000", key).await.rows();
    let word = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    rows.iter().map(|row| ((word(row, "trace_id"), word(row, "id")), word(row, "name"))).collect()
}

/// In one process, with a clock that the test moves from window to window.
#[tokio::test]
async fn a_schedule_tells_what_comes_changes_and_goes() {
    let clock = Arc::new(ManualClock::at(spanlake_testkit::captured_at()));
    let cluster = Cluster::with_clock(clock.clone()).await;
    let (_, key) = exporter(&cluster).await;
    let body = json!({
        "format": "jsonl", "compression": "none", "schedule": "*/5 * * * *",
        "destination": {"type": "file", "path": "warehouse"},
    });
    let mut warehouse = Warehouse::default();
    let send = async |trace: u128, span: u64, name: &str| {
        send(&cluster, &key, trace, span, name, clock.now().minus(Duration::from_secs(60))).await;
    };
    for number in 1..=4 {
        send(1 + u128::from(number % 2), number, "first").await;
    }
    let id = ask(&cluster.client, &key, &body).await;
    for run in 1..=4 {
        match run {
            // A late span, one that changes, one of a trace that is deleted, and one of it that comes after.
            2 => {
                send(3, 9, "late").await;
                send(1, 2, "changed").await;
            }
            3 => {
                let deleted = cluster.client.delete(&format!("/v1/traces/{}", trace_id(2)), &key).await;
                assert_eq!(deleted.status, 204, "{}", deleted.text());
            }
            4 => send(2, 1, "new in a deleted trace").await,
            _ => {}
        }
        clock.advance(Duration::from_secs(301));
        let manifest = manifest(&cluster.client, &key, &id, run).await;
        warehouse.merge(&folder(&cluster.exports(), &manifest), &manifest);
        assert_eq!(warehouse.0, shown(&cluster.client, &key).await, "after run {run}");
        let told = (manifest["rows"].as_u64().unwrap(), manifest["deletes"].as_u64().unwrap());
        assert_eq!(told, [(4, 0), (2, 0), (0, 1), (1, 0)][usize::try_from(run).unwrap() - 1], "run {run}");
    }
    let cancelled = cluster.client.post(&format!("/v1/exports/{id}/cancel"), &key, &json!({})).await;
    assert_eq!((cancelled.status, &cancelled.data()["status"]), (200, &json!("cancelled")));
    cluster.stop().await;
}
