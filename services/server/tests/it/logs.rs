//! Log records at every door, and what is said of those that are not taken.

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use prost::Message as _;
use reqwest::Method;
use serde_json::json;
use spanlake_testkit::otlp::{self, span_id, trace_id};
use tonic::{Code, Request, Response, Status};

use crate::client::{JSON, PROTOBUF};
use crate::cluster::Cluster;
use crate::tenant::Tenant;

const PATHS: [&str; 3] = ["/v1/logs", "/api/ingest/v1/logs", "/api/public/otel/v1/logs"];

fn request(cluster: &Cluster, said: &[&str]) -> ExportLogsServiceRequest {
    let record = |said: &&str| otlp::user_message(trace_id(1), span_id(1), said, cluster.a_minute_ago());
    otlp::logs_request(said.iter().map(record).collect())
}

async fn grpc(
    cluster: &Cluster,
    key: &str,
    request: ExportLogsServiceRequest,
) -> Result<Response<ExportLogsServiceResponse>, Status> {
    let mut call = Request::new(request);
    call.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    cluster.client.grpc_logs().await.export(call).await
}

pub(crate) async fn every_door_takes_log_records_and_gives_a_receipt(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest"]).await;
    let agent = tenant.agent("sender").await;
    let bases = [&cluster.client.bases.ingest, &cluster.client.bases.otlp_http];
    for (path, base) in PATHS.into_iter().flat_map(|path| bases.map(|base| (path, base))) {
        let sent = otlp::logs_for_agent(request(cluster, &["hi"]), &agent);
        for (content_type, body, empty) in
            [(PROTOBUF, sent.encode_to_vec(), &b""[..]), (JSON, otlp::logs_json(&sent), &b"{}"[..])]
        {
            let request = cluster.client.at(Method::POST, &format!("{base}{path}")).bearer_auth(&key);
            let answer = cluster.client.send(request.header("content-type", content_type).body(body)).await;
            assert_eq!((answer.status, &*answer.body), (200, empty), "{base}{path}: {}", answer.text());
            assert!(!answer.header("x-spanlake-receipt").is_empty());
        }
    }
    let answer = grpc(cluster, &key, request(cluster, &["hi"])).await.unwrap();
    assert!(answer.metadata().contains_key("x-spanlake-receipt"));
    assert_eq!(answer.into_inner().partial_success, None);
}

pub(crate) async fn what_a_record_says_is_at_its_span_whichever_came_first(cluster: &Cluster) {
    let key = Tenant::sign_up(cluster).await.key(&["ingest", "read"]).await;
    for (number, logs_first) in [(1, true), (2, false)] {
        let trace = trace_id(number);
        let span = otlp::span(trace, span_id(1), "chat gpt-4o", cluster.a_minute_ago());
        let spans = ("/v1/traces", otlp::protobuf(vec![span]));
        // As fast as a clock of milliseconds: their order is the order they were sent in.
        let said = ["hi", "are you there?"].map(|said| {
            let mut record = otlp::user_message(trace, span_id(1), said, cluster.a_minute_ago());
            record.time_unix_nano -= record.time_unix_nano % 1_000_000;
            record
        });
        let logs = ("/v1/logs", otlp::logs_protobuf(said.to_vec()));
        // Sent again, as exporters do, they are still there once.
        let in_order = if logs_first { [&logs, &spans, &logs] } else { [&spans, &logs, &logs] };
        for (path, body) in in_order {
            assert_eq!(cluster.client.otlp(path, &key, PROTOBUF, body.clone()).await.status, 200);
        }
        let seen = cluster.client.get(&format!("/v1/traces/{trace}/spans/{}", span_id(1)), &key).await.data();
        let wanted = json!([{"role": "user", "content": "hi"}, {"role": "user", "content": "are you there?"}]);
        assert_eq!((&seen["input"], &seen["output"]), (&wanted, &json!(null)));
        let seen = cluster.client.get(&format!("/v1/traces/{trace}"), &key).await.data();
        assert_eq!(seen["span_count"], 1);
    }
}

pub(crate) async fn bad_records_are_refused_alone_and_counted(cluster: &Cluster) {
    let key = Tenant::sign_up(cluster).await.key(&["ingest"]).await;
    let mut sent = request(cluster, &["good", "of no trace", "of no time", "good"]);
    let records = &mut sent.resource_logs[0].scope_logs[0].log_records;
    records[1].trace_id.clear();
    records[2].time_unix_nano = 0;
    let is_partial = |rejected: i64, message: &str| {
        assert_eq!(rejected, 2);
        assert!(message.contains("2 of 4 log records rejected") && message.contains("session.id"), "{message}");
    };
    let answer = cluster.client.otlp("/v1/logs", &key, PROTOBUF, sent.encode_to_vec()).await;
    let partial = ExportLogsServiceResponse::decode(&*answer.body).unwrap().partial_success.unwrap();
    is_partial(partial.rejected_log_records, &partial.error_message);

    let answer = cluster.client.otlp("/v1/logs", &key, JSON, otlp::logs_json(&sent)).await.json();
    let partial = &answer["partialSuccess"];
    let rejected = partial["rejectedLogRecords"].as_str().unwrap().parse().unwrap();
    is_partial(rejected, partial["errorMessage"].as_str().unwrap());

    let partial = grpc(cluster, &key, sent).await.unwrap().into_inner().partial_success.unwrap();
    is_partial(partial.rejected_log_records, &partial.error_message);
}

pub(crate) async fn each_signal_is_told_its_own_path(cluster: &Cluster) {
    let key = Tenant::sign_up(cluster).await.key(&["ingest"]).await;
    let spans = otlp::request(vec![otlp::span(trace_id(1), span_id(1), "a span", cluster.a_minute_ago())]);
    let logs = request(cluster, &["hi"]);
    let cases = [
        ("/v1/logs", "/v1/traces", spans.encode_to_vec(), otlp::json(&spans)),
        ("/v1/traces", "/v1/logs", logs.encode_to_vec(), otlp::logs_json(&logs)),
    ];
    for (path, right, protobuf, json) in cases {
        for (content_type, body) in [(PROTOBUF, protobuf), (JSON, json)] {
            let answer = cluster.client.otlp(path, &key, content_type, body).await;
            assert_eq!((answer.status, answer.header("content-type")), (400, content_type));
            assert!(answer.text().contains(right), "{}", answer.text());
        }
    }
}

pub(crate) async fn an_agent_key_logs_for_its_agent_only(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let (own, other) = (tenant.agent("own").await, tenant.agent("other").await);
    let key = tenant.agent_key(&own).await;
    let of = |agent: &str| otlp::logs_for_agent(request(cluster, &["hi"]), agent);
    for path in PATHS {
        assert_eq!(cluster.client.otlp(path, &key, PROTOBUF, of(&own).encode_to_vec()).await.status, 200);
        let refused = cluster.client.otlp(path, &key, PROTOBUF, of(&other).encode_to_vec()).await;
        assert_eq!(refused.status, 403, "{path}: {}", refused.text());
    }
    assert_eq!(grpc(cluster, &key, of(&other)).await.unwrap_err().code(), Code::PermissionDenied);
    // On AgentOS' path a workspace key says whose records they are.
    let key = tenant.key(&["ingest"]).await;
    let unnamed = request(cluster, &["hi"]).encode_to_vec();
    assert_eq!(cluster.client.otlp(PATHS[1], &key, PROTOBUF, unnamed).await.status, 400);
}
