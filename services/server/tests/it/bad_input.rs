//! What cannot be taken is refused in words that say what to do, and takes nothing else down with it.

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use prost::Message;
use reqwest::Method;
use serde_json::{Value, json};
use spanlake_testkit::otlp::{self, span_id, trace_id};
use tonic::Code;

use crate::client::{Answer, JSON, PROTOBUF};
use crate::cluster::{Cluster, REQUEST_BYTES_MAX};
use crate::journey::gzip;
use crate::tenant::Tenant;

/// `google.rpc.Status`, as far as we use it.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;

/// A `google.rpc.Status` in the encoding of the request.
#[track_caller]
fn is_status(answer: &Answer, http: u16, content_type: &str, code: i32) -> String {
    assert_eq!((answer.status, answer.header("content-type")), (http, content_type), "{}", answer.text());
    let status = match content_type {
        PROTOBUF => Status::decode(&*answer.body).unwrap(),
        _ => {
            let body = answer.json();
            Status { code: body["code"].as_i64().unwrap() as i32, message: body["message"].as_str().unwrap().into() }
        }
    };
    assert_eq!(status.code, code, "{status:?}");
    assert!(status.message.len() > 10, "{status:?}");
    status.message
}

pub(crate) async fn a_body_of_another_type_is_told_which_to_send(cluster: &Cluster) {
    let key = Tenant::sign_up(cluster).await.key(&["ingest"]).await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let answer = cluster.client.otlp("/v1/traces", &key, content_type, b"{}".to_vec()).await;
        assert_eq!(answer.status, 415);
        assert!(answer.text().contains("application/x-protobuf"), "{}", answer.text());
    }
    let request = cluster.client.request(Method::POST, "/v1/traces").bearer_auth(&key);
    let request = request.header("content-type", PROTOBUF).header("content-encoding", "br");
    assert_eq!(cluster.client.send(request.body("x")).await.status, 415);
    // Case and parameters are no other type.
    let answer = cluster.client.otlp("/v1/traces", &key, "Application/JSON;charset=UTF-8", b"{}".to_vec()).await;
    assert_eq!(answer.status, 200);
    let answer = cluster.client.send(cluster.client.request(Method::PUT, "/v1/traces").bearer_auth(&key)).await;
    assert_eq!(answer.status, 405);
}

pub(crate) async fn what_cannot_be_decoded_is_refused_in_its_own_encoding(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    for (content_type, body) in [(PROTOBUF, &b"\xff\xff\xff"[..]), (JSON, b"{\"resourceSpans\": 7}"), (JSON, b"[")] {
        let answer = cluster.client.otlp("/v1/traces", &key, content_type, body.to_vec()).await;
        is_status(&answer, 400, content_type, INVALID_ARGUMENT);
        let request = cluster.client.request(Method::POST, "/v1/traces").bearer_auth(&key);
        let request = request.header("content-type", content_type).header("content-encoding", "gzip");
        let answer = cluster.client.send(request.body(&b"no gzip"[..])).await;
        is_status(&answer, 400, content_type, INVALID_ARGUMENT);
    }
    assert_eq!(cluster.client.get("/v1/spans", &key).await.rows().len(), 0);
}

