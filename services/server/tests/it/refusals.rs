//! Who may do what: the golden table of operations, held against the documents and against the routes.

use std::collections::BTreeSet;
use std::time::Duration;

use prost::Message as _;
use reqwest::Method;
use serde_json::json;
use spanlake_access::key;
use spanlake_testkit::otlp::{self, span_id, trace_id};
use spanlake_testkit::{SeededEntropy, eventually};
use tonic::codegen::{Bytes, Service as _, http};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::client::{Answer, Client};
use crate::cluster::{Cluster, INTERNAL_TOKEN};
use crate::document::{Operation, operations};
use crate::tenant::{Tenant, text};

/// Who may use which operation, as the routers declare it. Whoever adds a route, or opens one to others, changes this file too.
const TABLE: &str = include_str!("permissions.txt");

/// Answered by every service, and in no document since they are not the API: health and the document itself.
const BESIDE: [&str; 3] = ["/livez", "/readyz", "/v1/openapi.json"];

const SCOPES: [&str; 5] = ["ingest", "read", "export", "score", "admin"];

pub(crate) async fn every_documented_operation_says_who_may_use_it(cluster: &Cluster) {
    let mut all = operations(&cluster.client).await;
    all.sort_by(|one, two| (&one.path, &one.method).cmp(&(&two.path, &two.method)));
    let declared: String = all.iter().map(|one| format!("{:10} {}\n", one.permission, one.name())).collect();
    assert_eq!(
        declared, TABLE,
        "what the routers declare is not what permissions.txt says; it would have to be\n{declared}"
    );
}

pub(crate) async fn strangers_are_refused_everywhere(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let client = &cluster.client;
    let other_key = tenant.key(&["read"]).await;
    let mut credentials: Vec<Option<String>> = vec![None];
    credentials.extend(["nonsense", "a.b.c"].map(|text| Some(format!("Bearer {text}"))));
    credentials.extend([Some("Basic bm86b25l".to_owned()), Some(forged(&other_key))]);
    credentials.extend(over(cluster, &tenant).await.into_iter().map(|key| Some(format!("Bearer {key}"))));
    for operation in guarded(client).await {
        // Whatever they ask for: also what makes no sense.
        for url in [operation.url(&well_formed), format!("{}?nobody=knows", operation.url(&|_| "no-id".into()))] {
            for credential in &credentials {
                let mut request = client.at(operation.method(), &url).header("content-type", "application/json");
                if let Some(credential) = credential {
                    request = request.header("authorization", credential);
                }
                let answer = client.send(request.body("{")).await;
                is_refused(&operation, &answer, 401, "unauthenticated");
            }
        }
    }
}

/// What was good once, for everything: an expired key, a revoked one, and the access token of an owner who was removed. Every
/// service has met each of them.
async fn over(cluster: &Cluster, tenant: &Tenant) -> [String; 3] {
    let client = &cluster.client;
    let new = |expires_at: Option<String>| json!({"name": "over", "kind": "workspace", "scopes": SCOPES, "expires_at": expires_at});
    let end = cluster.now().plus(Duration::from_secs(2)).to_string();
    let (expires, revoked) = (tenant.new_key(&new(Some(end))).await, tenant.new_key(&new(None)).await);
    let guest = tenant.member("owner").await;
    let credentials = [text(&expires, "/key"), text(&revoked, "/key"), guest.token];
    for credential in &credentials {
        meets_every_service(client, credential).await;
    }
    for path in [format!("/v1/api-keys/{}", text(&revoked, "/id")), format!("/v1/members/{}", guest.id)] {
        assert_eq!(client.delete(&path, &tenant.token).await.status, 204, "{path}");
    }
    eventually("what is over is refused by every service", || async {
        for credential in &credentials {
            if meets_every_service(client, credential).await.iter().any(|status| *status != 401) {
                return None;
            }
        }
        Some(())
    })
    .await;
    credentials
}

/// Asks each service for what changes nothing.
async fn meets_every_service(client: &Client, credential: &str) -> [u16; 4] {
    let mut statuses = [0; 4];
    for (status, path) in statuses.iter_mut().zip(["/v1/me", "/v1/traces", "/v1/traces/export?limit=0"]) {
        *status = client.get(path, credential).await.status;
    }
    statuses[3] = client.otlp("/v1/traces", credential, crate::client::PROTOBUF, Vec::new()).await.status;
    statuses
}

