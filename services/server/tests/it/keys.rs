//! A key ends when it is revoked, everywhere.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use spanlake_testkit::eventually_within;
use spanlake_testkit::otlp::{self, span_id, trace_id};

use crate::client::PROTOBUF;
use crate::cluster::{Cluster, Form};
use crate::tenant::{Tenant, text};

/// A second is promised, on a machine that does nothing else; what is remembered would last ten. Within one process it is at once.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

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

pub(crate) async fn no_secret_is_in_any_file_or_log(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    let span = otlp::span(trace_id(1), span_id(1), "sent", cluster.a_minute_ago());
    cluster.client.ingest(&key, otlp::protobuf(vec![span])).await;
    cluster.has_files(&tenant.id, 1).await;
    let mut secrets = everything_secret(cluster, &tenant).await;
    // What comes after the key's public part is the secret.
    secrets.push(key[key.len() - 30..].to_owned());
    let mut looked_at = 0;
    for path in everything_in(cluster.folder()) {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        looked_at += 1;
        let holds = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        for secret in &secrets {
            assert!(!holds(secret), "{} holds {secret}", path.display());
        }
    }
    assert!(looked_at > 3);
}

pub(crate) async fn what_people_write_is_in_no_log(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read", "export", "score"]).await;
    let client = &cluster.client;
    let prompt = "a prompt that is for the model alone 8";
    let mut said = otlp::span(trace_id(1), span_id(1), prompt, cluster.a_minute_ago());
    said.attributes = ["gen_ai.input.messages", "user.id", "odd"].map(|name| otlp::text(name, prompt)).to_vec();
    let mut refused = said.clone();
    refused.span_id = vec![1];
    let answer = client.otlp("/v1/traces", &key, PROTOBUF, otlp::protobuf(vec![said, refused])).await;
    assert_eq!(answer.status, 200, "one is kept and one refused: {}", answer.text());
    let broken = format!("{{\"resourceSpans\": [\"{prompt}\"");
    assert_eq!(client.otlp("/v1/traces", &key, "application/json", broken.into()).await.status, 400);
    for path in ["/v1/traces", "/v1/spans", "/v1/sessions", "/v1/traces/export"] {
        let asked = client.request(Method::GET, path).bearer_auth(&key);
        let found = client.send(asked.query(&[("filter", format!("user_id = '{prompt}'"))])).await;
        assert!(found.status < 500, "{path}: {}", found.text());
        let asked = client.request(Method::GET, path).bearer_auth(&key);
        assert_eq!(client.send(asked.query(&[("filter", format!("= '{prompt}'"))])).await.status, 400, "{path}");
    }
    client.post("/v1/scores", &key, &json!({"trace_id": prompt, "name": prompt, "score": prompt})).await;

    let is_log = |path: &std::path::PathBuf| path.is_file() && path.extension().is_some_and(|own| own == "log");
    let entries = std::fs::read_dir(cluster.folder()).unwrap().flatten();
    let logs: Vec<_> = entries.map(|entry| entry.path()).filter(is_log).collect();
    for log in &logs {
        let text = std::fs::read_to_string(log).unwrap();
        assert!(!text.contains(prompt), "{} holds a prompt", log.display());
    }
    // In one process it is the test that would log.
    assert_eq!(logs.len(), if cluster.form() == Form::Standalone { 0 } else { 5 });
}

/// Every kind of secret there is, each used rightly and wrongly, so that whoever writes requests down has them.
pub(crate) async fn everything_secret(cluster: &Cluster, tenant: &Tenant) -> Vec<String> {
    let client = &cluster.client;
    let send =
        async |path: &str, body: serde_json::Value| client.send(client.request(Method::POST, path).json(&body)).await;
    let login = send("/v1/login", json!({"email": tenant.email, "password": crate::tenant::PASSWORD})).await.data();
    let (access, refresh) = (text(&login, "/access_token"), text(&login, "/refresh_token"));
    let guess = "a guess that nobody should read 5";
    send("/v1/login", json!({"email": tenant.email, "password": guess})).await.refused(401, "unauthenticated");
    let invite = json!({"email": format!("guest-{}", tenant.email), "role": "viewer"});
    let invite = text(&client.post("/v1/members/invites", &access, &invite).await.data(), "/token");
    let viewer = json!({"email": format!("viewer-{}", tenant.email), "role": "viewer"});
    let viewer = text(&client.post("/v1/members/invites", &access, &viewer).await.data(), "/token");
    let viewer = json!({"token": viewer, "password": crate::tenant::PASSWORD});
    let viewer = text(&send("/v1/invites/accept", viewer).await.data(), "/member/id");
    let reset = client.post(&format!("/v1/members/{viewer}/password-reset"), &access, &json!({})).await;
    let reset = text(&reset.data(), "/token");
    for (path, token) in [("/v1/invites/accept", &invite), ("/v1/password-reset", &reset)] {
        send(path, json!({"token": token, "password": "short"})).await.refused(400, "invalid_request_body");
        send(path, json!({"token": format!("{token}x"), "password": guess})).await.refused(404, "not_found");
        let unread = client.request(Method::POST, path).header("content-type", "application/json");
        assert_eq!(client.send(unread.body(format!("{{\"token\": \"{token}\", "))).await.status, 400);
    }
    send("/v1/token/refresh", json!({"refresh_token": refresh, "colour": guess}))
        .await
        .refused(400, "invalid_request_body");
    client.get("/v1/me", &refresh).await.refused(401, "unauthenticated");
    let signature = access.rsplit('.').next().unwrap().to_owned();
    let bucket = "the-secret-key-of-a-bucket-6";
    // Refused, since it is of this machine; and once more since its body breaks off.
    let export = json!({"destination": {"type": "s3", "bucket": "b", "endpoint": "https://127.0.0.1:1",
        "access_key_id": "id", "secret_access_key": bucket, "session_token": bucket}});
    assert_eq!(client.post("/v1/exports", &access, &export).await.status, 400);
    let broken = client.request(Method::POST, "/v1/exports").bearer_auth(&access);
    let broken = broken.header("content-type", "application/json").body(export.to_string().replace("}}", ""));
    assert_eq!(client.send(broken).await.status, 400);
    vec![bucket.to_owned(), signature, refresh, invite, reset, guess.to_owned(), crate::tenant::PASSWORD.to_owned()]
}

pub(crate) fn everything_in(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { everything_in(&path) } else { vec![path] }).collect()
}