pub(crate) async fn an_oversize_request_is_refused_plain_and_unpacked(cluster: &Cluster) {
    let key = Tenant::sign_up(cluster).await.key(&["ingest"]).await;
    let send = async |content_type: &str, encoding: &str, body: Vec<u8>| {
        let request = cluster.client.request(Method::POST, "/v1/traces").bearer_auth(&key);
        let request = request.header("content-type", content_type).header("content-encoding", encoding);
        cluster.client.send(request.body(body)).await
    };
    let large = vec![b' '; REQUEST_BYTES_MAX + 1];
    for content_type in [PROTOBUF, JSON] {
        for (encoding, body) in
            [("identity", large.clone()), ("gzip", gzip(&large)), ("zstd", zstd::encode_all(&*large, 3).unwrap())]
        {
            let answer = send(content_type, encoding, body).await;
            is_status(&answer, 413, content_type, RESOURCE_EXHAUSTED);
            assert!(!answer.headers.contains_key("retry-after"), "it will never fit");
        }
    }
    // One byte less fits: JSON may begin with as many spaces as it likes.
    let mut fits = vec![b' '; REQUEST_BYTES_MAX - 2];
    fits.extend(b"{}");
    assert_eq!(send(JSON, "identity", fits).await.status, 200);

    let name = "x".repeat(REQUEST_BYTES_MAX);
    let span = otlp::span(trace_id(1), span_id(1), &name, cluster.a_minute_ago());
    let mut request = tonic::Request::new(otlp::request(vec![span]));
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    let status = cluster.client.grpc().await.export(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = String::from_utf8_lossy(status.details());
    assert!(!details.contains("RetryInfo"), "it will never fit: {details}");
}

pub(crate) async fn bad_spans_are_refused_alone_and_counted(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    let request = |trace: u128| {
        let mut spans: Vec<_> = (1..=10)
            .map(|number| otlp::span(trace_id(trace), span_id(number), "good or bad", cluster.a_minute_ago()))
            .collect();
        spans[1].trace_id.clear();
        spans[4].span_id = vec![0; 8];
        spans[8].span_id = vec![1; 5];
        otlp::request(spans)
    };
    let is_partial = |partial: Option<(i64, String)>| {
        let (rejected, message) = partial.unwrap();
        assert_eq!(rejected, 3);
        assert!(message.contains("3 of 10 spans rejected"), "{message}");
    };
    let from_proto = |answer: ExportTraceServiceResponse| {
        answer.partial_success.map(|partial| (partial.rejected_spans, partial.error_message))
    };

    let answer = cluster.client.otlp("/v1/traces", &key, PROTOBUF, request(1).encode_to_vec()).await;
    assert_eq!(answer.status, 200);
    is_partial(from_proto(ExportTraceServiceResponse::decode(&*answer.body).unwrap()));

    let answer = cluster.client.otlp("/v1/traces", &key, JSON, otlp::json(&request(2))).await;
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    let rejected = partial["rejectedSpans"].as_str().unwrap().parse().unwrap();
    is_partial(Some((rejected, partial["errorMessage"].as_str().unwrap().to_owned())));

    let mut call = tonic::Request::new(request(3));
    call.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    is_partial(from_proto(cluster.client.grpc().await.export(call).await.unwrap().into_inner()));

    let traces = cluster.client.get("/v1/traces", &key).await.rows();
    let counts: Vec<_> = traces.iter().map(|trace| trace["span_count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [7, 7, 7]);
}

/// Ways to send a request.
const DOORS: [&str; 3] = ["protobuf", "gRPC", "JSON"];

/// How many spans were refused of a request that is taken at this door.
async fn rejected_at(door: &str, cluster: &Cluster, key: &str, protobuf: Vec<u8>, json: Vec<u8>) -> i64 {
    let count = |body: &[u8]| {
        let answer = ExportTraceServiceResponse::decode(body).unwrap();
        answer.partial_success.map_or(0, |partial| partial.rejected_spans)
    };
    match door {
        "gRPC" => count(&cluster.client.grpc_bytes(key, protobuf).await.unwrap()),
        "protobuf" => {
            let answer = cluster.client.otlp("/v1/traces", key, PROTOBUF, protobuf).await;
            assert_eq!(answer.status, 200);
            count(&answer.body)
        }
        _ => {
            let answer = cluster.client.otlp("/v1/traces", key, JSON, json).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()["partialSuccess"]["rejectedSpans"].as_str().map_or(0, |count| count.parse().unwrap())
        }
    }
}

async fn attribute(cluster: &Cluster, key: &str, trace: u128, span: u64, name: &str) -> Value {
    let path = format!("/v1/traces/{}/spans/{}", trace_id(trace), span_id(span));
    cluster.client.get(&path, key).await.data()["attributes"][name].take()
}

/// Two spans, the second without fault.
fn beside_a_good_one(cluster: &Cluster, trace: u128, attributes: Vec<KeyValue>) -> ExportTraceServiceRequest {
    let span = |number| otlp::span(trace_id(trace), span_id(number), "a span", cluster.a_minute_ago());
    let [mut odd, mut good] = [span(1), span(2)];
    odd.attributes = attributes;
    good.attributes = vec![otlp::text("k", "of the neighbour")];
    otlp::request(vec![odd, good])
}

fn nested(levels: usize) -> KeyValue {
    let mut value = AnyValue { value: Some(any_value::Value::StringValue("bottom".to_owned())) };
    for _ in 0..levels {
        value = AnyValue { value: Some(any_value::Value::ArrayValue(ArrayValue { values: vec![value] })) };
    }
    KeyValue { key: "odd".to_owned(), value: Some(value), ..KeyValue::default() }
}

pub(crate) async fn one_bad_value_takes_nothing_else_down_at_any_door(cluster: &Cluster) {
    let key = Tenant::sign_up(cluster).await.key(&["ingest", "read"]).await;
    // Bytes that are not UTF-8, or halves of surrogate pairs, in place of `@@@@`, which is nowhere else.
    let many = (0..10_000).map(|number| otlp::number(&format!("key.{number}"), number));
    let twice = [otlp::text("odd", "first"), otlp::text("odd", "last"), otlp::text("__proto__", "a key")];
    let brackets = |levels: usize| format!("{}\"", "[".repeat(levels));
    let cases: [(Vec<KeyValue>, String); 5] = [
        (vec![nested(50)], brackets(50)),
        (vec![nested(300)], brackets(100)),
        (vec![otlp::text("odd", "@@@@")], "\"\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\"".to_owned()),
        (vec![otlp::text("odd", "a\0b")], "\"a\u{FFFD}b\"".to_owned()),
        (many.chain(twice).collect(), "\"last\"".to_owned()),
    ];
    for (door, name) in (0..).zip(DOORS) {
        for (number, (attributes, kept)) in (0..).zip(&cases) {
            let trace = 10 * door + number + 1;
            let request = beside_a_good_one(cluster, trace, attributes.clone());
            let mut protobuf = request.encode_to_vec();
            if let Some(at) = protobuf.windows(4).position(|bytes| bytes == b"@@@@") {
                protobuf[at..at + 4].fill(0xFF);
            }
            let json = String::from_utf8(otlp::json(&request)).unwrap().replace('@', "\\ud800");
            assert_eq!(rejected_at(name, cluster, &key, protobuf, json.into_bytes()).await, 0, "{name}: {kept}");
            let odd = attribute(cluster, &key, trace, 1, "odd").await.to_string();
            assert!(odd.starts_with(kept), "{name}: {odd} is not {kept}");
            assert_eq!(attribute(cluster, &key, trace, 2, "k").await, "of the neighbour", "{name}: {kept}");
        }
        assert_eq!(attribute(cluster, &key, 10 * door + 5, 1, "key.9999").await, 9_999);
        assert_eq!(attribute(cluster, &key, 10 * door + 5, 1, "__proto__").await, "a key");
    }
}

pub(crate) async fn a_malformed_span_is_refused_alone_at_both_doors_of_protobuf(cluster: &Cluster) {
    let key = Tenant::sign_up(cluster).await.key(&["ingest", "read"]).await;
    let delimited = |number: u8, message: &[u8]| {
        let mut bytes = vec![number << 3 | 2];
        prost::encoding::encode_varint(message.len() as u64, &mut bytes);
        [&bytes, message].concat()
    };
    for (trace, door) in (1..).zip(["protobuf", "gRPC"]) {
        let good = beside_a_good_one(cluster, trace, vec![]).resource_spans[0].scope_spans[0].spans[1].encode_to_vec();
        // Attributes that are a number.
        let bad = [&good[..], &[9 << 3, 1]].concat();
        let scope = [delimited(2, &bad), delimited(2, &good)].concat();
        let request = delimited(1, &delimited(2, &scope));
        assert_eq!(rejected_at(door, cluster, &key, request, vec![]).await, 1, "{door}");
        assert_eq!(attribute(cluster, &key, trace, 2, "k").await, "of the neighbour", "{door}");
    }
}

pub(crate) async fn an_empty_request_is_a_success_that_stores_nothing(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    let cases: [(&str, &[u8], &[u8]); 4] = [
        (PROTOBUF, b"", b""),
        (JSON, b"{}", b"{}"),
        (JSON, br#"{"resourceSpans":[]}"#, b"{}"),
        (JSON, br#"{"resourceSpans":[{"scopeSpans":[{"spans":[]}]}]}"#, b"{}"),
    ];
    for (content_type, body, wanted) in cases {
        let answer = cluster.client.otlp("/v1/traces", &key, content_type, body.to_vec()).await;
        assert_eq!((answer.status, &*answer.body), (200, wanted));
    }
    assert_eq!(cluster.client.get("/v1/traces", &key).await.rows().len(), 0);
}

pub(crate) async fn an_unknown_parameter_is_named(cluster: &Cluster) {
    let key = Tenant::sign_up(cluster).await.key(&["read", "export", "admin"]).await;
    let trace = trace_id(1);
    let lists = ["/v1/traces", "/v1/spans", "/v1/traces/export", "/v1/apps", "/v1/agents", "/v1/api-keys"];
    let read = ["/v1/sessions", "/v1/sessions/s", "/v1/metrics", "/v1/metadata/keys", "/v1/facets/model"];
    let paths = lists
        .map(str::to_owned)
        .into_iter()
        .chain(read.map(str::to_owned))
        .chain([format!("/v1/traces/{trace}"), format!("/v1/traces/{trace}/spans/{}", span_id(1))]);
    for path in paths {
        let body = cluster.client.get(&format!("{path}?colour=blue"), &key).await.refused(400, "invalid_query_params");
        assert!(body["error"]["details"]["colour"].is_string(), "{path}: {body}");
    }
    for query in [
        "limit=0",
        "limit=1001",
        "limit=many",
        "limit=5&limit=6",
        "start_date=yesterday",
        "sort_by=mood",
        "sort_order=up",
        "status=BAD",
        "agent_id=me",
        "cursor=zzz",
        "start_date=2020-01-01",
    ] {
        let name = query.split('=').next().unwrap();
        let body = cluster.client.get(&format!("/v1/traces?{query}"), &key).await.refused(400, "invalid_query_params");
        assert!(body["error"]["details"][name].is_string(), "{query}: {body}");
    }
}

pub(crate) async fn a_malformed_id_is_400_and_an_unknown_one_404(cluster: &Cluster) {
    let key = Tenant::sign_up(cluster).await.key(&["read", "admin"]).await;
    let (trace, span) = (trace_id(1), span_id(1));
    let zero = "0".repeat(32);
    for path in ["/v1/traces/nonsense", "/v1/traces/abc123", &format!("/v1/traces/{zero}")] {
        cluster.client.get(path, &key).await.refused(400, "invalid_path_params");
    }
    cluster.client.get(&format!("/v1/traces/{trace}/spans/xyz"), &key).await.refused(400, "invalid_path_params");
    cluster.client.delete("/v1/api-keys/mine", &key).await.refused(400, "invalid_path_params");
    cluster.client.get(&format!("/v1/traces/{trace}"), &key).await.refused(404, "not_found");
    cluster.client.get(&format!("/v1/traces/{trace}/spans/{span}"), &key).await.refused(404, "not_found");
}

pub(crate) async fn a_body_of_ours_is_checked_field_by_field(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let client = &cluster.client;
    let bad: [(&str, Value); 5] = [
        ("/v1/apps", json!({"name": "x", "colour": "blue"})),
        ("/v1/apps", json!({"name": ""})),
        ("/v1/agents", json!({"name": 7})),
        ("/v1/api-keys", json!({"name": "x", "kind": "workspace", "scopes": ["fly"]})),
        ("/v1/api-keys", json!({"name": "x", "kind": "agent"})),
    ];
    for (path, body) in bad {
        client.post(path, &tenant.token, &body).await.refused(400, "invalid_request_body");
    }
    let request = client.request(Method::POST, "/v1/apps").bearer_auth(&tenant.token);
    client.send(request.header("content-type", "text/plain").body("x")).await.refused(415, "unsupported_media_type");
    let request = client.request(Method::POST, "/v1/apps").bearer_auth(&tenant.token);
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20));
    let answer = client.send(request.header("content-type", JSON).body(large)).await;
    answer.refused(413, "payload_too_large");
    // A body that is not read to its end ends the connection; who is not told sends the next request into nothing.
    assert_eq!(answer.header("connection"), "close");
}

pub(crate) async fn spans_out_of_time_are_refused_with_the_reason(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read"]).await;
    let day = std::time::Duration::from_secs(86_400);
    let spans = vec![
        otlp::span(trace_id(1), span_id(1), "now", cluster.a_minute_ago()),
        otlp::span(trace_id(1), span_id(2), "long ago", cluster.now().minus(day * 401)),
        otlp::span(trace_id(1), span_id(3), "to come", cluster.now().plus(day * 2)),
    ];
    let answer = cluster.client.otlp("/v1/traces", &key, PROTOBUF, otlp::protobuf(spans)).await;
    let partial = ExportTraceServiceResponse::decode(&*answer.body).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2, "{}", partial.error_message);
    let seen = cluster.client.get(&format!("/v1/traces/{}", trace_id(1)), &key).await.data();
    assert_eq!(seen["spans"].as_array().unwrap().len(), 1);
}
