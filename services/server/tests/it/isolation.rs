//! Two tenants that use the same ids never see, count or touch each other's things.

use prost::Message as _;
use reqwest::Method;
use serde_json::json;
use spanlake_model::{SpanId, Timestamp, TraceId};
use spanlake_testkit::otlp::{self, span_id, text as attribute, trace_id};

use crate::client::PROTOBUF;
use crate::cluster::Cluster;
use crate::document::operations;
use crate::tenant::{Tenant, text};

/// Everything one tenant has, with its own word in every text.
struct House {
    tenant: Tenant,
    key: String,
    key_id: String,
    agent: String,
    word: &'static str,
    /// A trace id only this tenant uses.
    own: TraceId,
}

const SHARED_TRACE: u128 = 0x5a5e;
const SHARED_SPAN: u64 = 0x5a5e;

impl House {
    async fn build(cluster: &Cluster, word: &'static str, own: u128) -> Self {
        let email = format!("{word}-{}@example.com", cluster.now().as_nanos());
        let tenant = Tenant::named(cluster, &format!("{word} tenant"), &email).await;
        let made = tenant
            .new_key(&json!({
            "name": format!("{word} key"), "kind": "workspace", "scopes": ["ingest", "read", "export", "admin", "score"]}))
            .await;
        let agent = tenant.agent(&format!("{word} agent")).await;
        let app = cluster.client.post("/v1/apps", &tenant.token, &json!({"name": format!("{word} app")})).await;
        assert_eq!(app.status, 201);
        let house =
            Self { tenant, key: text(&made, "/key"), key_id: text(&made, "/id"), agent, word, own: trace_id(own) };
        for trace in [trace_id(SHARED_TRACE), house.own] {
            house.send(cluster, trace, span_id(SHARED_SPAN), cluster.a_minute_ago()).await;
        }
        house
    }

    async fn send(&self, cluster: &Cluster, trace: TraceId, span: SpanId, start: Timestamp) {
        let word = self.word;
        let mut sent = otlp::span(trace, span, &format!("{word} span"), start);
        sent.attributes = vec![
            attribute("session.id", &format!("{word}-session")),
            attribute("user.id", &format!("{word}-user")),
            attribute("gen_ai.request.model", &format!("{word}-model")),
            attribute("gen_ai.operation.name", "chat"),
            attribute("gen_ai.output.messages", &format!("{word} answer")),
            attribute(&format!("{word}.key"), "value"),
        ];
        let body = otlp::for_agent(otlp::request(vec![sent]), &self.agent).encode_to_vec();
        let answer = cluster.client.otlp("/v1/traces", &self.key, PROTOBUF, body).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{}", answer.text());
        // The same ids in both houses: of the trace, of the span, and of the score.
        let score = json!({
            "id": "shared-score", "trace_id": trace.to_string(), "span_id": span.to_string(), "name": format!("{word}-score"),
            "score": 0.5, "label": format!("{word}-label"), "session_id": format!("{word}-session"),
        });
        let mine =
            json!({"id": format!("{word}-score-id"), "resource_id": trace.to_string(), "name": "quality", "score": 1});
        for score in [score, mine] {
            assert_eq!(cluster.client.post("/v1/scores", &self.key, &score).await.status, 201);
        }
    }

    /// What an answer to somebody else must never hold.
    fn canaries(&self) -> [&str; 6] {
        [self.word, &self.tenant.id, &self.tenant.app, &self.key_id, &self.agent, &self.tenant.email]
    }

    /// The id that a path or query parameter of this name would take.
    fn id(&self, parameter: &str) -> String {
        let word = self.word;
        match parameter {
            "id" | "trace_id" => self.own.to_string(),
            "span_id" => span_id(SHARED_SPAN).to_string(),
            "agent_id" | "agentId" => self.agent.clone(),
            "score_id" => format!("{word}-score-id"),
            "resource_id" => self.own.to_string(),
            "session_id" => format!("{word}-session"),
            "user_id" | "userId" => format!("{word}-user"),
            "model" => format!("{word}-model"),
            "name" => format!("{word} span"),
            "field" => "session_id".into(),
            _ => String::new(),
        }
    }
}

