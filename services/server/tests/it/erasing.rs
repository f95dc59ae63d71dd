//! What is deleted is gone: for every reader at once, from the disk soon, and there is proof.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use spanlake_model::{Timestamp, TraceId};
use spanlake_testkit::eventually;
use spanlake_testkit::otlp::{self, span_id, text as attribute, trace_id};

use crate::client::Answer;
use crate::cluster::Cluster;
use crate::tenant::{Tenant, text};

/// What must be nowhere in the end.
const CANARY: &str = "the canary of ada";
const GONE: u128 = 0xada;
const STAYS: u128 = 0xb0b;

/// A tenant with two traces: one of ada's, which names her and her session in one of its spans only, and one of bob's.
struct House {
    tenant: Tenant,
    key: String,
}

impl House {
    /// Half of each trace in a file, the other in memory or on its way.
    async fn build(cluster: &Cluster) -> Self {
        let tenant = Tenant::sign_up(cluster).await;
        let key = tenant.key(&["ingest", "read", "export", "admin"]).await;
        let house = Self { tenant, key };
        house.send(cluster, 1, true).await;
        cluster.has_files(&house.tenant.id, 1).await;
        house.send(cluster, 2, false).await;
        house
    }

    async fn send(&self, cluster: &Cluster, number: u64, is_signed: bool) {
        let start = cluster.a_minute_ago();
        let span = |trace: u128, who: &str, says: &str| {
            let mut span = otlp::span(trace_id(trace), span_id(number), "chat", start);
            span.attributes =
                vec![attribute("gen_ai.operation.name", "chat"), attribute("gen_ai.output.messages", says)];
            if is_signed {
                span.attributes.push(attribute("user.id", who));
                span.attributes.push(attribute("session.id", &format!("{who}-session")));
            }
            span
        };
        let spans = vec![span(GONE, "ada", CANARY), span(STAYS, "bob", "bob's own")];
        cluster.client.ingest(&self.key, otlp::protobuf(spans)).await;
    }

