//! Every path that SDKs send to, with every way they send a credential.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use reqwest::Method;
use serde_json::json;
use spanlake_testkit::otlp::{self, span_id, trace_id};

use crate::client::PROTOBUF;
use crate::cluster::Cluster;
use crate::tenant::{Tenant, text};

const PATHS: [&str; 3] = ["/v1/traces", "/api/ingest/v1/traces", "/api/public/otel/v1/traces"];

pub(crate) async fn every_otlp_path_takes_every_way_to_send_a_key(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let made = tenant.new_key(&json!({"name": "all", "kind": "workspace"})).await;
    let (key, public) = (text(&made, "/key"), text(&made, "/public_key"));
    assert_eq!(made["secret_key"], key.as_str());
    let agent = tenant.agent("sender").await;
    let basic = format!("Basic {}", STANDARD.encode(format!("{public}:{key}")));
    let credentials = [
        format!("Bearer {key}"),
        key.clone(),
        basic.clone(),
        format!("Bearer%20{key}"),
        basic.replace(' ', "%20").replace('=', "%3D"),
    ];
    let mut number = 0;
    let bases = [&cluster.client.bases.ingest, &cluster.client.bases.otlp_http];
    for (path, base) in PATHS.into_iter().flat_map(|path| bases.map(|base| (path, base))) {
        for credential in &credentials {
            number += 1;
            let span = otlp::span(trace_id(0xd00), span_id(number), "sent", cluster.a_minute_ago());
            let body = otlp::for_agent(otlp::request(vec![span]), &agent).encode_to_vec();
            let request = cluster.client.at(Method::POST, &format!("{base}{path}")).header("authorization", credential);
            let answer = cluster.client.send(request.header("content-type", PROTOBUF).body(body)).await;
            assert_eq!(answer.status, 200, "{base}{path} {credential}: {}", answer.text());
        }
    }
    let trace = cluster.client.get(&format!("/v1/traces/{}", trace_id(0xd00)), &key).await.data();
    assert_eq!((&trace["span_count"], &trace["agent_id"]), (&json!(number), &json!(agent)));
}

pub(crate) async fn a_public_and_a_secret_key_of_two_pairs_are_refused(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let new = json!({"name": "pair", "kind": "workspace"});
    let (one, two) = (tenant.new_key(&new).await, tenant.new_key(&new).await);
    let pair = format!("{}:{}", text(&one, "/public_key"), text(&two, "/secret_key"));
    let request = cluster.client.request(Method::GET, "/v1/traces");
    let request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
    cluster.client.send(request).await.refused(401, "unauthenticated");
}