/// A key with the id of a real one and a right checksum, whose secret was never issued.
fn forged(key: &str) -> String {
    let id = key::parse(key).unwrap().id;
    format!("Bearer {}", key::generate(key::Kind::Workspace, id, &SeededEntropy::new(7)))
}

pub(crate) async fn a_key_without_the_scope_is_refused_everywhere(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let client = &cluster.client;
    for scope in SCOPES {
        let others: Vec<_> = SCOPES.into_iter().filter(|other| *other != scope).collect();
        let (without, with) = (tenant.key(&others).await, tenant.key(&[scope]).await);
        for operation in guarded(client).await.into_iter().filter(|operation| operation.permission == scope) {
            let ask = |key: &str, url: &str| {
                let request =
                    client.at(operation.method(), url).bearer_auth(key).header("content-type", "application/json");
                client.send(request.body("{"))
            };
            for url in [operation.url(&well_formed), format!("{}?nobody=knows", operation.url(&|_| "no-id".into()))] {
                let answer = ask(&without, &url).await;
                is_refused(&operation, &answer, 403, "forbidden");
                assert!(answer.text().contains(scope), "it says which scope is missing: {}", answer.text());
            }
            let answer = ask(&with, &operation.url(&well_formed)).await;
            assert!(![401, 403].contains(&answer.status), "{}: {}", operation.name(), answer.text());
        }
    }
}

pub(crate) async fn what_is_for_owners_is_refused_to_every_key(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let client = &cluster.client;
    let key = tenant.key(&SCOPES).await;
    let operations = guarded(client).await.into_iter().filter(|operation| operation.permission == "owner");
    let mut asked = 0;
    for operation in operations {
        for url in [operation.url(&well_formed), format!("{}?nobody=knows", operation.url(&|_| "no-id".into()))] {
            let request = client.at(operation.method(), &url).bearer_auth(&key);
            let answer = client.send(request.header("content-type", "application/json").body("{")).await;
            is_refused(&operation, &answer, 403, "forbidden");
            let request = client.at(operation.method(), &url).bearer_auth(&tenant.token);
            let answer = client.send(request.header("content-type", "application/json").body("{")).await;
            assert!(![401, 403].contains(&answer.status), "{}: {}", operation.name(), answer.text());
            asked += 1;
        }
    }
    assert_eq!(asked, 8);
}

/// What each role may do, beside the table's permissions. An owner may all of it.
const ROLES: [(&str, &[&str]); 3] = [
    ("viewer", &["credential", "read"]),
    ("member", &["credential", "ingest", "read", "export", "score"]),
    ("admin", &["credential", "ingest", "read", "export", "score", "admin"]),
];

pub(crate) async fn each_role_opens_what_the_table_says_and_nothing_else(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let client = &cluster.client;
    let (mut opened, mut refused) = (0, 0);
    for (role, may) in ROLES {
        let token = tenant.member(role).await.token;
        for operation in guarded(client).await {
            let request = client.at(operation.method(), &operation.url(&well_formed)).bearer_auth(&token);
            // Broken off, so that nothing comes of what is let in.
            let answer = client.send(request.header("content-type", "application/json").body("{")).await;
            if may.contains(&operation.permission.as_str()) {
                assert!(![401, 403].contains(&answer.status), "{role} {}: {}", operation.name(), answer.text());
                opened += 1;
            } else {
                is_refused(&operation, &answer, 403, "forbidden");
                refused += 1;
            }
        }
    }
    assert!(opened > 100 && refused > 60, "{opened} and {refused}");
}