/// In memory and in files.
pub(crate) async fn a_tenant_never_sees_another_on_any_route(cluster: &Cluster) {
    let ada = House::build(cluster, "quokka", 0xada).await;
    let bob = House::build(cluster, "narwhal", 0xb0b).await;
    for in_files in [false, true] {
        if in_files {
            cluster.has_files(&ada.tenant.id, 1).await;
            cluster.has_files(&bob.tenant.id, 1).await;
        }
        sees_only_its_own(cluster, &ada, &bob).await;
        sees_only_its_own(cluster, &bob, &ada).await;
    }
}

async fn sees_only_its_own(cluster: &Cluster, own: &House, other: &House) {
    let client = &cluster.client;
    let mut asked = 0;
    for operation in operations(client).await.into_iter().filter(|operation| operation.method == "GET") {
        let mut urls = vec![operation.url(&|name| own.id(name)), operation.url(&|name| other.id(name))];
        let plain = urls[0].clone();
        let filters = operation.parameters.iter().map(|name| (name, other.id(name))).filter(|(_, id)| !id.is_empty());
        urls.extend(filters.map(|(name, id)| format!("{plain}?{name}={}", id.replace(' ', "%20"))));
        // An export is one of ten an hour: its filters are the scan's, which the lists have shown.
        if operation.path.ends_with("/export") {
            urls.truncate(1);
        }
        // Its only filter must be there.
        if operation.path.ends_with("/lookup") {
            urls = vec![format!("{plain}?model=gpt-4o")];
        }
        for url in urls {
            // By key and by token: both lead to the tenant, and nothing else does.
            for credential in [&own.key, &own.tenant.token] {
                let answer = client.send(client.at(Method::GET, &url).bearer_auth(credential)).await;
                // What is for owners is refused to their key.
                let refused = if operation.path.starts_with("/v1/audit-log") { 403 } else { 404 };
                assert!([200, refused].contains(&answer.status), "{url}: {}", answer.text());
                let everything = format!("{:?} {}", answer.headers, answer.text());
                for canary in other.canaries() {
                    assert!(!everything.contains(canary), "{url} shows '{canary}': {everything}");
                }
                asked += 1;
            }
        }
        // Naming the other's app does not help, wherever it is named.
        for request in [
            client.at(Method::GET, &plain).header("x-spanlake-app-id", &other.tenant.app),
            client.at(Method::GET, &plain).query(&[("appId", &other.tenant.app)]),
        ] {
            let answer = client.send(request.bearer_auth(&own.key)).await;
            let is_open = operation.path == "/.well-known/jwks.json";
            assert_eq!(answer.status, if is_open { 200 } else { 404 }, "{plain}: {}", answer.text());
        }
    }
    assert!(asked > 40, "the documents were read");
}

pub(crate) async fn the_same_ids_hold_each_tenants_own(cluster: &Cluster) {
    let ada = House::build(cluster, "walrus", 0xada1).await;
    let bob = House::build(cluster, "ocelot", 0xb0b1).await;
    for house in [&ada, &bob] {
        let path = format!("/v1/traces/{}", trace_id(SHARED_TRACE));
        let trace = cluster.client.get(&path, &house.key).await.data();
        assert_eq!((&trace["span_count"], &trace["name"]), (&json!(1), &json!(format!("{} span", house.word))));
        let span = format!("{path}/spans/{}", span_id(SHARED_SPAN));
        let span = cluster.client.get(&span, &house.key).await.data();
        assert_eq!(span["output"], format!("{} answer", house.word));
        assert_eq!(span["scores"], json!([]), "the score of the same id is of another trace by now");
        let score = cluster.client.get("/v1/scores/shared-score", &house.key).await.data();
        assert_eq!(score["name"], format!("{}-score", house.word));
        assert_eq!(cluster.client.get("/v1/traces", &house.key).await.rows().len(), 2);
        let export = cluster.client.get("/v1/traces/export", &house.key).await.text();
        assert_eq!(export.lines().count(), 3);
    }
}

