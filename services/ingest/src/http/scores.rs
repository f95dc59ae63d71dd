//! Scores over HTTP: one, many, and at Langfuse's path.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spanlake_model::{Caller, Code, Fault, Scope, Score};
use spanlake_transport::body;
use spanlake_transport::response::ErrorResponse;
use utoipa::ToSchema;

use super::told;
use crate::scores::{Given, Taken};
use crate::service::Service;

/// Scores that one request may hold.
const BATCH_MAX: usize = 1_000;
const BYTES_MAX: usize = 8 << 20;
const CLIENT_ID_CHARS_MAX: usize = 128;

/// A score that was taken in.
#[derive(Debug, Serialize, ToSchema)]
struct Created {
    data: CreatedScore,
    /// As in `data`.
    id: String,
    message: &'static str,
}

/// A score that was taken in.
#[derive(Debug, Serialize, ToSchema)]
struct CreatedScore {
    id: String,
    resource_id: String,
    /// `trace`, `span` or `session`.
    resource_type: &'static str,
    trace_id: Option<String>,
    span_id: Option<String>,
    session_id: Option<String>,
    name: String,
    score: Option<f64>,
    label: Option<String>,
    reason: Option<String>,
    source: String,
    created_at: String,
}

impl From<Score> for CreatedScore {
    fn from(score: Score) -> Self {
        let (resource, resource_id) = score.resource();
        Self {
            id: score.id,
            resource_id,
            resource_type: resource.as_str(),
            trace_id: score.trace_id.map(|id| id.to_string()),
            span_id: score.span_id.map(|id| id.to_string()),
            session_id: score.session_id,
            name: score.name,
            score: score.value,
            label: score.label,
            reason: score.comment,
            source: score.source,
            created_at: score.created_at.to_string(),
        }
    }
}

/// Up to 1,000 scores.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Batch {
    #[schema(value_type = Vec<Given>)]
    scores: Vec<Value>,
}

/// Give a score.
///
/// A number, a label, or both, about a trace, a span or a session; which may come later. Durable and visible when this answers.
/// With an `id` of yours it can be given again: what comes last is the score. Needs `score`.
#[utoipa::path(
    post, path = "/v1/scores", tag = "ingest", operation_id = "create_score", request_body = Given,
    responses((status = 201, description = "It is durable and visible.", body = Created), ErrorResponse))]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    parts: Parts,
    body: Body,
) -> Result<Response, ErrorResponse> {
    single(&service, &parts, body).await
}

/// Give a score, at AgentMark's older path.
#[utoipa::path(
    post, path = "/v1/score", tag = "ingest", operation_id = "create_score_at_older_path", request_body = Given,
    responses((status = 201, description = "As POST /v1/scores", body = Created), ErrorResponse))]
pub(super) async fn create_at_older_path(
    State(service): State<Arc<Service>>,
    parts: Parts,
    body: Body,
) -> Result<Response, ErrorResponse> {
    single(&service, &parts, body).await
}

async fn single(service: &Service, parts: &Parts, body: Body) -> Result<Response, ErrorResponse> {
    let (caller, body) = admit(service, parts, body).await?;
    let given: Given = read(&body)?;
    let Taken { receipt, mut outcomes, standings } = service.accept_scores(&caller, vec![given], body.len()).await?;
    let score = outcomes.pop().unwrap_or_else(|| Err(Fault::internal()))?;
    let (id, data) = (score.id.clone(), score.into());
    let created = Json(Created { data, id, message: "Score created" });
    Ok((StatusCode::CREATED, told(receipt, &standings), created).into_response())
}

/// Give up to 1,000 scores.
///
/// Each is taken or refused by itself, and answered in its place: 201 when all were taken, 207 when some were, 400 when none was.
#[utoipa::path(
    post, path = "/v1/scores/batch", tag = "ingest", operation_id = "create_scores", request_body = Batch,
    responses(
        (status = 201, description = "All were taken", body = Value), (status = 207, description = "Some were", body = Value),
        ErrorResponse))]
pub(super) async fn create_batch(
    State(service): State<Arc<Service>>,
    parts: Parts,
    body: Body,
) -> Result<Response, ErrorResponse> {
    let (caller, body) = admit(&service, &parts, body).await?;
    let Batch { scores } = read(&body)?;
    let mut client_ids: Vec<_> = scores.iter().map(client_id).collect();
    let (headers, outcomes) = many(&service, &caller, scores, body.len()).await?;
    let succeeded = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let (total, failed) = (outcomes.len(), outcomes.len() - succeeded);
    let results: Vec<_> = outcomes.into_iter().zip(client_ids.drain(..)).map(|(one, id)| result(one, id)).collect();
    let status = match (succeeded, failed) {
        (_, 0) => StatusCode::CREATED,
        (0, _) => StatusCode::BAD_REQUEST,
        _ => StatusCode::MULTI_STATUS,
    };
    let data = json!({"results": results, "summary": {"total": total, "succeeded": succeeded, "failed": failed}});
    Ok((status, headers, Json(json!({"data": data}))).into_response())
}

