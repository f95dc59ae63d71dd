//! `PATCH /v1/agents/{id}`

use axum::extract::State;
use http::request::Parts;
use serde::Deserialize;
use spanlake_model::{AgentId, Scope};
use spanlake_transport::extract::{Body, Path};
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::ToSchema;

use super::Agent;
use crate::api::Deps;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct AgentChange {
    /// 1 to 100 characters, unique in the app.
    name: String,
}

/// Rename an agent. Its id, traces and keys stay. Needs `admin`.
#[utoipa::path(
    patch, path = "/v1/agents/{id}", tag = "auth", operation_id = "renameAgent",
    params(("id" = String, Path, description = "The agent's id.")),
    request_body = AgentChange,
    responses((status = 200, description = "The agent.", body = Data<Agent>), ErrorResponse),
)]
pub(in crate::api) async fn rename(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<AgentId>, ErrorResponse>,
    body: Result<Body<AgentChange>, ErrorResponse>,
) -> Result<Data<Agent>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let (Path(agent), Body(change)) = (path?, body?);
    Ok(Data(deps.by(&caller, &parts).rename_agent(&caller, agent, &change.name).await?.into()))
}
