//! `GET /v1/agents/{id}`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::{AgentId, Scope};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{Data, ErrorResponse};

use super::Agent;
use crate::api::Deps;

/// One agent. Needs `read`; a key that is pinned to an app finds that app's, an agent's key itself.
#[utoipa::path(
    get, path = "/v1/agents/{id}", tag = "auth", operation_id = "getAgent",
    params(("id" = String, Path, description = "The agent's id.")),
    responses((status = 200, description = "The agent.", body = Data<Agent>), ErrorResponse),
)]
pub(in crate::api) async fn get(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<AgentId>, ErrorResponse>,
) -> Result<Data<Agent>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Read).await?;
    let Path(agent) = path?;
    Ok(Data(deps.service.agent(&caller, agent).await?.into()))
}
