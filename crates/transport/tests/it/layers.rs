use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderName, StatusCode};
use spanlake_model::Fault;
use spanlake_transport::layers;
use spanlake_transport::response::{Data, ErrorResponse, RequestId, own};
use tower::ServiceExt;

use crate::log;
use crate::support::{MADE_ID, Repeating, Server, Still, json, public};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn routes() -> Router {
    let away = || async { ErrorResponse(Fault::unavailable("The catalog is away.")) };
    let own_words = || async {
        let fault = Fault::unavailable("The log is full.");
        own((StatusCode::SERVICE_UNAVAILABLE, "in OTLP's words").into_response(), &fault)
    };
    Router::new()
        .route("/hello/{name}", get(|| async { Data("hello") }))
        .route("/keep", post(|| async { Data(1) }).put(|| async { Data(2) }))
        .route("/id", get(|id: axum::Extension<RequestId>| async move { id.as_str().to_owned() }))
        .route("/panic", get(|| async { panic!("it was {}", "on fire") as () }))
        .route("/away", get(away))
        .route("/own", get(own_words))
}

#[tokio::test]
async fn a_request_id_is_echoed_when_sane_and_made_otherwise() {
    let server = Server::start(public(routes())).await;
    let client = reqwest::Client::new();
    let long = "x".repeat(129);
    for (sent, echoed) in [("trace-7/a.b", "trace-7/a.b"), ("", MADE_ID), ("two words", MADE_ID), (&long, MADE_ID)] {
        let response = client.get(server.url("/id")).header(REQUEST_ID, sent).send().await.unwrap();
        assert_eq!(response.headers()[REQUEST_ID], echoed);
        assert_eq!(response.text().await.unwrap(), echoed, "handlers see the same id");
    }
    assert_eq!(client.get(server.url("/id")).send().await.unwrap().headers()[REQUEST_ID], MADE_ID);
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_path_is_a_404_in_the_envelope() {
    let server = Server::start(public(routes())).await;
    let response = reqwest::Client::new().get(server.url("/nope")).header(REQUEST_ID, "me").send().await.unwrap();
    assert_eq!(response.status(), 404);
    let body = json(response).await;
    assert_eq!((&body["error"]["code"], &body["request_id"]), (&"not_found".into(), &"me".into()));
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_method_is_a_405_that_says_which_are_right() {
    let server = Server::start(public(routes())).await;
    let response = reqwest::Client::new().delete(server.url("/keep")).send().await.unwrap();
    assert_eq!(response.status(), 405);
    let mut allowed: Vec<_> = response.headers()["allow"].to_str().unwrap().split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["POST", "PUT"]);
    assert_eq!(json(response).await["request_id"], MADE_ID);
    server.stop().await;
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_the_client_nothing_and_the_server_lives_on() {
    let server = Server::start(public(routes())).await;
    let response = reqwest::get(server.url("/panic")).await.unwrap();
    assert_eq!(response.status(), 500);
    let body = json(response).await;
    assert_eq!((&body["error"]["code"], &body["request_id"]), (&"internal_error".into(), &MADE_ID.into()));
    assert!(!body.to_string().contains("fire"));
    assert_eq!(reqwest::get(server.url("/hello/you")).await.unwrap().status(), 200);
    server.stop().await;
}

#[tokio::test]
async fn every_answer_is_protected_from_sniffing_and_caching() {
    let server = Server::start(public(routes())).await;
    for path in ["/hello/you", "/nope", "/panic", "/away", "/own"] {
        let response = reqwest::get(server.url(path)).await.unwrap();
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_retryable_fault_says_when_to_retry() {
    let server = Server::start(public(routes())).await;
    let response = reqwest::get(server.url("/away")).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(response.text().await.unwrap().len(), length);
    server.stop().await;
}

#[tokio::test]
async fn an_error_in_another_protocols_words_is_left_alone() {
    let server = Server::start(public(routes())).await;
    let response = reqwest::get(server.url("/own")).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(response.headers()[REQUEST_ID], MADE_ID);
    assert_eq!(response.text().await.unwrap(), "in OTLP's words");
    server.stop().await;
}

#[tokio::test]
async fn a_request_without_an_answer_at_its_deadline_times_out() {
    log::start();
    let config = layers::Config { deadline: Duration::from_millis(20) };
    let router = Router::new().route("/", get(std::future::pending::<()>));
    let router = layers::public(router, config, Arc::new(Still), Arc::new(Repeating));
    let response = call(router, "/").await;
    assert_eq!(response.status(), 504);
}

#[tokio::test]
async fn a_url_above_eight_kibibytes_is_refused() {
    let response = call(public(routes()), &format!("/hello/you?filter={}", "x".repeat(8 << 10))).await;
    assert_eq!(response.status(), 400);
}

async fn call(router: Router, url: &str) -> Response {
    router
        .oneshot(Request::get(url).header("authorization", "Bearer hunter2").body(Body::empty()).unwrap())
        .await
        .unwrap()
}

/// What one call logs, as JSON lines.
async fn logged(url: &str) -> Vec<serde_json::Value> {
    let router = public(routes());
    log::take();
    call(router, url).await;
    log::take().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn our_fault_is_logged_once_with_the_request_id_a_mistake_as_an_error_and_an_absence_as_a_warning() {
    for (url, level) in [("/away", "WARN"), ("/own", "WARN"), ("/panic", "ERROR")] {
        let lines = logged(url).await;
        let told: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR" || line["level"] == "WARN").collect();
        assert_eq!(told.len(), 1, "{url}: {lines:?}");
        assert_eq!(told[0]["level"], level, "{url}");
        assert_eq!(told[0]["span"]["request.id"], MADE_ID);
        assert_eq!(told[0]["span"]["http.route"], url);
    }
}

#[tokio::test]
async fn a_panic_is_logged_without_what_its_message_was_made_of() {
    async fn careless(headers: HeaderMap) -> String {
        let shown = headers["authorization"].to_str().unwrap();
        panic!("who is this: {shown}")
    }
    let router = public(Router::new().route("/careless", get(careless)));
    log::take();
    let response = call(router, "/careless").await;
    assert_eq!(response.status(), 500);
    let logged = log::take();
    assert!(logged.contains("a handler panicked") && !logged.contains("hunter2"), "{logged}");
}

#[tokio::test]
async fn a_request_is_logged_with_its_route_and_status_and_nothing_of_the_tenants() {
    let lines = logged("/hello/alice?secret=bob").await;
    let answered = lines.iter().find(|line| line["fields"]["message"] == "answered").unwrap();
    let span = &answered["span"];
    assert_eq!((&span["http.route"], &span["http.status"]), (&"/hello/{name}".into(), &200.into()));
    assert!(span["http.latency_ms"].is_number());
    let text = format!("{lines:?}");
    assert!(!["alice", "bob", "hunter2"].iter().any(|secret| text.contains(secret)), "{text}");
    assert!(logged("/nope").await.iter().all(|line| line["level"] != "ERROR"));
}
