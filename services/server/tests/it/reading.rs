//! Sessions, metrics and facets: what people look at first, over what was just sent.

use std::collections::BTreeSet;
use std::time::Duration;

use prost::Message as _;
use serde_json::{Value, json};
use spanlake_testkit::otlp::{self, span_id, text as attribute, trace_id};

use crate::client::PROTOBUF;
use crate::cluster::Cluster;
use crate::tenant::Tenant;

/// A conversation of so many turns: each a trace whose root names session and user, and whose call below has the usage.
async fn converse(cluster: &Cluster, key: &str, session: &str, turns: u64, first: u64) {
    let start = cluster.a_minute_ago();
    let mut spans = Vec::new();
    for turn in first..first + turns {
        let trace = trace_id(u128::from(turn));
        let mut root = otlp::span(trace, span_id(turn * 10), "turn", start.plus(Duration::from_secs(turn % 20)));
        root.attributes = vec![
            attribute("session.id", session),
            attribute("user.id", &format!("{session}-user")),
            attribute("gen_ai.operation.name", "invoke_agent"),
        ];
        let mut call = otlp::span(trace, span_id(turn * 10 + 1), "chat", start.plus(Duration::from_secs(turn % 20)));
        call.parent_span_id = span_id(turn * 10).as_bytes().to_vec();
        call.attributes = vec![
            attribute("gen_ai.operation.name", "chat"),
            attribute("gen_ai.response.model", "gpt-4o"),
            otlp::number("gen_ai.usage.input_tokens", 1_000),
            otlp::number("gen_ai.usage.output_tokens", 100),
        ];
        spans.extend([root, call]);
    }
    let body = otlp::request(spans).encode_to_vec();
    let answer = cluster.client.otlp("/v1/traces", key, PROTOBUF, body).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{}", answer.text());
}

pub(crate) async fn a_conversation_adds_up_in_its_session_and_in_metrics(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    converse(cluster, &key, "first", 3, 1).await;
    for in_files in [false, true] {
        if in_files {
            cluster.has_files(&tenant.id, 1).await;
            converse(cluster, &key, "second", 1, 100).await;
        }
        let session = cluster.client.get("/v1/sessions/first", &key).await.data();
        let sums =
            ["trace_count", "span_count", "total_tokens", "input_tokens", "user_ids"].map(|sum| session[sum].clone());
        assert_eq!(json!(sums), json!([3, 6, 3_300, 3_000, ["first-user"]]));
        // $2.50 a million in, $10 a million out.
        assert!((session["total_cost"].as_f64().unwrap() - 0.0105).abs() < 1e-9, "{session}");
        assert_eq!(session["traces"].as_array().unwrap().len(), 3);

        let listed = cluster.client.get("/v1/sessions", &key).await.rows();
        assert_eq!(listed.len(), if in_files { 2 } else { 1 });
        let metrics = cluster.client.get("/v1/metrics?group_by=user_id,model&granularity=day", &key).await.data();
        let total: i64 = listed.iter().map(|session| session["total_tokens"].as_i64().unwrap()).sum();
        assert_eq!(metrics["summary"]["total_tokens"], json!(total));
        let of_first = metrics["groups"]
            .as_array()
            .unwrap()
            .iter()
            .find(|group| group["group"] == json!({"user_id": "first-user", "model": "gpt-4o"}));
        assert_eq!(of_first.unwrap()["summary"]["total_requests"], json!(3), "{metrics}");
        let points = |field: &str| -> i64 {
            metrics["time_series"].as_array().unwrap().iter().map(|point| point[field].as_i64().unwrap()).sum()
        };
        assert_eq!((points("tokens"), points("requests")), (total, total / 1_100));
    }
    let facets = cluster.client.get("/v1/facets/session_id?q=fi", &key).await.rows();
    assert_eq!(facets, [json!({"value": "first", "count": 3})]);
}

pub(crate) async fn pages_of_sessions_hold_every_one_once_while_more_arrive(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    let names: Vec<String> = (0..11).map(|number| format!("s{number:02}")).collect();
    for (number, name) in (0..).zip(&names) {
        // Traces of one turn of ten: all sessions begin at the same instant.
        converse(cluster, &key, name, 1, 1_000 + number * 20).await;
    }
    for sort in ["start_time", "tokens"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for page in 0_u64.. {
            let answer = cluster.client.get(&format!("/v1/sessions?limit=3&sort_by={sort}{cursor}"), &key).await;
            let rows = answer.rows();
            seen.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
            converse(cluster, &key, &format!("late-{sort}-{page}"), 1, 9_000 + page).await;
            match answer.json()["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let distinct: BTreeSet<_> = seen.iter().cloned().collect();
        assert_eq!(distinct.len(), seen.len(), "{sort}: no session twice");
        assert!(names.iter().all(|name| distinct.contains(name)), "{sort}: every session: {seen:?}");
    }
    let keys: Value = cluster.client.get("/v1/metadata/keys", &key).await.data();
    assert_eq!(keys["has_more"], json!(false));
}
