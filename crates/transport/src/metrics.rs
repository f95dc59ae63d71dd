//! What an operator sees of a process: how its requests went, and readings of its parts, as OpenMetrics text.
//!
//! ```text
//!   every public request ──► watch ──► counts by permission and status, time to the answer's first byte
//!   parts ──► Metrics::gauge, counter: read when somebody looks       GET /metrics ──► text
//! ```
//!
//! No label names a tenant, and each has few values: an operator's page must not grow with what strangers send.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use spanlake_model::{Code, Fault};
use spanlake_proto::internal::InternalToken;
use tokio::time::Instant;
use utoipa::openapi::OpenApi;

use crate::api::permissions;
use crate::response::{ErrorResponse, Own};

/// Before every name.
const PREFIX: &str = "spanlake";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Seconds, from what a cache answers in to what a deadline allows.
const BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

/// All that a process tells of itself; cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    answers: Family<Answered, Counter>,
    refusals: Family<Refused, Counter>,
    seconds: Family<Asked, Histogram>,
    calls: Family<Called, Counter>,
    call_seconds: Histogram,
}

/// Requests of one kind that were answered in one way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    permission: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    permission: &'static str,
}

/// Why requests were refused: a code of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: &'static str,
}

/// How calls over gRPC ended: a number of gRPC's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    code: u8,
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let (answers, refusals, calls) = (Family::default(), Family::default(), Family::default());
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let call_seconds = histogram();
        let help = "Requests by who may make them and by the status that was answered";
        registry.register("http_requests", help, answers.clone());
        registry.register("http_refused", "Requests that were refused, by the code in the answer", refusals.clone());
        let help = "Until the answer began, by who may ask";
        registry.register_with_unit("http_request", help, Unit::Seconds, seconds.clone());
        registry.register("grpc_requests", "OTLP over gRPC, by gRPC's code", calls.clone());
        registry.register_with_unit("grpc_request", "OTLP over gRPC", Unit::Seconds, call_seconds.clone());
        Self(Arc::new(Inner { registry: Mutex::new(registry), answers, refusals, seconds, calls, call_seconds }))
    }
}

impl Metrics {
    /// Adds what is as it is when somebody looks. The name has its unit at the end, and no prefix.
    pub fn gauge(&self, name: &'static str, help: &'static str, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.read(Reading { name, help, label: None, is_counter: false, read: move || vec![("", read())] });
    }

    /// Adds what only rises; `_total` is added to its name.
    pub fn counter(&self, name: &'static str, help: &'static str, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.read(Reading { name, help, label: None, is_counter: true, read: move || vec![("", read())] });
    }

    /// As [`Self::gauge`], several by the values of one label.
    pub fn gauges(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static,
    ) {
        self.read(Reading { name, help, label: Some(label), is_counter: false, read });
    }

    /// As [`Self::counter`], several by the values of one label.
    pub fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static,
    ) {
        self.read(Reading { name, help, label: Some(label), is_counter: true, read });
    }

    fn read<R: Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static>(&self, reading: Reading<R>) {
        let mut registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(reading));
    }

    /// Everything, as it is now.
    ///
    /// # Errors
    /// When a reading cannot be written as text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut written = String::new();
        text::encode(&mut written, &self.0.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(written)
    }

    fn answered(&self, permission: &'static str, response: &Response, took: Duration) {
        let status = response.status().as_u16();
        self.0.answers.get_or_create(&Answered { permission, status }).inc();
        self.0.seconds.get_or_create(&Asked { permission }).observe(took.as_secs_f64());
        if let Some(code) = refusal(response) {
            self.0.refusals.get_or_create(&Refused { reason: code.as_str() }).inc();
        }
    }

    fn called(&self, response: &Response, took: Duration) {
        // An answer that began well says how it ended in its trailers; refusals are all before that.
        let code = response.headers().get("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
        self.0.calls.get_or_create(&Called { code: code.filter(|code| *code <= GRPC_CODE_MAX).unwrap_or(0) }).inc();
        self.0.call_seconds.observe(took.as_secs_f64());
    }
}

const GRPC_CODE_MAX: u8 = 16;

/// The code behind an answer that is an error.
fn refusal(response: &Response) -> Option<Code> {
    let extensions = response.extensions();
    extensions.get::<Code>().copied().or_else(|| extensions.get::<Own>().map(|own| own.0.code))
}

/// Something that is looked at when somebody asks: values by label, or one without.
struct Reading<R> {
    name: &'static str,
    help: &'static str,
    label: Option<&'static str>,
    is_counter: bool,
    read: R,
}

impl<R> fmt::Debug for Reading<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<R: Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static> Collector for Reading<R> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        match self.is_counter {
            true => self.write(encoder, ConstCounter::new),
            false => self.write(encoder, ConstGauge::new),
        }
    }
}

impl<R: Fn() -> Vec<(&'static str, u64)>> Reading<R> {
    fn write<M: EncodeMetric>(&self, mut encoder: DescriptorEncoder<'_>, metric: fn(u64) -> M) -> fmt::Result {
        let mut written = encoder.encode_descriptor(self.name, self.help, None, metric(0).metric_type())?;
        for (value, read) in (self.read)() {
            match self.label {
                Some(label) => metric(read).encode(written.encode_family(&[(label, value)])?)?,
                None => metric(read).encode(written.encode_family::<[(&str, &str); 0]>(&[])?)?,
            }
        }
        Ok(())
    }
}

/// Counts every request of a router whose routes this document describes.
pub fn watch(router: Router, metrics: &Metrics, document: &OpenApi) -> Router {
    let watching = Watching { metrics: metrics.clone(), permissions: permissions(document) };
    router.layer(from_fn_with_state(Arc::new(watching), count))
}

/// Counts every call of a router of gRPC services.
pub fn watch_calls(router: Router, metrics: &Metrics) -> Router {
    router.layer(from_fn_with_state(metrics.clone(), count_call))
}

struct Watching {
    metrics: Metrics,
    permissions: HashMap<(Method, String), &'static str>,
}

impl Watching {
    /// Who may use the route; health and what is no route are `none`.
    fn permission(&self, request: &Request) -> &'static str {
        let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
        path.and_then(|path| self.permissions.get(&(request.method().clone(), path)).copied()).unwrap_or("none")
    }
}

async fn count(State(watching): State<Arc<Watching>>, request: Request, next: Next) -> Response {
    let (permission, began) = (watching.permission(&request), Instant::now());
    let response = next.run(request).await;
    watching.metrics.answered(permission, &response, began.elapsed());
    response
}

async fn count_call(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let response = next.run(request).await;
    metrics.called(&response, began.elapsed());
    response
}

/// `GET /metrics`, for whoever shows the token, where there is one.
pub fn router(metrics: Metrics, token: Option<InternalToken>) -> Router {
    Router::new().route("/metrics", get(show)).with_state((metrics, token))
}

async fn show(State((metrics, token)): State<(Metrics, Option<InternalToken>)>, headers: HeaderMap) -> Response {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if token.is_some_and(|token| !shown.is_some_and(|shown| token.matches(shown))) {
        let message = "Show the token of this port: 'Authorization: Bearer <admin_token>'.";
        return ErrorResponse(Fault::new(Code::Unauthenticated, message)).into_response();
    }
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "the metrics cannot be written");
            ErrorResponse(Fault::internal()).into_response()
        }
    }
}
