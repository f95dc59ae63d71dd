//! OTLP over HTTP: traces and logs, at each of the three paths that SDKs know.

mod scores;
mod words;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use spanlake_dialects::otlp::{Encoding, Signal};
use spanlake_model::{Caller, Code, Fault, Receipt, Scope, Standing};
use spanlake_transport::{Api, Routes, body, response};
use utoipa::IntoResponses;
use utoipa_axum::routes;

use crate::admit::{Accepted, Door, Incoming};
use crate::room::Reserved;
use crate::service::Service;

pub use words::in_words_of_otlp;

/// Proof of a write; `?after=` of a read honours it.
pub const RECEIPT: &str = "x-spanlake-receipt";

/// The routes of ingest.
pub fn routes(service: Arc<Service>) -> Api {
    Routes::default()
        .to(Scope::Ingest, routes!(traces))
        .to(Scope::Ingest, routes!(agentos_traces))
        .to(Scope::Ingest, routes!(langfuse_traces))
        .to(Scope::Ingest, routes!(logs))
        .to(Scope::Ingest, routes!(agentos_logs))
        .to(Scope::Ingest, routes!(langfuse_logs))
        .to(Scope::Score, routes!(scores::create))
        .to(Scope::Score, routes!(scores::create_at_older_path))
        .to(Scope::Score, routes!(scores::create_batch))
        .to(Scope::Score, routes!(scores::create_langfuse))
        .with_state(service)
}

/// What any request of either signal may be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the document alone reads them")]
enum Refusals {
    /// No credential, or one that does not verify
    #[response(status = 401)]
    Unauthorized,
    /// The key lacks the scope `ingest`, or names another agent than its own
    #[response(status = 403)]
    Forbidden,
    /// More bytes than one request may hold, after decompression
    #[response(status = 413)]
    TooLarge,
    /// Neither protobuf nor JSON, or an encoding that is not gzip or zstd
    #[response(status = 415)]
    Unsupported,
    /// A limit is used up; Retry-After says for how long
    #[response(status = 429)]
    RateLimited,
    /// Cannot be taken in right now; send it again after Retry-After
    #[response(status = 503)]
    Unavailable,
}

/// Take in spans (OTLP/HTTP).
///
/// An OpenTelemetry `ExportTraceServiceRequest` in protobuf or JSON, plain, gzip or zstd. A success means that the spans
/// are durable and visible to the next read. Spans that make no sense are refused one by one, as a partial success.
#[utoipa::path(
    post, path = "/v1/traces", tag = "ingest",
    request_body(content((Vec<u8> = "application/x-protobuf"), (serde_json::Value = "application/json"))),
    responses(
        (status = 200, description = "An ExportTraceServiceResponse, in the encoding of the request", headers(
            ("X-Spanlake-Receipt" = String, description = "Give it to a read as `after`, to be sure it includes this write"))),
        (status = 400, description = "Not OTLP traces; a google.rpc.Status says why"),
        Refusals,
    ))]
async fn traces(State(service): State<Arc<Service>>, parts: Parts, body: Body) -> Response {
    receive(&service, parts, body, Signal::Traces, Door::Open).await
}

/// Take in spans (OTLP/HTTP, the path of AgentOS).
///
/// As `POST /v1/traces`; a workspace key names the agent with the resource attribute `agentos.agent_id`.
#[utoipa::path(
    post, path = "/api/ingest/v1/traces", tag = "ingest",
    request_body(content((serde_json::Value = "application/json"), (Vec<u8> = "application/x-protobuf"))),
    responses((status = 200, description = "As POST /v1/traces"), (status = 400, description = "As POST /v1/traces, or no agent is named")))]
async fn agentos_traces(State(service): State<Arc<Service>>, parts: Parts, body: Body) -> Response {
    receive(&service, parts, body, Signal::Traces, Door::AgentNamed).await
}

/// Take in spans (OTLP/HTTP, the path of Langfuse).
///
/// As `POST /v1/traces`.
#[utoipa::path(
    post, path = "/api/public/otel/v1/traces", tag = "ingest",
    request_body(content((Vec<u8> = "application/x-protobuf"), (serde_json::Value = "application/json"))),
    responses((status = 200, description = "As POST /v1/traces")))]
async fn langfuse_traces(State(service): State<Arc<Service>>, parts: Parts, body: Body) -> Response {
    receive(&service, parts, body, Signal::Traces, Door::Open).await
}

/// Take in log records (OTLP/HTTP).
///
/// An OpenTelemetry `ExportLogsServiceRequest` in protobuf or JSON, plain, gzip or zstd: where many senders put prompts and
/// answers. A record belongs to the span whose ids it carries, whichever of the two comes first. Records that make no sense
/// are refused one by one, as a partial success; so are those without a trace id that are not about a model's work, or do not say
/// which session, prompt or answer.
#[utoipa::path(
    post, path = "/v1/logs", tag = "ingest",
    request_body(content((Vec<u8> = "application/x-protobuf"), (serde_json::Value = "application/json"))),
    responses(
        (status = 200, description = "An ExportLogsServiceResponse, in the encoding of the request", headers(
            ("X-Spanlake-Receipt" = String, description = "Give it to a read as `after`, to be sure it includes this write"))),
        (status = 400, description = "Not OTLP logs; a google.rpc.Status says why"),
        Refusals,
    ))]
