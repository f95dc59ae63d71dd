//! What is around every public route.
//!
//! ```text
//!   request ──► id ──► span ──► deadline ──► panics caught ──► routes, or JSON 404 / 405
//!   answer  ◄── headers ◄── envelope with the id ◄── logged once if it is our fault ◄──┘
//! ```

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use spanlake_model::{Clock, Code, Entropy, Fault, FaultKind};
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span, field};

use crate::response::{Envelope, ErrorResponse, Own, Quiet, RequestId, error_body};
use crate::telemetry::literal;

/// Bounds of one public request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a request may take until its answer starts, body included; a streamed answer may go on.
    #[serde(with = "crate::config::duration")]
    pub deadline: Duration,
}

impl Default for Config {
    /// Sixty seconds.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(60) }
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 128;
/// What proxies and clients pass on; longer queries have a `POST …/search`.
const URL_BYTES_MAX: usize = 8 << 10;

/// Everything a public listener owes its clients, around all routes that `router` has now: add routes first.
///
/// Not for routers of gRPC services, which answer unknown methods and errors in gRPC's own way.
pub fn public(router: Router, config: Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Router {
    let edge = Arc::new(Edge { config, clock, entropy });
    router.fallback(unknown_path).method_not_allowed_fallback(wrong_method).layer(from_fn_with_state(edge, around))
}

struct Edge {
    config: Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Edge {
    /// The client's id when it is sane, so that it can find its request in our log; a new one otherwise.
    fn request_id(&self, headers: &HeaderMap) -> RequestId {
        let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let sane = |id: &&str| {
            !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        RequestId(match sent.filter(sane) {
            Some(id) => id.into(),
            None => spanlake_model::RequestId::generate(&*self.clock, &*self.entropy).to_string().into(),
        })
    }
}

async fn unknown_path() -> ErrorResponse {
    Fault::new(Code::NotFound, "There is no such path; check it against the API reference.").into()
}

async fn wrong_method(method: Method) -> Response {
    let message = format!("{method} is not possible on this path; the Allow header says what is.");
    let mut response = ErrorResponse(Fault::new(Code::NotFound, message)).into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

async fn around(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = edge.request_id(request.headers());
    let version = request.version();
    request.extensions_mut().insert(id.clone());
    let span = span(&request, &id);
    let response = answer(request, next, edge.config.deadline).instrument(span.clone()).await;
    span.in_scope(|| record(&span, &response, started));
    finish(response, &id, version)
}

fn span(request: &Request, id: &RequestId) -> Span {
    // The pattern, never the path itself: ids and names in it are the tenant's.
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    tracing::info_span!(
        "http.request",
        request.id = id.as_str(),
        http.method = %request.method(),
        http.route = route,
        http.status = field::Empty,
        http.latency_ms = field::Empty,
    )
}

async fn answer(request: Request, next: Next, deadline: Duration) -> Response {
    if request.uri().path_and_query().is_some_and(|url| url.as_str().len() > URL_BYTES_MAX) {
        let message = "The URL is longer than 8 KiB; use POST …/search for long filters.";
        return ErrorResponse(Fault::new(Code::InvalidQueryParams, message)).into_response();
    }
    match timeout(deadline, AssertUnwindSafe(next.run(request)).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            tracing::error!(error.message = literal(&*panic), "a handler panicked");
            let mut response = ErrorResponse(Fault::internal()).into_response();
            response.extensions_mut().insert(Quiet);
            response
        }
        Err(_) => {
            let message = format!("No answer within {} seconds; ask for less, or again.", deadline.as_secs_f32());
            ErrorResponse(Fault::new(Code::Timeout, message)).into_response()
        }
    }
}

/// Fills the span in, and logs the request once: as an error when it is our mistake, as a warning when something is away.
fn record(span: &Span, response: &Response, started: Instant) {
    let status = response.status();
    span.record("http.status", status.as_u16());
    span.record("http.latency_ms", started.elapsed().as_secs_f64() * 1_000.0);
    let extensions = response.extensions();
    let fault = extensions.get::<Envelope>().map(|envelope| &envelope.0);
    let fault = fault.or_else(|| extensions.get::<Own>().map(|own| &own.0));
    if !status.is_server_error() || extensions.get::<Quiet>().is_some() {
        tracing::debug!("answered");
        return;
    }
    match fault {
        Some(fault) if fault.kind() == FaultKind::Internal => {
            tracing::error!(error.code = fault.code.as_str(), error.message = %fault, "answered an error");
        }
        Some(fault) => tracing::warn!(error.code = fault.code.as_str(), error.message = %fault, "answered an error"),
        None => tracing::error!("answered an error"),
    }
}

/// Writes the envelope, the id, and the headers that protect browsers.
fn finish(mut response: Response, id: &RequestId, version: http::Version) -> Response {
    if let Some(Envelope(fault)) = response.extensions().get::<Envelope>().cloned() {
        let (mut parts, _) = response.into_parts();
        let (body_parts, body) = error_body(&fault, Some(id)).into_response().into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.extend(body_parts.headers);
        // For whoever counts refusals.
        parts.extensions.insert(fault.code);
        response = Response::from_parts(parts, body);
    }
    let failed = response.status().is_client_error() || response.status().is_server_error();
    let ends = response.status() == StatusCode::PAYLOAD_TOO_LARGE && version < http::Version::HTTP_2;
    let headers = response.headers_mut();
    if ends {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if failed || !headers.contains_key(header::CACHE_CONTROL) {
        // Answers are one tenant's own; a handler that has something public to say sets its own.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
