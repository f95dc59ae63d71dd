//! What is done with data is on the tenant's record, whichever service did it.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use spanlake_testkit::otlp::{self, span_id, trace_id};

use crate::cluster::Cluster;
use crate::document::operations;
use crate::tenant::{Tenant, text};

pub(crate) async fn what_is_done_with_data_is_on_record(cluster: &Cluster) {
    let (tenant, client) = (Tenant::sign_up(cluster).await, &cluster.client);
    let made = tenant
        .new_key(&json!({"name": "all", "kind": "workspace", "scopes": ["ingest", "export", "score", "admin", "read"]}))
        .await;
    let key = text(&made, "/key");
    let spans = [1, 2].map(|number| otlp::span(trace_id(number), span_id(1), "kept", cluster.a_minute_ago()));
    client.ingest(&key, otlp::protobuf(spans.into())).await;
    let score = json!({"id": "judged", "trace_id": trace_id(2).to_string(), "name": "quality", "score": 1});
    assert_eq!(client.post("/v1/scores", &key, &score).await.status, 201);
    let file = json!({"destination": {"type": "file"}, "schedule": "@daily", "filter": "user_id = ada"});
    let export = client.post("/v1/exports", &key, &file).await;
    assert_eq!(export.status, 201, "{}", export.text());
    let export = text(&export.data(), "/id");
    let deletion = client.post("/v1/deletions", &key, &json!({"user_id": "ada"})).await;
    let deletion = text(&deletion.data(), "/id");
    let rest = [
        (Method::DELETE, "/v1/traces/{id}", format!("/v1/traces/{}", trace_id(1))),
        (Method::DELETE, "/v1/scores/{score_id}", "/v1/scores/judged".to_owned()),
        // It is not paused, so nothing is done and nothing recorded.
        (Method::POST, "/v1/exports/{id}/resume", format!("/v1/exports/{export}/resume")),
        (Method::POST, "/v1/exports/{id}/cancel", format!("/v1/exports/{export}/cancel")),
        (Method::GET, "/v1/traces/export", "/v1/traces/export?limit=3".to_owned()),
    ];
    for (method, route, path) in &rest {
        let answer = client.send(client.request(method.clone(), path).bearer_auth(&key)).await;
        assert!((200..300).contains(&answer.status), "{route}: {}", answer.text());
    }
    let actions = [
        "export.created",
        "deletion.created",
        "deletion.created",
        "score.deleted",
        "export.cancelled",
        "traces.exported",
    ];
    let log = client.get("/v1/audit-log", &tenant.token).await.rows();
    let newest: Vec<_> = log[..actions.len()].iter().rev().collect();
    for (entry, action) in newest.iter().zip(actions) {
        assert_eq!((&entry["action"], &entry["actor_id"]), (&json!(action), &made["id"]), "{entry}");
        assert_eq!(entry["address"], "127.0.0.1", "{entry}");
        assert!(!entry.to_string().contains("ada"), "whose data it is is not recorded: {entry}");
    }
    assert_eq!((&newest[0]["target"], &newest[0]["after"]["destination"]["type"]), (&json!(export), &json!("file")));
    assert_eq!((&newest[1]["target"], &newest[1]["after"]["subject"]), (&json!(deletion), &json!("user")));
    assert_eq!((&newest[5]["target"], &newest[5]["after"]["limit"]), (&json!(tenant.app), &json!(3)));
    assert_eq!(client.get("/v1/audit-log/check", &tenant.token).await.data()["is_whole"], true);
    let done = rest.iter().map(|(method, route, _)| format!("{method} {route}"));
    let done: BTreeSet<_> = done.chain(["POST /v1/exports".into(), "POST /v1/deletions".into()]).collect();
    assert_eq!(
        done,
        recorded_operations(cluster).await,
        "a new route that does something with data belongs into this story"
    );
}

/// Every operation that is no reading and no sending, and not auth's.
async fn recorded_operations(cluster: &Cluster) -> BTreeSet<String> {
    let of_data = [
        "/v1/traces",
        "/v1/spans",
        "/v1/sessions",
        "/v1/scores",
        "/v1/deletions",
        "/v1/exports",
        "/v1/logs",
        "/v1/score",
        "/api/",
    ];
    let all = operations(&cluster.client).await;
    let of_data = all.iter().filter(|one| of_data.iter().any(|begin| one.path.starts_with(begin)));
    let is_sent =
        |path: &str| ["/traces", "/logs", "/scores", "/score", "/batch"].iter().any(|end| path.ends_with(end));
    let names = of_data.filter(|one| match &*one.method {
        "GET" => one.path == "/v1/traces/export",
        "POST" => !is_sent(&one.path) && !one.path.ends_with("/search"),
        _ => true,
    });
    names.map(|one| one.name()).collect()
}
