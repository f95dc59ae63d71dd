//! What an operator reads, and nobody else.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::json;
use spanlake_server::{Config, Outside, Role, start};
use spanlake_testkit::otlp::{self, span_id, trace_id};
use spanlake_testkit::{TemporaryFolder, eventually};
use spanlake_transport::shutdown::Shutdown;

use crate::client::{PROTOBUF, url};
use crate::cluster::Cluster;
use crate::tenant::{Tenant, text};

/// All that the processes of a cluster tell: samples by name and labels, added up.
async fn read(cluster: &Cluster) -> (BTreeMap<String, f64>, String) {
    let (mut samples, mut all) = (BTreeMap::new(), String::new());
    for base in cluster.admin() {
        let answer = cluster.client.send(cluster.client.at(Method::GET, &format!("{base}/metrics"))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
        let told = answer.text();
        assert!(told.ends_with("# EOF\n"), "{told}");
        for line in told.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            *samples.entry(name.to_owned()).or_insert(0.0) += value.parse::<f64>().unwrap();
        }
        all += &told;
    }
    (samples, all)
}

pub(crate) async fn what_the_services_do_is_counted_and_names_no_tenant(cluster: &Cluster) {
    let (before, _) = read(cluster).await;
    let tenant = Tenant::sign_up(cluster).await;
    let client = &cluster.client;
    let made = tenant.new_key(&json!({"name": "operated", "kind": "workspace", "scopes": ["ingest", "read"]})).await;
    let key = text(&made, "/key");
    let span = |number| otlp::span(trace_id(1), span_id(number), "operated", cluster.a_minute_ago());
    let mut bad = span(3);
    bad.span_id = vec![1];
    let answer = client.otlp("/v1/traces", &key, PROTOBUF, otlp::protobuf(vec![span(1), span(2), bad])).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut call = tonic::Request::new(otlp::request(vec![span(7)]));
    call.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    let told = client.grpc().await.export(call).await.unwrap();
    assert!(told.metadata().get("ratelimit").unwrap().to_str().unwrap().starts_with("\"requests\";r="));
    client.get("/v1/spans", &key).await.rows();
    client.get("/v1/spans", "nonsense").await.refused(401, "unauthenticated");
    client.get("/v1/audit-log", &key).await.refused(403, "forbidden");
    client.get(&format!("/nowhere/{}", tenant.id), &key).await.refused(404, "not_found");
    let limits = json!({"spans_per_second": 1});
    client.send(client.request(Method::PUT, "/v1/limits").bearer_auth(&tenant.token).json(&limits)).await.data();
    eventually("a limit refuses", || async {
        let answer = client.otlp("/v1/traces", &key, PROTOBUF, otlp::protobuf(vec![span(4), span(5), span(6)])).await;
        (answer.status == 413).then_some(())
    })
    .await;
    let refused = eventually("the limit refuses for now", || async {
        let mut call = tonic::Request::new(otlp::request(vec![span(8), span(9)]));
        call.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        client.grpc().await.export(call).await.err()
    })
    .await;
    assert_eq!(refused.metadata().get("ratelimit-policy").unwrap(), "\"spans\";q=1;w=1", "{refused:?}");
    let (after, told) = read(cluster).await;
    let rose = |name: &str| after.get(name).unwrap_or(&0.0) - before.get(name).unwrap_or(&0.0);
    for (name, least) in [
        ("spanlake_receiver_accepted_spans_total", 2.0),
        ("spanlake_receiver_refused_spans_total", 1.0),
        ("spanlake_http_requests_total{permission=\"ingest\",status=\"200\"}", 1.0),
        ("spanlake_http_requests_total{permission=\"read\",status=\"401\"}", 1.0),
        ("spanlake_http_requests_total{permission=\"owner\",status=\"403\"}", 1.0),
        ("spanlake_http_requests_total{permission=\"none\",status=\"404\"}", 1.0),
        ("spanlake_grpc_requests_total{code=\"0\"}", 1.0),
        ("spanlake_http_request_seconds_count{permission=\"read\"}", 2.0),
        ("spanlake_http_refused_total{reason=\"unauthenticated\"}", 1.0),
        ("spanlake_http_refused_total{reason=\"payload_too_large\"}", 1.0),
        ("spanlake_ratelimit_refused_total{limit=\"spans\"}", 1.0),
    ] {
        assert!(rose(name) >= least, "{name} rose by {}:\n{told}", rose(name));
    }
    for name in ["spanlake_auth_away", "spanlake_ratelimit_degraded", "spanlake_isolation_violation_total"] {
        assert_eq!(after[name], 0.0, "{name}");
    }
    assert!(after["spanlake_wal_segments"] >= 1.0 && after["spanlake_wal_bytes"] > 0.0);
    assert!(after["spanlake_process_resident_bytes"] > 1e6);
    for secret in [&*tenant.id, &tenant.app, &tenant.email, "operated", "nowhere", &text(&made, "/id")] {
        assert!(!told.contains(secret), "it names {secret}:\n{told}");
    }
    every_name_is_documented(&told);
}

/// The page and the processes name the same.
fn every_name_is_documented(told: &str) {
    const PAGE: &str = include_str!("../../../../docs/operations/metrics.md");
    let types = told.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let told: BTreeSet<String> = types
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect();
    let quoted = PAGE.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    let documented: BTreeSet<String> = quoted
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|name| name.split('{').next().unwrap().to_owned())
        .collect();
    assert_eq!(told, documented);
}

#[tokio::test]
async fn the_port_of_operators_asks_for_its_token() {
    let folder = TemporaryFolder::new("admin");
    let port = "127.0.0.1:0";
    let config = |admin: &str, token: &str| {
        let mut settings = vec![("SPANLAKE_ADMIN", admin), ("SPANLAKE_ADMIN_TOKEN", token)];
        settings.extend(["HTTP", "OTLP_HTTP", "OTLP_GRPC"].map(|name| match name {
            "HTTP" => ("SPANLAKE_HTTP", port),
            "OTLP_HTTP" => ("SPANLAKE_OTLP_HTTP", port),
            _ => ("SPANLAKE_OTLP_GRPC", port),
        }));
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut config: Config = spanlake_transport::config::load(None, settings, toml::Table::new()).unwrap();
        config.data_dir = folder.path().to_owned();
        config
    };
    let begin = async |config| {
        let shutdown = Shutdown::new(std::time::Duration::from_secs(20));
        start(Role::Standalone, config, Outside::default(), shutdown.clone()).await.map(|running| (running, shutdown))
    };
    let refused = begin(config("0.0.0.0:0", "")).await.err().expect("it does not start").to_string();
    assert!(refused.contains("SPANLAKE_ADMIN_TOKEN"), "{refused}");
    let token = "a-token-for-operators-alone";
    let (running, shutdown) = begin(config(port, token)).await.unwrap();
    let at = format!("{}/metrics", url(running.addresses.admin.unwrap()));
    let ask = async |credential: Option<&str>| {
        let mut request = reqwest::Client::new().get(&at);
        if let Some(credential) = credential {
            request = request.bearer_auth(credential);
        }
        request.send().await.unwrap().status().as_u16()
    };
    for (credential, status) in [(None, 401), (Some("a-token-for-operators-alonf"), 401), (Some(token), 200)] {
        assert_eq!(ask(credential).await, status, "{credential:?}");
    }
    shutdown.trigger();
    running.finish().await.unwrap();
}
