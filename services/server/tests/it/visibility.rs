//! Acknowledged means visible, once, and for good.

use std::time::Duration;

use prost::Message as _;
use serde_json::json;
use spanlake_testkit::otlp::{self, span_id, trace_id};

use crate::client::{Answer, PROTOBUF};
use crate::cluster::Cluster;
use crate::tenant::Tenant;

pub(crate) async fn an_acknowledged_span_is_in_the_next_answer(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    for number in 1..=50 {
        let (trace, id) = (trace_id(u128::from(number)), span_id(number));
        let span = otlp::span(trace, id, &format!("span {number}"), cluster.a_minute_ago());
        let receipt = cluster.client.ingest(&key, otlp::protobuf(vec![span])).await;
        let path = format!("/v1/traces/{trace}/spans/{id}");
        // With the receipt and without: it only matters to readers that lag, and ours may not.
        let path = if number % 2 == 0 { format!("{path}?after={receipt}") } else { path };
        let seen = cluster.client.get(&path, &key).await.data();
        assert_eq!(seen["name"], format!("span {number}"));
        if number % 10 == 0 {
            let list = cluster.client.get("/v1/traces?limit=1000", &key).await.rows();
            assert_eq!(list.len() as u64, number);
        }
    }
}

pub(crate) async fn every_read_takes_a_receipt_and_refuses_what_is_none(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    let (trace, id) = (trace_id(1), span_id(1));
    let mut span = otlp::span(trace, id, "receipted", cluster.a_minute_ago());
    span.attributes =
        vec![otlp::text("session.id", "receipted"), otlp::text("langfuse.trace.metadata.receipted", "yes")];
    let receipt = cluster.client.ingest(&key, otlp::protobuf(vec![span])).await;
    for path in [
        "/v1/traces",
        "/v1/spans",
        &format!("/v1/traces/{trace}"),
        &format!("/v1/traces/{trace}/spans/{id}"),
        "/v1/sessions",
        "/v1/sessions/receipted",
        "/v1/facets/name",
        "/v1/metadata/keys",
    ] {
        let answer = cluster.client.get(&format!("{path}?after={receipt}"), &key).await;
        assert!(answer.status == 200 && answer.text().contains("receipted"), "{path}: {}", answer.text());
        let refused = cluster.client.get(&format!("{path}?after=yesterday"), &key).await;
        assert!(refused.refused(400, "invalid_query_params")["error"]["details"]["after"].is_string());
    }
}

pub(crate) async fn a_batch_sent_again_and_again_shows_each_span_once(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read", "export"]).await;
    let (trace, start) = (trace_id(3), cluster.a_minute_ago());
    let spans = (1..=20).map(|number| otlp::span(trace, span_id(number), "again", start)).collect();
    let body = otlp::protobuf(spans);
    let send = || cluster.client.ingest(&key, body.clone());
    futures::join!(send(), send(), send());
    is_seen_once(cluster, &key, 20).await;
    cluster.has_files(&tenant.id, 1).await;
    is_seen_once(cluster, &key, 20).await;
    // Now what comes again is in a file, and what is new in memory.
    futures::join!(send(), send(), send());
    is_seen_once(cluster, &key, 20).await;
    cluster.has_files(&tenant.id, 2).await;
    is_seen_once(cluster, &key, 20).await;
}

/// In lists, in sums and in the export.
async fn is_seen_once(cluster: &Cluster, key: &str, count: usize) {
    let spans = cluster.client.get("/v1/spans?limit=1000", key).await.rows();
    assert_eq!(spans.len(), count);
    let traces = cluster.client.get("/v1/traces", key).await.rows();
    assert_eq!(traces.iter().map(|trace| &trace["span_count"]).collect::<Vec<_>>(), [&json!(count)]);
    let export = cluster.client.get("/v1/traces/export", key).await;
    assert_eq!(export.text().lines().count(), count + 1, "the spans and the trailer");
}

pub(crate) async fn a_finished_span_is_never_replaced_by_an_unfinished_one(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    let (trace, id, start) = (trace_id(4), span_id(4), cluster.a_minute_ago());
    let path = format!("/v1/traces/{trace}/spans/{id}");
    let version = |name: &str, is_finished: bool| {
        let mut span = otlp::span(trace, id, name, start);
        if !is_finished {
            span.end_time_unix_nano = 0;
        }
        otlp::protobuf(vec![span])
    };
    let steps = [
        ("begun", false, "begun"),
        ("done", true, "done"),
        ("late", false, "done"),
        ("done again", true, "done again"),
    ];
    // First all in memory, then with a file under each step.
    for with_files in [false, true] {
        for (count, (name, is_finished, wanted)) in (1..).zip(steps) {
            let wanted = if with_files && count == 1 { "done again" } else { wanted };
            cluster.client.ingest(&key, version(name, is_finished)).await;
            let seen = cluster.client.get(&path, &key).await.data();
            assert_eq!(seen["name"], wanted, "after {name}, files: {with_files}");
            assert_eq!(seen["end"].is_null(), wanted == "begun");
            if with_files {
                is_same_after_flush(cluster, &tenant, &key, &path, wanted).await;
            }
        }
    }
}

async fn is_same_after_flush(cluster: &Cluster, tenant: &Tenant, key: &str, path: &str, wanted: &str) {
    let files = cluster.files(&tenant.id);
    // A span of another trace, so that a file comes even when nothing else would be written.
    let other = otlp::span(trace_id(99), span_id(files as u64 + 100), "other", cluster.a_minute_ago());
    cluster.client.ingest(key, otlp::protobuf(vec![other])).await;
    cluster.has_files(&tenant.id, files + 1).await;
    let seen = cluster.client.get(path, key).await.data();
    assert_eq!(seen["name"], wanted);
    let rows = cluster.client.get(&format!("/v1/spans?trace_id={}", seen["trace_id"].as_str().unwrap()), key).await;
    assert_eq!(rows.rows().len(), 1);
}

pub(crate) async fn pages_of_a_list_hold_every_row_once_while_more_arrive(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    let start = cluster.a_minute_ago();
    let span = |number: u64| {
        // Groups of five begin at the same instant, where a page may end.
        let start = start.plus(Duration::from_secs(number / 5));
        otlp::span(trace_id(u128::from(number)), span_id(number), "paged", start)
    };
    let body = otlp::request((1..=23).map(span).collect()).encode_to_vec();
    assert_eq!(cluster.client.otlp("/v1/traces", &key, PROTOBUF, body).await.status, 200);
    for list in ["/v1/traces", "/v1/spans"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for page in 0.. {
            let answer: Answer = cluster.client.get(&format!("{list}?limit=4{cursor}"), &key).await;
            seen.extend(answer.rows().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
            // Newer than the pages to come; a page that moves on by position would show rows twice.
            let newer = otlp::span(trace_id(0x1000 + page), span_id(0x1000 + page as u64), "newer", cluster.now());
            cluster.client.ingest(&key, otlp::protobuf(vec![newer])).await;
            match answer.json()["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let (count, distinct) = (seen.len(), seen.iter().collect::<std::collections::BTreeSet<_>>().len());
        assert_eq!(count, distinct, "{list}: no row twice");
        let is_first = |number: &u64| match list {
            "/v1/traces" => seen.contains(&trace_id(u128::from(*number)).to_string()),
            _ => seen.contains(&span_id(*number).to_string()),
        };
        assert_eq!((1..=23).filter(is_first).count(), 23, "{list}: every row");
    }
}