/// Byte for byte: a difference would tell that the id exists.
pub(crate) async fn what_another_owns_answers_like_what_does_not_exist(cluster: &Cluster) {
    let ada = House::build(cluster, "badger", 0xada2).await;
    let bob = House::build(cluster, "heron", 0xb0b2).await;
    let span = span_id(SHARED_SPAN);
    let nothing = trace_id(0x404);
    let no_key = "01890000-0000-7000-8000-000000000000";
    let exported = cluster.client.post("/v1/exports", &bob.key, &json!({"destination": {"type": "file"}})).await;
    let exported = text(&exported.data(), "/id");
    let pairs = [
        (Method::GET, format!("/v1/exports/{exported}"), format!("/v1/exports/{no_key}")),
        (Method::GET, format!("/v1/exports/{exported}/runs"), format!("/v1/exports/{no_key}/runs")),
        (Method::GET, format!("/v1/exports/{exported}/manifest"), format!("/v1/exports/{no_key}/manifest")),
        (Method::POST, format!("/v1/exports/{exported}/cancel"), format!("/v1/exports/{no_key}/cancel")),
        (Method::POST, format!("/v1/exports/{exported}/resume"), format!("/v1/exports/{no_key}/resume")),
        (Method::GET, format!("/v1/traces/{}", bob.own), format!("/v1/traces/{nothing}")),
        (Method::GET, format!("/v1/traces/{}/spans/{span}", bob.own), format!("/v1/traces/{nothing}/spans/{span}")),
        (Method::GET, "/v1/scores/heron-score-id".into(), "/v1/scores/nobody-score-id".into()),
        (Method::DELETE, "/v1/scores/heron-score-id".into(), "/v1/scores/nobody-score-id".into()),
        (Method::GET, "/v1/sessions/heron-session".into(), "/v1/sessions/nobody-session".into()),
        (Method::DELETE, format!("/v1/api-keys/{}", bob.key_id), format!("/v1/api-keys/{no_key}")),
    ];
    for (method, foreign, unknown) in pairs {
        let mut answers = Vec::new();
        for path in [foreign, unknown] {
            let request = cluster.client.request(method.clone(), &path).bearer_auth(&ada.key);
            let answer = cluster.client.send(request.header("x-request-id", "the-same")).await;
            answer.refused(404, "not_found");
            answers.push(answer.body);
        }
        assert_eq!(answers[0], answers[1]);
    }
    assert_eq!(cluster.client.get("/v1/me", &bob.key).await.status, 200, "the key that was not hers to revoke works");
    let agent = json!({"name": "stolen", "kind": "agent", "agent_id": bob.agent});
    cluster.client.post("/v1/api-keys", &ada.tenant.token, &agent).await.refused(404, "not_found");
}

/// Ids go into paths of files; what looks like a path must not get there.
pub(crate) async fn ids_that_look_like_paths_touch_nothing(cluster: &Cluster) {
    let house = House::build(cluster, "lemur", 0xada3).await;
    let odd = ["..%2f..%2fsecret", "%2e%2e", "..%5c", "a%00b", "%E2%80%A5", "%ff"];
    for id in odd {
        for path in [format!("/v1/traces/{id}"), format!("/v1/traces/{}/spans/{id}", house.own)] {
            let answer = cluster.client.get(&path, &house.key).await;
            assert!([400, 404].contains(&answer.status), "{path}: {}", answer.text());
        }
    }
    let stored = crate::cluster::files_in(cluster.folder(), "parquet");
    assert!(stored.iter().all(|path| path.components().all(|part| part.as_os_str() != "..")));
}
