//! The three commands against a small server of our own, which can be told to misbehave.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clap::Parser as _;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use tokio::task::JoinHandle;

use crate::cli::{Cli, Command};
use crate::{probe, send, verify};

/// What the server does beside storing.
#[derive(Default)]
struct Behaviour {
    /// Answer 503 to so many requests first.
    unavailable: u32,
    /// Answer 400 to everything.
    refuse: bool,
    /// Say that one span of each request was rejected.
    reject_one: bool,
    /// Do not store the first span of the next request.
    lose_one: bool,
    /// Store the first span of the next request twice.
    double_one: bool,
}

#[derive(Default)]
struct Shared {
    behaviour: Behaviour,
    spans: HashMap<String, Vec<String>>,
    requests: u32,
}

type Store = Arc<Mutex<Shared>>;

impl Shared {
    /// `None` = not now.
    fn store(&mut self, request: ExportTraceServiceRequest) -> Option<ExportTraceServiceResponse> {
        self.requests += 1;
        if self.behaviour.unavailable > 0 {
            self.behaviour.unavailable -= 1;
            return None;
        }
        let mut spans: Vec<_> =
            request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect();
        if std::mem::take(&mut self.behaviour.lose_one) {
            spans.remove(0);
        }
        if std::mem::take(&mut self.behaviour.double_one) {
            spans.push(spans[0].clone());
        }
        for span in spans {
            self.spans.entry(hex::encode(span.trace_id)).or_default().push(hex::encode(span.span_id));
        }
        let rejected = ExportTracePartialSuccess { rejected_spans: 1, error_message: "a bad span".to_owned() };
        Some(ExportTraceServiceResponse { partial_success: self.behaviour.reject_one.then_some(rejected) })
    }

    fn total(&self) -> usize {
        self.spans.values().map(Vec::len).sum()
    }
}

async fn export(State(store): State<Store>, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["authorization"], "Bearer k");
    let body = match headers.get("content-encoding") {
        Some(encoding) => {
            assert_eq!(encoding, "gzip");
            let mut plain = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*body), &mut plain).unwrap();
            plain.into()
        }
        None => body,
    };
    let json = headers["content-type"] == "application/json";
    let request =
        if json { serde_json::from_slice(&body).unwrap() } else { ExportTraceServiceRequest::decode(body).unwrap() };
    let mut store = store.lock().unwrap();
    if store.behaviour.refuse {
        return (StatusCode::BAD_REQUEST, "no").into_response();
    }
    match store.store(request) {
        None => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")], "later").into_response(),
        Some(answer) if json => axum::Json(answer).into_response(),
        Some(answer) => answer.encode_to_vec().into_response(),
    }
}

/// Two spans a page.
async fn trace(State(store): State<Store>, Path(id): Path<String>, uri: axum::http::Uri) -> Response {
    let store = store.lock().unwrap();
    let Some(spans) = store.spans.get(&id) else { return StatusCode::NOT_FOUND.into_response() };
    let from: usize = uri.query().map_or(0, |query| query.trim_start_matches("cursor=").parse().unwrap());
    let page: Vec<_> = spans.iter().skip(from).take(2).map(|id| serde_json::json!({"id": id})).collect();
    let next = (from + 2 < spans.len()).then(|| (from + 2).to_string());
    axum::Json(serde_json::json!({"data": {"spans": page}, "pagination": {"next_cursor": next}})).into_response()
}

struct Grpc(Store);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer k");
        let answer = self.0.lock().unwrap().store(request.into_inner());
        answer.map(tonic::Response::new).ok_or_else(|| tonic::Status::unavailable("later"))
    }
}

struct Server {
    store: Store,
    url: String,
    task: JoinHandle<()>,
    ledger: PathBuf,
}

impl Server {
    async fn start(name: &str, behaviour: Behaviour) -> Self {
        let store = Store::new(Mutex::new(Shared { behaviour, ..Shared::default() }));
        let grpc =
            TraceServiceServer::new(Grpc(store.clone())).accept_compressed(tonic::codec::CompressionEncoding::Gzip);
        let router = Router::new()
            .route("/v1/traces", post(export))
            .route("/v1/traces/{id}", get(trace))
            .with_state(store.clone())
            .layer(axum::extract::DefaultBodyLimit::disable())
            .merge(tonic::service::Routes::new(grpc).into_axum_router());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let ledger = std::env::temp_dir().join(format!("spanlake-load-{name}-{}", std::process::id()));
        Self { store, url, task, ledger }
    }

    fn command(&self, command: &str, more: &str) -> Command {
        let mut words = vec!["spanlake-load", command, "--url", &self.url, "--key", "k"];
        words.extend(more.split_whitespace());
        Cli::try_parse_from(words).unwrap().command
    }

    async fn send(&self, more: &str) -> send::Report {
        let with_ledger = format!("{more} --grpc {} --ledger {}", self.url, self.ledger.display());
        let Command::Send(args) = self.command("send", &with_ledger) else { unreachable!() };
        send::run(&args).await.unwrap()
    }

    async fn verify(&self) -> verify::Report {
        let Command::Verify(args) = self.command("verify", &format!("--ledger {}", self.ledger.display())) else {
            unreachable!()
        };
        verify::run(&args).await.unwrap()
    }