/// A route that is in no document would be a route that the other stories do not hold against the table.
pub(crate) async fn what_is_not_documented_is_not_there(cluster: &Cluster) {
    let client = &cluster.client;
    let documented = operations(client).await;
    let paths: BTreeSet<&str> = documented.iter().map(|operation| &*operation.path).collect();
    let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    for base in client.bases.distinct() {
        for path in &paths {
            let own: Vec<_> = documented.iter().filter(|one| one.path == *path && one.base == base).collect();
            let blank = Operation {
                method: String::new(),
                path: (*path).into(),
                base: base.into(),
                parameters: vec![],
                permission: String::new(),
            };
            for method in &methods {
                if own.iter().any(|operation| operation.method() == *method) {
                    continue;
                }
                let answer = client.send(client.at(method.clone(), &blank.url(&well_formed))).await;
                match own.is_empty() {
                    // `/v1/traces/export` looks like a trace's path to a service that has no export.
                    true => {
                        assert!([401, 404, 405].contains(&answer.status), "{method} {base}{path}: {}", answer.text())
                    }
                    false => assert_eq!(answer.status, 405, "{method} {base}{path}: {}", answer.text()),
                }
            }
        }
        for path in BESIDE {
            assert_eq!(client.send(client.at(Method::GET, &format!("{base}{path}"))).await.status, 200, "{path}");
        }
        for path in
            ["/", "/metrics", "/v1", "/v1/", "/v1/traces/", "/v2/traces", "/debug/pprof", "/v1/traces/../nothing/x"]
        {
            let answer = client.send(client.at(Method::GET, &format!("{base}{path}"))).await;
            answer.refused(404, "not_found");
        }
    }
}

pub(crate) async fn grpc_refuses_strangers_and_keys_without_the_scope(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let read = tenant.key(&["read", "export", "score", "admin"]).await;
    let (viewer, all) = (tenant.member("viewer").await.token, tenant.key(&SCOPES).await);
    let (over, forged) = (over(cluster, &tenant).await, forged(&read));
    let forged = forged.strip_prefix("Bearer ").unwrap();
    let mut cases = vec![
        (None, None, Code::Unauthenticated),
        (Some("nonsense"), None, Code::Unauthenticated),
        (Some("a.b.c"), None, Code::Unauthenticated),
        (Some(forged), None, Code::Unauthenticated),
        (Some(&*read), None, Code::PermissionDenied),
        (Some(&*viewer), None, Code::PermissionDenied),
    ];
    cases.extend(over.iter().map(|credential| (Some(credential.as_str()), None, Code::Unauthenticated)));
    // Into another tenant's app.
    let stranger = Tenant::sign_up(cluster).await;
    cases.push((Some(&*all), Some(&stranger.app), Code::NotFound));
    for (key, app, wanted) in cases {
        let span = otlp::span(trace_id(1), span_id(1), "refused", cluster.a_minute_ago());
        let record = otlp::user_message(trace_id(1), span_id(1), "refused", cluster.a_minute_ago());
        let mut spans = tonic::Request::new(otlp::request(vec![span]));
        let mut logs = tonic::Request::new(otlp::logs_request(vec![record]));
        if let Some(key) = key {
            let bearer: tonic::metadata::MetadataValue<_> = format!("Bearer {key}").parse().unwrap();
            spans.metadata_mut().insert("authorization", bearer.clone());
            logs.metadata_mut().insert("authorization", bearer);
        }
        if let Some(app) = app {
            for metadata in [spans.metadata_mut(), logs.metadata_mut()] {
                metadata.insert("x-spanlake-app-id", app.parse().unwrap());
            }
        }
        let of_spans = cluster.client.grpc().await.export(spans).await.unwrap_err();
        let of_logs = cluster.client.grpc_logs().await.export(logs).await.unwrap_err();
        for status in [of_spans, of_logs] {
            assert_eq!(status.code(), wanted, "{status:?}");
            assert!(status.message().len() > 10, "{status:?}");
        }
    }
    let stranger = stranger.key(&["read"]).await;
    for key in [&read, &stranger] {
        assert_eq!(cluster.client.get("/v1/spans", key).await.rows(), Vec::<serde_json::Value>::new());
    }
}

/// A method of each service's own port.
const INTERNAL: [(&str, &str); 5] = [
    ("auth", "/spanlake.auth.v1.Auth/GetTenant"),
    ("ingest", "/arrow.flight.protocol.FlightService/DoGet"),
    ("query", "/arrow.flight.protocol.FlightService/DoGet"),
    ("export", "/spanlake.export.v1.Export/Stream"),
    ("compactor", "/spanlake.compactor.v1.Compactor/RunOnce"),
];