fn result(outcome: Result<Score, Fault>, client_id: Option<String>) -> Value {
    let mut result = match outcome {
        Ok(score) => json!({"status": "success", "id": score.id}),
        Err(fault) => json!({"status": "error", "error": {"code": fault.code.as_str(), "message": fault.message}}),
    };
    if let Some(client_id) = client_id {
        result["client_id"] = client_id.into();
    }
    result
}

fn client_id(score: &Value) -> Option<String> {
    let given = score.get("client_id").or_else(|| score.get("clientId"))?.as_str()?;
    Some(given.chars().take(CLIENT_ID_CHARS_MAX).collect())
}

/// Give scores, as Langfuse's SDKs do: one, answered with its id, or a list.
#[utoipa::path(
    post, path = "/api/public/scores", tag = "ingest", operation_id = "create_langfuse_score", request_body = Value,
    responses(
        (status = 200, description = "The score's id", body = Value), (status = 202, description = "All of the list were taken", body = Value),
        (status = 207, description = "Not all of the list were", body = Value), ErrorResponse))]
pub(super) async fn create_langfuse(
    State(service): State<Arc<Service>>,
    parts: Parts,
    body: Body,
) -> Result<Response, ErrorResponse> {
    let (caller, body) = admit(&service, &parts, body).await?;
    let Value::Array(scores) = read(&body)? else {
        let given: Given = read(&body)?;
        let Taken { receipt, mut outcomes, standings } =
            service.accept_scores(&caller, vec![given], body.len()).await?;
        let score = outcomes.pop().unwrap_or_else(|| Err(Fault::internal()))?;
        return Ok((told(receipt, &standings), Json(json!({"id": score.id}))).into_response());
    };
    let (headers, outcomes) = many(&service, &caller, scores, body.len()).await?;
    let errors: Vec<_> =
        outcomes.iter().filter_map(|one| Some(json!({"message": one.as_ref().err()?.message}))).collect();
    let answer = match errors.len() {
        0 => (StatusCode::ACCEPTED, Json(json!({"message": "Accepted"}))),
        rejected => {
            let body = json!({"accepted": outcomes.len() - rejected, "rejected": rejected, "errors": errors});
            (StatusCode::MULTI_STATUS, Json(body))
        }
    };
    Ok((headers, answer).into_response())
}

/// Those that are no scores at all are refused in their places.
async fn many(
    service: &Service,
    caller: &Caller,
    scores: Vec<Value>,
    bytes: usize,
) -> Result<(HeaderMap, Vec<Result<Score, Fault>>), Fault> {
    match scores.len() {
        0 => return Err(Fault::new(Code::InvalidRequestBody, "There are no scores.").detail("scores", "it is empty")),
        1..=BATCH_MAX => {}
        more => {
            let message = format!("One request takes at most {BATCH_MAX} scores, not {more}; send several.");
            return Err(Fault::new(Code::PayloadTooLarge, message));
        }
    }
    let read: Vec<Result<Given, Fault>> = scores.into_iter().map(one).collect();
    let given = read.iter().flatten().cloned().collect();
    let Taken { receipt, outcomes, standings } = service.accept_scores(caller, given, bytes).await?;
    let mut outcomes = outcomes.into_iter();
    // The outcomes of what could be read, between the refusals of what could not.
    let placed =
        |read: Result<Given, Fault>| read.and_then(|_| outcomes.next().unwrap_or_else(|| Err(Fault::internal())));
    Ok((told(receipt, &standings), read.into_iter().map(placed).collect()))
}

fn one(score: Value) -> Result<Given, Fault> {
    serde_json::from_value(score)
        .map_err(|why| Fault::new(Code::InvalidRequestBody, format!("The score does not fit: {why}.")))
}

async fn admit(service: &Service, parts: &Parts, body: Body) -> Result<(Caller, Bytes), Fault> {
    let limits = body::Limits::bytes(BYTES_MAX.min(service.config.request_bytes_max));
    let caller = match service.gate.admit(parts, Scope::Score).await {
        Ok(caller) => caller,
        Err(fault) => {
            body::discard(&parts.headers, body, limits).await;
            return Err(fault);
        }
    };
    Ok((caller, body::read(&parts.headers, body, limits).await?))
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|why| {
        Fault::new(Code::InvalidRequestBody, format!("The body does not fit: {why}.")).detail("body", why.to_string())
    })
}