async fn logs(State(service): State<Arc<Service>>, parts: Parts, body: Body) -> Response {
    receive(&service, parts, body, Signal::Logs, Door::Open).await
}

/// Take in log records (OTLP/HTTP, beside the path of AgentOS).
///
/// As `POST /v1/logs`; a workspace key names the agent with the resource attribute `agentos.agent_id`.
#[utoipa::path(
    post, path = "/api/ingest/v1/logs", tag = "ingest",
    request_body(content((serde_json::Value = "application/json"), (Vec<u8> = "application/x-protobuf"))),
    responses((status = 200, description = "As POST /v1/logs"), (status = 400, description = "As POST /v1/logs, or no agent is named")))]
async fn agentos_logs(State(service): State<Arc<Service>>, parts: Parts, body: Body) -> Response {
    receive(&service, parts, body, Signal::Logs, Door::AgentNamed).await
}

/// Take in log records (OTLP/HTTP, beside the path of Langfuse).
///
/// As `POST /v1/logs`.
#[utoipa::path(
    post, path = "/api/public/otel/v1/logs", tag = "ingest",
    request_body(content((Vec<u8> = "application/x-protobuf"), (serde_json::Value = "application/json"))),
    responses((status = 200, description = "As POST /v1/logs")))]
async fn langfuse_logs(State(service): State<Arc<Service>>, parts: Parts, body: Body) -> Response {
    receive(&service, parts, body, Signal::Logs, Door::Open).await
}

async fn receive(service: &Service, parts: Parts, body: Body, signal: Signal, door: Door) -> Response {
    let encoding = encoding(&parts.headers);
    let outcome = match body_of(service, &parts, body, encoding).await {
        Ok((caller, encoding, body, room)) => {
            service.accept_held(&caller, Incoming { signal, encoding, door, body }, room).await
        }
        Err(fault) => Err(fault),
    };
    // A request in no encoding of ours is answered in the one that people can read.
    let encoding = encoding.unwrap_or(Encoding::Json);
    match outcome {
        Ok(accepted) => success(signal, encoding, &accepted),
        Err(fault) => refusal(encoding, &fault),
    }
}

/// Whose request it is, how it is spelled, and what it says, decompressed, with the room that it has taken as it came.
async fn body_of(
    service: &Service,
    parts: &Parts,
    body: Body,
    encoding: Option<Encoding>,
) -> Result<(Caller, Encoding, Bytes, Reserved), Fault> {
    let limits = body::Limits::bytes(service.config.request_bytes_max);
    let (caller, encoding, mut room) = match before_body(service, parts, encoding).await {
        Ok(admitted) => admitted,
        Err(fault) => {
            body::discard(&parts.headers, body, limits).await;
            return Err(fault);
        }
    };
    let mut hold = |bytes| service.hold(&mut room, &caller, bytes);
    let body = body::read_held(&parts.headers, body, limits, &mut hold).await?;
    Ok((caller, encoding, body, room))
}

/// What can be refused without looking at the body.
async fn before_body(
    service: &Service,
    parts: &Parts,
    encoding: Option<Encoding>,
) -> Result<(Caller, Encoding, Reserved), Fault> {
    let caller = service.gate.admit(parts, Scope::Ingest).await?;
    let encoding = encoding.ok_or_else(unsupported)?;
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    // A body without a length takes room as it comes, and so does one that is longer when it is unpacked.
    let room = service.room(&caller, announced.unwrap_or(0).min(service.config.request_bytes_max as u64)).await?;
    Ok((caller, encoding, room))
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    Encoding::from_content_type(headers.get(CONTENT_TYPE)?.to_str().ok()?)
}

fn unsupported() -> Fault {
    Fault::new(Code::UnsupportedMediaType, "Send OTLP with Content-Type application/x-protobuf or application/json.")
}

fn success(signal: Signal, encoding: Encoding, accepted: &Accepted) -> Response {
    let headers = told(accepted.receipt, &accepted.standings);
    (headers, typed(encoding, StatusCode::OK, accepted.encode(signal, encoding))).into_response()
}

/// What an answer says in its headers: the receipt, and how limits stand.
fn told(receipt: Option<Receipt>, standings: &[Standing]) -> HeaderMap {
    let mut headers = response::rate_limits(standings);
    if let Some(value) = receipt.and_then(|receipt| HeaderValue::try_from(receipt.to_string()).ok()) {
        headers.insert(RECEIPT, value);
    }
    headers
}

fn refusal(encoding: Encoding, fault: &Fault) -> Response {
    response::own(typed(encoding, response::status(fault), status_of(fault, encoding)), fault)
}

/// A `google.rpc.Status`.
fn status_of(fault: &Fault, encoding: Encoding) -> Vec<u8> {
    encoding.encode_status(spanlake_proto::status::to_status(fault).code() as i32, &fault.message)
}

fn typed(encoding: Encoding, status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(CONTENT_TYPE, encoding.content_type())], body).into_response()
}