pub(crate) async fn internal_ports_refuse_who_does_not_show_the_token(cluster: &Cluster) {
    let key = Tenant::sign_up(cluster).await.key(&SCOPES).await;
    for (role, base) in cluster.internal() {
        let path = INTERNAL.iter().find(|(known, _)| *known == role).unwrap().1;
        for stranger in [None, Some("a-token-nobody-has-ever-given-out"), Some(&*key)] {
            assert_eq!(call(&base, path, stranger).await, Code::Unauthenticated, "{role} {stranger:?}");
        }
        let known = call(&base, path, Some(INTERNAL_TOKEN)).await;
        assert!(![Code::Unauthenticated, Code::Unimplemented].contains(&known), "{role}: {known:?}");
    }
}

/// A gRPC call with an empty message; answers its code.
async fn call(base: &str, path: &str, token: Option<&str>) -> Code {
    let mut channel = Channel::from_shared(base.to_owned()).unwrap().connect().await.unwrap();
    let mut request = http::Request::post(format!("{base}{path}")).header("content-type", "application/grpc");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    // Not compressed, no bytes.
    let message = tonic::body::Body::new(axum::body::Body::from(Bytes::from_static(&[0; 5])));
    futures::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let response = channel.call(request.body(message).unwrap()).await.unwrap();
    match Status::from_header_map(response.headers()) {
        Some(status) => status.code(),
        // An answer that began well says how it ended in its trailers; that is past the door.
        None => Code::Ok,
    }
}

pub(crate) async fn an_access_token_reads_and_a_refresh_token_opens_nothing(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let client = &cluster.client;
    assert_eq!(client.get("/v1/traces", &tenant.token).await.rows().len(), 0);
    let login = json!({"email": tenant.email, "password": crate::tenant::PASSWORD});
    let session = client.send(client.request(Method::POST, "/v1/login").json(&login)).await.data();
    let (access, refresh) = (text(&session, "/access_token"), text(&session, "/refresh_token"));
    assert_eq!(client.get("/v1/me", &access).await.data()["member"]["email"], tenant.email);
    client.get("/v1/me", &refresh).await.refused(401, "unauthenticated");
    let wrong = json!({"email": tenant.email, "password": "not this one"});
    client.send(client.request(Method::POST, "/v1/login").json(&wrong)).await.refused(401, "unauthenticated");
    // A token is of no use once somebody has put his hand to it.
    let tampered = format!("{}x", &access[..access.len() - 1]);
    client.get("/v1/traces", &tampered).await.refused(401, "unauthenticated");
}

pub(crate) async fn guarded(client: &Client) -> Vec<Operation> {
    operations(client).await.into_iter().filter(|operation| operation.permission != "anyone").collect()
}

/// An id of the right shape, of nothing.
fn well_formed(name: &str) -> String {
    match name {
        "span_id" => span_id(0xdead).to_string(),
        _ => trace_id(0xdead).to_string(),
    }
}

/// In the envelope of the route: ours, or OTLP's.
pub(crate) fn is_refused(operation: &Operation, answer: &Answer, status: u16, code: &str) {
    if operation.permission == "ingest" {
        assert_eq!(answer.status, status, "{}: {}", operation.name(), answer.text());
        assert!(answer.json()["message"].as_str().is_some_and(|message| message.len() > 10), "{}", answer.text());
        return;
    }
    assert_eq!(answer.status, status, "{}: {}", operation.name(), answer.text());
    answer.refused(status, code);
}

pub(crate) async fn nothing_of_a_refused_request_is_kept(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let (read, ingest) = (tenant.key(&["read"]).await, tenant.key(&["ingest"]).await);
    let span = otlp::span(trace_id(1), span_id(1), "refused", cluster.a_minute_ago());
    let body = otlp::request(vec![span]).encode_to_vec();
    let answer = cluster.client.otlp("/v1/traces", &read, crate::client::PROTOBUF, body.clone()).await;
    assert_eq!(answer.status, 403);
    assert_eq!(cluster.client.get("/v1/spans", &read).await.rows().len(), 0);
    cluster.client.ingest(&ingest, body).await;
    assert_eq!(cluster.client.get("/v1/spans", &read).await.rows().len(), 1);
}
