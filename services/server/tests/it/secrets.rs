//! No secret is in anything that a process says: not at the most talkative level of its log, not when it cannot start.

use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::json;
use spanlake_testkit::{TemporaryFolder, redis_url};

use crate::client::PROTOBUF;
use crate::cluster::Cluster;
use crate::keys::{everything_in, everything_secret};
use crate::tenant::{PASSWORD, Tenant, text};

/// In every secret that is set here; nothing else says it.
const CANARY: &str = "kanarienvogel-7f3a";

#[tokio::test]
async fn a_process_that_logs_everything_logs_no_secret() {
    let master = "5ec2e7".repeat(12);
    let settings = [
        ("SPANLAKE_TELEMETRY__FILTER", "trace".to_owned()),
        ("SPANLAKE_SECRET", master.clone()),
        ("SPANLAKE_ADMIN_TOKEN", format!("{CANARY}-of-operators")),
        ("SPANLAKE_LIMITS", redis_url()),
    ];
    let cluster = Cluster::one_process(&settings, CANARY).await;
    let tenant = Tenant::sign_up(&cluster).await;
    let key = tenant.key(&["ingest", "read", "export", "score", "admin"]).await;
    let mut secrets = everything_secret(&cluster, &tenant).await;
    secrets.extend([CANARY.to_owned(), master, key[key.len() - 30..].to_owned(), "c4".repeat(32)]);
    secrets.extend(stolen_session(&cluster, &tenant).await);
    for path in ["/v1/traces", "/v1/traces/export", "/v1/exports", "/v1/me", "/v1/audit-log", "/nowhere"] {
        for credential in [format!("Bearer {key}"), key.clone(), format!("Basic {key}"), format!("{key}{CANARY}")] {
            let request = cluster.client.request(Method::GET, path).header("authorization", credential);
            assert!(cluster.client.send(request).await.status < 500, "{path}");
        }
    }
    assert_eq!(cluster.client.otlp("/v1/traces", &key, PROTOBUF, vec![1, 2, 3]).await.status, 400);
    let mut spans = tonic::Request::new(spanlake_testkit::otlp::request(Vec::new()));
    spans.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    cluster.client.grpc().await.export(spans).await.unwrap();
    for admin in cluster.admin() {
        let request =
            cluster.client.at(Method::GET, &format!("{admin}/metrics")).bearer_auth(format!("{CANARY}-wrong"));
        assert_eq!(cluster.client.send(request).await.status, 401);
    }
    let log = std::fs::read_to_string(cluster.folder().join("standalone.log")).unwrap();
    assert!(log.contains("DEBUG") && log.contains("http.request"), "it logs everything:\n{log}");
    for path in everything_in(cluster.folder()) {
        says_no_secret(&path, &std::fs::read(&path).unwrap_or_default(), &secrets);
    }
    cluster.stop().await;
}

/// A refresh token that two use; answers all that was given.
async fn stolen_session(cluster: &Cluster, tenant: &Tenant) -> Vec<String> {
    let client = &cluster.client;
    let send =
        async |path: &str, body: serde_json::Value| client.send(client.request(Method::POST, path).json(&body)).await;
    let login = send("/v1/login", json!({"email": tenant.email, "password": PASSWORD})).await.data();
    let mut all = vec![text(&login, "/refresh_token")];
    for _ in 0..2 {
        let next = send("/v1/token/refresh", json!({"refresh_token": all[all.len() - 1]})).await.data();
        all.push(text(&next, "/refresh_token"));
    }
    send("/v1/token/refresh", json!({"refresh_token": all[0]})).await.refused(401, "unauthenticated");
    all
}

fn says_no_secret(path: &Path, said: &[u8], secrets: &[String]) {
    for secret in secrets {
        let is_said = said.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!is_said, "{} says {secret}", path.display());
    }
}

#[test]
fn a_process_that_cannot_start_says_why_and_no_secret() {
    let folder = TemporaryFolder::new("secrets");
    let file = folder.path().join("spanlake.toml");
    let start = |settings: &[(&str, &str)], arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_spanlake-server"))
            .arg("standalone")
            .args(arguments)
            .env_clear()
            .envs(settings.iter().copied())
            .env("SPANLAKE_DATA_DIR", folder.path())
            .env("SPANLAKE_TELEMETRY__FILTER", "trace")
            .envs(["HTTP", "OTLP_HTTP", "OTLP_GRPC"].map(|port| (format!("SPANLAKE_{port}"), "127.0.0.1:0")))
            .output()
            .unwrap();
        assert!(!output.status.success(), "{settings:?}");
        let said = [output.stdout, output.stderr].concat();
        assert!(said.len() > 20, "{settings:?}");
        says_no_secret(Path::new(&format!("{settings:?}")), &said, &[CANARY.to_owned()]);
        String::from_utf8(said).unwrap()
    };
    for (name, value, why) in [
        ("SPANLAKE_CATALOG", format!("postgres://spanlake:{CANARY}@127.0.0.1:1/none"), "catalog"),
        ("SPANLAKE_CATALOG", format!("postgers://spanlake:{CANARY}@127.0.0.1:1/none"), "catalog"),
        ("SPANLAKE_LIMITS", format!("redis://:{CANARY}@127.0.0.1:1/0"), "limits"),
        ("SPANLAKE_LIMITS", format!("reds://:{CANARY}@127.0.0.1:1/0"), "limits"),
        ("SPANLAKE_SECRET", format!("short-{CANARY}"), "secret"),
        ("SPANLAKE_SECRT", format!("mistyped-{CANARY}"), "secrt"),
        ("SPANLAKE_EXPORT__CREDENTIALS_KEY", format!("no-hex-{CANARY}"), "credentials_key"),
    ] {
        let said = start(&[(name, &value)], &[]);
        assert!(said.contains(why), "{name}: {said}");
    }
    let short = [("SPANLAKE_ADMIN", "127.0.0.1:0"), ("SPANLAKE_ADMIN_TOKEN", "kanarienvogel-7")];
    assert!(start(&short, &[]).contains("admin_token"));
    for text in [
        format!("secret = \"{CANARY}\nhttp = 1"),
        format!("secret = [\"{CANARY}\"]"),
        format!("secret = {CANARY}"),
        format!("[catalog]\nurl = \"{CANARY}\""),
        format!("[auth]\nsecret = \"{CANARY}\""),
    ] {
        std::fs::write(&file, &text).unwrap();
        start(&[], &["--config", file.to_str().unwrap()]);
    }
}