    fn total(&self) -> usize {
        self.store.lock().unwrap().total()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.ledger);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_encoding_delivers_exactly_the_spans_asked_for_and_verify_finds_them_all() {
    for (number, form) in
        ["protobuf", "protobuf --gzip", "json", "json --gzip", "grpc", "grpc --gzip"].iter().enumerate()
    {
        let server = Server::start(&format!("form-{number}"), Behaviour::default()).await;
        let report = server.send(&format!("--encoding {form} --spans 1030 --batch 100 --connections 3 --pool 4")).await;
        assert!(report.is_clean(), "{form}: {report:?}");
        assert_eq!((report.spans, server.total()), (1_030, 1_030), "{form}");
        let verified = server.verify().await;
        assert!(verified.is_clean() && verified.spans == 1_030, "{form}: {verified:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_told_to_come_later_is_sent_again_and_acknowledged_once() {
    for encoding in ["protobuf", "grpc"] {
        let behaviour = Behaviour { unavailable: 3, ..Behaviour::default() };
        let server = Server::start(&format!("later-{encoding}"), behaviour).await;
        let report = server.send(&format!("--encoding {encoding} --spans 200 --batch 50 --connections 2")).await;
        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.spans, report.retries, server.total()), (200, 3, 200));
        assert!(server.verify().await.is_clean());
    }
}

#[tokio::test]
async fn retries_are_bounded_and_a_batch_given_up_is_an_error_and_not_in_the_ledger() {
    let behaviour = Behaviour { unavailable: u32::MAX, ..Behaviour::default() };
    let server = Server::start("bounded", behaviour).await;
    let report = server.send("--spans 50 --batch 50 --connections 1 --retries 2").await;
    assert_eq!((report.spans, report.errors, report.retries), (0, 1, 2));
    assert_eq!(server.store.lock().unwrap().requests, 3);
    assert_eq!(std::fs::read_to_string(&server.ledger).unwrap(), "");
}

#[tokio::test]
async fn a_refused_batch_is_not_sent_again() {
    let server = Server::start("refused", Behaviour { refuse: true, ..Behaviour::default() }).await;
    let report = server.send("--spans 50 --batch 50 --connections 1").await;
    assert_eq!((report.spans, report.errors, report.retries), (0, 1, 0));
}

#[tokio::test]
async fn a_batch_with_rejected_spans_is_not_promised() {
    let server = Server::start("rejected", Behaviour { reject_one: true, ..Behaviour::default() }).await;
    let report = server.send("--spans 50 --batch 50 --connections 1").await;
    assert!(!report.is_clean());
    assert_eq!((report.spans, report.rejected_spans, report.errors), (49, 1, 0));
    assert_eq!(std::fs::read_to_string(&server.ledger).unwrap(), "");
}

#[tokio::test]
async fn verify_finds_a_lost_span_and_a_doubled_one() {
    let behaviour = Behaviour { lose_one: true, double_one: true, ..Behaviour::default() };
    let server = Server::start("lost", behaviour).await;
    assert!(server.send("--spans 60 --batch 60 --connections 1").await.is_clean());
    let verified = server.verify().await;
    assert_eq!((verified.spans, verified.missing, verified.duplicates), (60, 1, 1));
    assert!(!verified.is_clean());
}

#[tokio::test]
async fn a_run_by_time_ends_by_itself_and_keeps_to_its_rate() {
    let server = Server::start("rate", Behaviour::default()).await;
    let report = server.send("--duration 300ms --rate 1000 --batch 50 --connections 2 --pool 2").await;
    assert!(report.is_clean(), "{report:?}");
    // Batches are due at 0, 50, … 250 ms; a slow machine may drop late ones, but nothing sends more.
    assert!(report.spans <= 300, "{report:?}");
}

#[tokio::test]
async fn a_run_that_could_not_send_all_its_spans_in_time_is_not_clean() {
    let server = Server::start("short", Behaviour::default()).await;
    let report = server.send("--spans 1000 --duration 200ms --rate 1000 --batch 50 --connections 2 --pool 2").await;
    assert!(report.errors == 0 && !report.is_clean(), "{report:?}");
}

#[tokio::test]
async fn a_probe_sees_what_was_acknowledged_at_the_first_read() {
    let server = Server::start("probe", Behaviour::default()).await;
    let Command::Probe(args) = server.command("probe", "--count 5") else { unreachable!() };
    let report = probe::run(&args).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.visible_at_first_read, 5);
}

#[tokio::test]
async fn a_probe_that_never_sees_its_trace_whole_is_an_error() {
    let server = Server::start("blind", Behaviour { lose_one: true, ..Behaviour::default() }).await;
    let Command::Probe(args) = server.command("probe", "--count 1 --timeout 50ms") else { unreachable!() };
    assert_eq!(probe::run(&args).await.unwrap().errors, 1);
}

#[tokio::test]
async fn another_machine_is_not_talked_to_unless_asked_for() {
    let words = ["spanlake-load", "send", "--url", "http://192.0.2.1:8080", "--key", "k"];
    let Command::Send(args) = Cli::try_parse_from(words).unwrap().command else { unreachable!() };
    let error = send::run(&args).await.unwrap_err();
    assert!(error.to_string().contains("--allow-remote"), "{error}");
}
