//! Whose run it is: an agent key writes for its agent alone; a workspace key says which.

use prost::Message as _;
use serde_json::json;
use spanlake_testkit::otlp::{self, span_id, trace_id};

use crate::client::{Answer, PROTOBUF};
use crate::cluster::Cluster;
use crate::tenant::Tenant;

const AGENTOS: &str = "/api/ingest/v1/traces";

async fn send(cluster: &Cluster, path: &str, key: &str, trace: u128, agents: &[Option<&str>]) -> Answer {
    let mut all = otlp::request(vec![]);
    all.resource_spans.clear();
    for (number, agent) in (1..).zip(agents) {
        let span = otlp::span(trace_id(trace), span_id(number), "attributed", cluster.a_minute_ago());
        let request = otlp::request(vec![span]);
        let request = agent.map_or(request.clone(), |agent| otlp::for_agent(request, agent));
        all.resource_spans.extend(request.resource_spans);
    }
    cluster.client.otlp(path, key, PROTOBUF, all.encode_to_vec()).await
}

pub(crate) async fn an_agent_key_writes_for_its_agent_only(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let read = tenant.key(&["read"]).await;
    let (own, other) = (tenant.agent("own").await, tenant.agent("other").await);
    let key = tenant.agent_key(&own).await;
    for path in ["/v1/traces", AGENTOS] {
        let refused = send(cluster, path, &key, 1, &[Some(&other)]).await;
        assert_eq!(refused.status, 403, "{path}: {}", refused.text());
        assert!(refused.text().contains(&own), "it says whose key it is: {}", refused.text());
    }
    assert_eq!(cluster.client.get("/v1/traces", &read).await.rows().len(), 0, "nothing is kept, nor rewritten");
    for (trace, agents) in [(2, [None]), (3, [Some(&*own)])] {
        assert_eq!(send(cluster, AGENTOS, &key, trace, &agents).await.status, 200);
        let seen = cluster.client.get(&format!("/v1/traces/{}", trace_id(trace)), &read).await.data();
        assert_eq!(seen["agent_id"], own.as_str());
    }
    // Of several resources, those of others are refused alone.
    let mixed = send(cluster, "/v1/traces", &key, 4, &[Some(&own), Some(&other), None]).await;
    assert!(mixed.status == 200 && mixed.text().contains("1 of 3 spans rejected"), "{}", mixed.text());
    let seen = cluster.client.get(&format!("/v1/traces/{}", trace_id(4)), &read).await.data();
    assert_eq!(seen["span_count"], 2);
}

pub(crate) async fn a_workspace_key_names_the_agent_on_the_agentos_path(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let foreign = Tenant::sign_up(cluster).await.agent("foreign").await;
    let key = tenant.key(&["ingest", "read"]).await;
    let agent = tenant.agent("named").await;
    let missing = send(cluster, AGENTOS, &key, 1, &[None]).await;
    assert_eq!(missing.status, 400);
    assert!(missing.text().contains("agentos.agent_id"), "{}", missing.text());
    for unknown in [foreign.as_str(), "01890000-0000-7000-8000-000000000000", "not-a-uuid"] {
        for path in [AGENTOS, "/v1/traces"] {
            let answer = send(cluster, path, &key, 1, &[Some(unknown)]).await;
            assert_eq!(answer.status, 400, "{path} {unknown}: {}", answer.text());
        }
    }
    assert_eq!(cluster.client.get("/v1/traces", &key).await.rows().len(), 0);
    assert_eq!(send(cluster, AGENTOS, &key, 2, &[Some(&agent)]).await.status, 200);
    assert_eq!(send(cluster, "/v1/traces", &key, 3, &[None]).await.status, 200);
    let by_agent = cluster.client.get(&format!("/v1/traces?agent_id={agent}"), &key).await.rows();
    assert_eq!(by_agent.iter().map(|trace| &trace["id"]).collect::<Vec<_>>(), [&json!(trace_id(2).to_string())]);
}

pub(crate) async fn an_agent_key_is_told_that_another_app_is_not_its_own(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let app = cluster.client.post("/v1/apps", &tenant.token, &json!({"name": "second"})).await.data();
    let key = tenant.agent_key(&tenant.agent("pinned").await).await;
    let span = otlp::span(trace_id(1), span_id(1), "elsewhere", cluster.a_minute_ago());
    for header in ["x-spanlake-app-id", "x-agentmark-app-id", "x-puzzlet-app-id"] {
        let request = cluster.client.request(reqwest::Method::POST, "/v1/traces").bearer_auth(&key);
        let request = request.header("content-type", PROTOBUF).header(header, app["id"].as_str().unwrap());
        let answer = cluster.client.send(request.body(otlp::protobuf(vec![span.clone()]))).await;
        assert_eq!(answer.status, 403, "{header}: {}", answer.text());
    }
}

pub(crate) async fn apps_of_a_tenant_are_apart(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read", "export"]).await;
    let app = cluster.client.post("/v1/apps", &tenant.token, &json!({"name": "second"})).await.data();
    let second = app["id"].as_str().unwrap();
    let span = |name: &str| otlp::protobuf(vec![otlp::span(trace_id(1), span_id(1), name, cluster.a_minute_ago())]);
    cluster.client.ingest(&key, span("in the first")).await;
    let request = cluster.client.request(reqwest::Method::POST, "/v1/traces").bearer_auth(&key);
    let request = request.header("content-type", PROTOBUF).header("x-spanlake-app-id", second);
    assert_eq!(cluster.client.send(request.body(span("in the second"))).await.status, 200);
    for (path, name) in [("", "in the first"), (second, "in the second")] {
        for list in ["/v1/traces", "/v1/spans", "/v1/traces/export"] {
            let query = if path.is_empty() { String::new() } else { format!("?appId={path}") };
            let answer = cluster.client.get(&format!("{list}{query}"), &key).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.text().matches("in the ").count(), answer.text().matches(name).count(), "{list}{query}");
            assert!(answer.text().contains(name), "{list}{query}: {}", answer.text());
        }
    }
}