    async fn delete(&self, cluster: &Cluster, body: &Value) -> Value {
        let answer = cluster.client.post("/v1/deletions", &self.key, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.data()
    }

    async fn shows(&self, cluster: &Cluster, traces: &[u128]) {
        let ids = |traces: &[u128]| traces.iter().map(|trace| trace_id(*trace).to_string()).collect::<Vec<_>>();
        let client = &cluster.client;
        let mut list: Vec<_> =
            client.get("/v1/traces", &self.key).await.rows().iter().map(|row| text(row, "/id")).collect();
        list.sort();
        assert_eq!(list, ids(traces));
        let spans = client.get("/v1/spans", &self.key).await.rows();
        assert_eq!(spans.len(), 2 * traces.len());
        for trace in [GONE, STAYS] {
            let status = if traces.contains(&trace) { 200 } else { 404 };
            let trace = trace_id(trace);
            assert_eq!(client.get(&format!("/v1/traces/{trace}"), &self.key).await.status, status);
            for number in [1, 2] {
                let path = format!("/v1/traces/{trace}/spans/{}", span_id(number));
                assert_eq!(client.get(&path, &self.key).await.status, status, "{path}");
            }
        }
        let export = client.get("/v1/traces/export", &self.key).await.text();
        assert_eq!(export.contains(CANARY), traces.contains(&GONE));
        assert_eq!(export.lines().count(), 2 * traces.len() + 1, "the spans and the trailer");
    }

    /// The receipt, once the deletion is there.
    async fn receipt(&self, cluster: &Cluster, id: &str, status: &str) -> Value {
        let path = format!("/v1/deletions/{id}");
        let look = || async {
            let receipt = cluster.client.get(&path, &self.key).await.data();
            (receipt["status"] == status).then_some(receipt)
        };
        eventually(&format!("the deletion is {status}"), look).await
    }
}

/// What to ask for, and which traces it leaves.
type Asked = (Value, &'static [u128]);

pub(crate) async fn what_is_deleted_is_gone_at_once_and_from_the_disk_with_a_receipt(cluster: &Cluster) {
    let deletions: [fn(&House) -> Asked; 5] = [
        |_| (json!({"trace_ids": [trace_id(GONE).to_string()]}), &[STAYS]),
        |_| (json!({"user_id": "ada"}), &[STAYS]),
        |_| (json!({"session_id": "ada-session"}), &[STAYS]),
        |house| (json!({"app_id": house.tenant.app}), &[]),
        |house| (json!({"tenant_id": house.tenant.id}), &[]),
    ];
    let bystander = House::build(cluster).await;
    join_all(deletions.map(|deletion| deleted(cluster, deletion))).await;
    bystander.shows(cluster, &[GONE, STAYS]).await;
    assert!(cluster.stored(&bystander.tenant.id).await.contains(CANARY), "where it was not deleted it can be found");
}

async fn deleted(cluster: &Cluster, deletion: fn(&House) -> Asked) {
    let house = House::build(cluster).await;
    house.shows(cluster, &[GONE, STAYS]).await;
    let (body, left) = deletion(&house);
    let id = match body.get("tenant_id") {
        None => text(&house.delete(cluster, &body).await, "/id"),
        // For the owner, and nobody else.
        Some(_) => {
            cluster.client.post("/v1/deletions", &house.key, &body).await.refused(403, "forbidden");
            text(&cluster.client.post("/v1/deletions", &house.tenant.token, &body).await.data(), "/id")
        }
    };
    house.shows(cluster, left).await;
    let receipt = house.receipt(cluster, &id, "finished").await;
    house.shows(cluster, left).await;
    let stored = cluster.stored(&house.tenant.id).await;
    assert!(!stored.contains(CANARY) && !stored.contains(&trace_id(GONE).to_string()), "{body}: on disk");
    assert_eq!(stored.contains("bob's own"), left.contains(&STAYS));
    proves(cluster, &house, &receipt, if left.is_empty() { 4 } else { 2 });
    // What comes now is new.
    let late = otlp::span(trace_id(GONE), span_id(9), "late", cluster.a_minute_ago());
    cluster.client.ingest(&house.key, otlp::protobuf(vec![late])).await;
    let spans = cluster.client.get(&format!("/v1/traces/{}", trace_id(GONE)), &house.key).await.data();
    assert_eq!(spans["spans"].as_array().unwrap().len(), 1);
}

/// The receipt names files that are gone, and that held so many rows.
fn proves(cluster: &Cluster, house: &House, receipt: &Value, rows: u64) {
    let files = receipt["files"].as_array().unwrap();
    assert_eq!((&receipt["rows"], &receipt["file_count"]), (&json!(rows), &json!(files.len())), "{receipt}");
    assert_eq!(files.iter().map(|file| file["rows"].as_u64().unwrap()).sum::<u64>(), rows);
    let names = cluster.file_names(&house.tenant.id);
    for file in files {
        assert!(!names.iter().any(|name| name.contains(&text(file, "/id"))), "{file} is still there: {names:?}");
    }
    let times = ["requested_at", "rewritten_at", "finished_at"].map(|name| text(receipt, &format!("/{name}")));
    let times = times.map(|time| Timestamp::parse(&time).unwrap());
    assert!(times.is_sorted(), "{times:?}");
    // In quotes: an id may spell the name in its digits.
    let said = receipt.to_string();
    assert!(!said.contains("\"ada\"") && !said.contains("ada-session"), "whom it was about is not kept");
}

pub(crate) async fn a_deleted_trace_answers_like_one_that_never_was(cluster: &Cluster) {
    let (house, other) = (House::build(cluster).await, House::build(cluster).await);
    let delete = async |house: &House, trace: TraceId| -> Answer {
        let request = cluster.client.request(Method::DELETE, &format!("/v1/traces/{trace}"));
        cluster.client.send(request.bearer_auth(&house.key).header("x-request-id", "same")).await
    };
    assert_eq!(delete(&house, trace_id(GONE)).await.status, 204);
    let never = delete(&house, trace_id(0xdead)).await;
    never.refused(404, "not_found");
    assert_eq!(delete(&house, trace_id(GONE)).await.body, never.body, "deleted twice");
    house.shows(cluster, &[STAYS]).await;
    other.shows(cluster, &[GONE, STAYS]).await;
    // Another tenant's receipt is as if it did not exist.
    let id = text(&other.delete(cluster, &json!({"session_id": "nobody's"})).await, "/id");
    cluster.client.get(&format!("/v1/deletions/{id}"), &house.key).await.refused(404, "not_found");
    let empty = other.receipt(cluster, &id, "finished").await;
    assert_eq!((&empty["traces"], &empty["files"]), (&json!(0), &json!([])));
}

pub(crate) async fn a_read_while_files_are_rewritten_neither_misses_nor_doubles_a_row(cluster: &Cluster) {
    let house = House::build(cluster).await;
    let path = format!("/v1/spans?trace_id={}", trace_id(GONE));
    let id = text(&house.delete(cluster, &json!({"user_id": "ada"})).await, "/id");
    // Until long after its files have been rewritten and deleted.
    let mut is_over = false;
    while !is_over {
        is_over = cluster.client.get(&format!("/v1/deletions/{id}"), &house.key).await.data()["status"] == "finished";
        assert_eq!(cluster.client.get(&path, &house.key).await.rows(), Vec::<Value>::new());
        let stays = cluster.client.get(&format!("/v1/spans?trace_id={}", trace_id(STAYS)), &house.key).await.rows();
        assert_eq!(stays.len(), 2, "neither twice nor missing while its file is replaced");
    }
}

pub(crate) async fn spans_past_their_time_are_not_shown(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    let ages = [(1, 60), (2, 3 * 86_400), (3, 5 * 86_400)];
    for (number, seconds) in ages {
        let start = cluster.now().minus(Duration::from_secs(seconds));
        let span = otlp::span(trace_id(number), span_id(1), "aged", start);
        cluster.client.ingest(&key, otlp::protobuf(vec![span])).await;
    }
    let seen = async || cluster.client.get("/v1/spans", &key).await.rows().len();
    assert_eq!(seen().await, 3);
    let keep = async |days: Value| {
        let request = cluster.client.request(Method::PUT, "/v1/retention").bearer_auth(&tenant.token);
        cluster.client.send(request.json(&json!({"spans_days": days}))).await.data()
    };
    for (days, left) in [(json!(4), 2), (json!(2), 1)] {
        assert_eq!(keep(days.clone()).await["spans_days"], days);
        assert_eq!(seen().await, left);
    }
    assert_eq!(cluster.client.get(&format!("/v1/traces/{}", trace_id(2)), &key).await.status, 404);
}

pub(crate) async fn a_deleted_tenant_lets_nobody_in_and_leaves_the_disk(cluster: &Cluster) {
    let house = House::build(cluster).await;
    let (client, id) = (&cluster.client, house.tenant.id.clone());
    let neighbour = House::build(cluster).await;
    assert!(cluster.stored(&id).await.contains(CANARY));
    let path = format!("/v1/tenant?confirm={id}");
    let deleted = client.delete(&path, &house.tenant.token).await;
    assert_eq!(deleted.status, 202, "{}", deleted.text());
    eventually("nobody gets in", || async {
        let mut statuses = Vec::new();
        for path in ["/v1/me", "/v1/traces", "/v1/traces/export?limit=0"] {
            statuses.push(client.get(path, &house.key).await.status);
        }
        statuses.iter().all(|status| *status == 401).then_some(())
    })
    .await;
    let look = || std::future::ready((cluster.files(&id) == 0).then_some(()));
    eventually("no file of the tenant is left", look).await;
    neighbour.shows(cluster, &[GONE, STAYS]).await;
    let receipt = format!("/v1/tenant-deletions/{}", text(&deleted.data(), "/receipt"));
    let proof = client.send(client.request(Method::GET, &receipt)).await.data();
    assert_eq!(proof["status"], "deleting", "what was in memory may come for an hour");
}

pub(crate) async fn a_deleted_app_has_a_receipt_of_its_own_id(cluster: &Cluster) {
    let (tenant, stranger) = (Tenant::sign_up(cluster).await, Tenant::sign_up(cluster).await);
    let client = &cluster.client;
    let app = text(&client.post("/v1/apps", &tenant.token, &json!({"name": "closing"})).await.data(), "/id");
    let receipt = format!("/v1/deletions/{app}");
    client.get(&receipt, &tenant.token).await.refused(404, "not_found");
    assert_eq!(client.delete(&format!("/v1/apps/{app}"), &tenant.token).await.status, 204);
    let shown = client.get(&receipt, &tenant.token).await.data();
    assert_eq!((&shown["status"], &shown["subject"], &shown["app_id"]), (&json!("hidden"), &json!("app"), &json!(app)));
    client.get(&receipt, &stranger.token).await.refused(404, "not_found");
}
