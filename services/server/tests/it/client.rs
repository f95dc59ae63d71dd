//! Talks to a cluster as anybody would: over HTTP and gRPC, knowing nothing but addresses.

use std::net::SocketAddr;

use bytes::{Buf, BufMut};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use spanlake_model::Timestamp;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;

/// Where each service answers. In standalone they are all the same.
#[derive(Clone, Debug)]
pub(crate) struct Bases {
    pub(crate) auth: String,
    pub(crate) ingest: String,
    pub(crate) query: String,
    pub(crate) export: String,
    /// OTLP/HTTP besides.
    pub(crate) otlp_http: String,
    /// OTLP/gRPC.
    pub(crate) otlp_grpc: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) bases: Bases,
    http: reqwest::Client,
}

/// A response, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// What was asked, for failures.
    asked: String,
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// How paths that the query service answers begin.
const OF_QUERY: [&str; 8] = [
    "/v1/scores",
    "/v1/traces",
    "/v1/spans",
    "/v1/deletions",
    "/v1/sessions",
    "/v1/metrics",
    "/v1/metadata",
    "/v1/facets",
];

impl Bases {
    /// Who answers `path`: what a proxy before the five would do.
    fn of(&self, method: &Method, path: &str) -> &str {
        let route = path.split('?').next().unwrap_or_default();
        let is_sent = ["/v1/traces", "/v1/logs", "/scores", "/v1/score", "/v1/scores/batch"]
            .iter()
            .any(|end| route.ends_with(end))
            && method == Method::POST;
        match route {
            _ if is_sent => &self.ingest,
            "/v1/traces/export" => &self.export,
            _ if route.starts_with("/v1/exports") => &self.export,
            _ if OF_QUERY.iter().any(|own| route.starts_with(own)) => &self.query,
            _ => &self.auth,
        }
    }

    /// Every base that serves an OpenAPI document, each once.
    pub(crate) fn distinct(&self) -> Vec<&str> {
        let mut all = vec![&*self.auth, &*self.ingest, &*self.query, &*self.export];
        all.dedup();
        all
    }
}

impl Client {
    pub(crate) fn new(bases: Bases) -> Self {
        Self { bases, http: reqwest::Client::new() }
    }

    /// A request to whoever answers `path`, to be sent with [`Self::send`].
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.bases.of(&method, path));
        self.http.request(method, url)
    }

    /// A request to exactly this URL.
    pub(crate) fn at(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url)
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let asked = format!("{} {}", request.method(), request.url());
        let response = self.http.execute(request).await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap_or_else(|error| panic!("{asked}: {error:?}")).to_vec();
        Answer { status, headers, body, asked }
    }

    pub(crate) async fn get(&self, path: &str, key: &str) -> Answer {
        self.send(self.request(Method::GET, path).bearer_auth(key)).await
    }

    pub(crate) async fn delete(&self, path: &str, key: &str) -> Answer {
        self.send(self.request(Method::DELETE, path).bearer_auth(key)).await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).bearer_auth(key).json(body)).await
    }

    /// Sends an OTLP body and answers whatever came back.
    pub(crate) async fn otlp(&self, path: &str, key: &str, content_type: &str, body: Vec<u8>) -> Answer {
        let request = self.request(Method::POST, path).bearer_auth(key);
        self.send(request.header("content-type", content_type).body(body)).await
    }

    /// Sends protobuf, which must be taken in whole; answers the receipt.
    pub(crate) async fn ingest(&self, key: &str, body: Vec<u8>) -> String {
        let answer = self.otlp("/v1/traces", key, PROTOBUF, body).await;
        assert_eq!((answer.status, &*answer.body), (200, &[][..]), "{answer:?}");
        answer.header("x-spanlake-receipt").to_owned()
    }

    pub(crate) async fn grpc(&self) -> TraceServiceClient<Channel> {
        TraceServiceClient::connect(self.bases.otlp_grpc.clone()).await.unwrap()
    }

    /// Sends a message as it is to OTLP/gRPC, and answers the message that comes back.
    pub(crate) async fn grpc_bytes(&self, key: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
        let channel = Channel::from_shared(self.bases.otlp_grpc.clone()).unwrap().connect().await.unwrap();
        let mut grpc = tonic::client::Grpc::new(channel);
        grpc.ready().await.unwrap();
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        let export = PathAndQuery::from_static("/opentelemetry.proto.collector.trace.v1.TraceService/Export");
        grpc.unary(request, export, AsItIs).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn grpc_logs(&self) -> LogsServiceClient<Channel> {
        LogsServiceClient::connect(self.bases.otlp_grpc.clone()).await.unwrap()
    }
}

/// Messages as bytes, which no generated type would send.
#[derive(Default)]
struct AsItIs;

impl Codec for AsItIs {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsItIs {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(&*item);
        Ok(())
    }
}

impl Decoder for AsItIs {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

pub(crate) const PROTOBUF: &str = "application/x-protobuf";
pub(crate) const JSON: &str = "application/json";

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, whatever the status.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?} {}", self.text()))
    }

    /// `data` of a success.
    pub(crate) fn data(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} answered {}: {}", self.asked, self.status, self.text());
        self.json()["data"].take()
    }

    /// The rows of a list.
    pub(crate) fn rows(&self) -> Vec<Value> {
        self.data().as_array().unwrap_or_else(|| panic!("no list: {}", self.text())).clone()
    }

    /// Expects an error in our envelope.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        let body = self.json();
        assert_eq!(body["error"]["code"], code, "{}: {body}", self.asked);
        assert_eq!(body["request_id"], self.header("x-request-id"), "{}: {body}", self.asked);
        assert!(body["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
        body
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("{}: no header {name}", self.asked));
        value.to_str().unwrap()
    }
}

/// A time out of an answer, in the microseconds that are kept.
pub(crate) fn micros(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    Timestamp::parse(text).unwrap_or_else(|| panic!("no RFC 3339: {text}")).as_micros()
}
