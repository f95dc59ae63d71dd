//! What belongs to another tenant is not there, on any route that takes an id.

use reqwest::Method;
use serde_json::{Value, json};
use spanlake_testkit::otlp::{self, span_id, trace_id};

use crate::client::Answer;
use crate::cluster::Cluster;
use crate::document::Operation;
use crate::refusals::{guarded, is_refused};
use crate::tenant::{Member, Tenant, text};

const EVERYTHING: [&str; 5] = ["ingest", "read", "export", "score", "admin"];
const TRACE: u128 = 0xf0e1;

/// A tenant with one of everything that has an id.
struct House {
    key: Value,
    member: Member,
    app: String,
    agent: String,
    invite: String,
    deletion: String,
    export: String,
}

impl House {
    async fn build(cluster: &Cluster) -> Self {
        let (tenant, client) = (Tenant::sign_up(cluster).await, &cluster.client);
        let key = tenant.new_key(&json!({"name": "all", "kind": "workspace", "scopes": EVERYTHING})).await;
        let secret = text(&key, "/key");
        let span = otlp::span(trace_id(TRACE), span_id(1), "theirs", cluster.a_minute_ago());
        let mut span_of_session = span.clone();
        span_of_session.attributes.push(otlp::text("session.id", "their-session"));
        client.ingest(&secret, otlp::protobuf(vec![span_of_session])).await;
        let make = async |path: &str, body: Value| {
            let answer = client.post(path, &tenant.token, &body).await;
            assert_eq!(answer.status, 201, "{path}: {}", answer.text());
            text(&answer.data(), "/id")
        };
        let score =
            json!({"id": "their-score", "trace_id": trace_id(TRACE).to_string(), "name": "quality", "score": 1});
        make("/v1/scores", score).await;
        Self {
            member: tenant.member("member").await,
            app: make("/v1/apps", json!({"name": "theirs"})).await,
            agent: tenant.agent("theirs").await,
            invite: make("/v1/members/invites", json!({"email": "theirs@example.com", "role": "viewer"})).await,
            deletion: make("/v1/deletions", json!({"trace_ids": [trace_id(0xdead).to_string()]})).await,
            export: make("/v1/exports", json!({"destination": {"type": "file"}, "schedule": "@daily"})).await,
            key,
        }
    }

    /// The id of theirs that this operation takes; none where what it takes names nothing.
    fn id(&self, operation: &Operation, parameter: &str) -> Option<String> {
        let path = &operation.path;
        let of = |collection: &str| path.starts_with(collection);
        Some(match parameter {
            "field" => return None,
            "span_id" => span_id(1).to_string(),
            "session_id" => "their-session".into(),
            "score_id" => "their-score".into(),
            _ if of("/v1/apps") => self.app.clone(),
            _ if of("/v1/agents") => self.agent.clone(),
            _ if of("/v1/api-keys") => text(&self.key, "/id"),
            _ if of("/v1/members/invites") => self.invite.clone(),
            _ if of("/v1/members") => self.member.id.clone(),
            _ if of("/v1/deletions") => self.deletion.clone(),
            _ if of("/v1/exports") => self.export.clone(),
            _ if of("/v1/traces") => trace_id(TRACE).to_string(),
            _ => panic!("say which id {} takes", operation.name()),
        })
    }

    /// The operation's URL with their ids, when it takes any.
    fn url(&self, operation: &Operation) -> Option<String> {
        let parameters = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let ids: Option<Vec<_>> = parameters.map(|name| self.id(operation, name)).collect();
        let is_about_one = ids.is_some_and(|ids| !ids.is_empty());
        is_about_one.then(|| operation.url(&|name| self.id(operation, name).unwrap_or_default()))
    }
}

/// A body that each operation with an id takes.
fn body(operation: &Operation) -> Value {
    match (&*operation.method, &*operation.path) {
        ("PATCH", "/v1/members/{id}") => json!({"role": "viewer"}),
        ("PATCH", _) => json!({"name": "stolen"}),
        _ => json!({}),
    }
}

async fn ask(cluster: &Cluster, operation: &Operation, url: &str, credential: &str) -> Answer {
    let request = cluster.client.at(operation.method(), url).bearer_auth(credential);
    cluster.client.send(if operation.method() == Method::GET { request } else { request.json(&body(operation)) }).await
}

pub(crate) async fn ids_of_another_tenant_are_unknown_to_every_route(cluster: &Cluster) {
    let (house, stranger) = (House::build(cluster).await, Tenant::sign_up(cluster).await);
    let key = stranger.key(&EVERYTHING).await;
    let operations = guarded(&cluster.client).await;
    let about_one: Vec<_> = operations.iter().filter_map(|one| Some((one, house.url(one)?))).collect();
    for (operation, url) in &about_one {
        for credential in [&key, &stranger.token] {
            let answer = ask(cluster, operation, url, credential).await;
            is_refused(operation, &answer, 404, "not_found");
        }
    }
    // All is as it was: whoever owns it reads it, and the key works.
    let reads: Vec<_> = about_one.iter().filter(|(operation, _)| operation.method == "GET").collect();
    for (operation, url) in &reads {
        // No run has been made yet.
        if operation.path.ends_with("/manifest") {
            continue;
        }
        let answer = ask(cluster, operation, url, &text(&house.key, "/key")).await;
        assert_eq!(answer.status, 200, "{}: {}", operation.name(), answer.text());
        assert!(!answer.text().contains("stolen"), "{}", operation.name());
    }
    assert!(about_one.len() > 20 && reads.len() > 10, "{} and {}", about_one.len(), reads.len());
}

pub(crate) async fn naming_an_app_of_another_tenant_is_refused_everywhere(cluster: &Cluster) {
    let (house, stranger) = (House::build(cluster).await, Tenant::sign_up(cluster).await);
    let credentials = [stranger.key(&EVERYTHING).await, stranger.token.clone()];
    for operation in guarded(&cluster.client).await {
        let url = operation.url(&|_| trace_id(TRACE).to_string());
        for credential in &credentials {
            let request = cluster.client.at(operation.method(), &url).bearer_auth(credential);
            let request = request.header("x-spanlake-app-id", &house.app).header("content-type", "application/json");
            is_refused(&operation, &cluster.client.send(request.body("{}")).await, 404, "not_found");
        }
    }
}
