//! A key ends when it is revoked, everywhere.

use std::time::Duration;

use serde_json::json;
use spanlake_testkit::eventually_within;
use spanlake_testkit::otlp::{self, span_id, trace_id};

use crate::client::PROTOBUF;
use crate::cluster::{Cluster, Form};
use crate::tenant::{Tenant, text};

/// What is promised, at the worst; within one process it is at once.
const REVOKED_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn a_revoked_key_is_refused_everywhere(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let client = &cluster.client;
    let new = json!({"name": "to be revoked", "kind": "workspace"});
    let (made, stays) = (tenant.new_key(&new).await, tenant.new_key(&new).await);
    let (key, stays) = (&text(&made, "/key"), &text(&stays, "/key"));
    let span = |number| otlp::protobuf(vec![otlp::span(trace_id(1), span_id(number), "sent", cluster.a_minute_ago())]);
    // Every service has met the key, and remembers it.
    client.ingest(key, span(1)).await;
    for path in ["/v1/traces", "/v1/traces/export", "/v1/me"] {
        assert_eq!(client.get(path, key).await.status, 200, "{path}");
    }
    let revoked = client.delete(&format!("/v1/api-keys/{}", text(&made, "/id")), &tenant.token).await;
    assert_eq!(revoked.status, 204);
    let within = if cluster.form() == Form::Standalone { Duration::ZERO } else { REVOKED_WITHIN };
    eventually_within(within, "the key is refused by every service", || async {
        let mut statuses = vec![client.otlp("/v1/traces", key, PROTOBUF, span(2)).await.status];
        for path in ["/v1/traces", "/v1/traces/export?limit=0", "/v1/me"] {
            statuses.push(client.get(path, key).await.status);
        }
        statuses.iter().all(|status| *status == 401).then_some(())
    })
    .await;
    assert_eq!(client.get("/v1/me", stays).await.status, 200, "the other key works");
    let keys = client.get("/v1/api-keys", &tenant.token).await.rows();
    let row = keys.iter().find(|row| row["id"] == made["id"]).unwrap();
    assert!(row["revoked_at"].is_string() && row["last_used_at"].is_string(), "{row}");
    assert!(!keys.iter().any(|row| row.to_string().contains(&key[key.len() - 20..])), "no list shows a secret");
}

pub(crate) async fn a_key_is_nowhere_on_disk(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    let span = otlp::span(trace_id(1), span_id(1), "sent", cluster.a_minute_ago());
    cluster.client.ingest(&key, otlp::protobuf(vec![span])).await;
    cluster.has_files(&tenant.id, 1).await;
    // What comes after the key's public part is the secret.
    let secret = &key[key.len() - 30..];
    let mut looked_at = 0;
    for path in everything_in(cluster.folder()) {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        looked_at += 1;
        let holds = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        assert!(!holds(secret) && !holds(crate::tenant::PASSWORD), "{}", path.display());
    }
    assert!(looked_at > 3);
}

fn everything_in(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { everything_in(&path) } else { vec![path] }).collect()
}
