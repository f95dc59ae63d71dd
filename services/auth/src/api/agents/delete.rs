//! `DELETE /v1/agents/{id}`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::{AgentId, Scope};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{ErrorResponse, NoContent};

use crate::api::Deps;

/// Delete an agent and its keys. They stop here at once and everywhere within a second. Its traces stay in the app. Needs `admin`.
#[utoipa::path(
    delete, path = "/v1/agents/{id}", tag = "auth", operation_id = "deleteAgent",
    params(("id" = String, Path, description = "The agent's id.")),
    responses((status = 204, description = "The agent is gone."), ErrorResponse),
)]
pub(in crate::api) async fn delete(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<AgentId>, ErrorResponse>,
) -> Result<NoContent, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Path(agent) = path?;
    for key in deps.by(&caller, &parts).delete_agent(&caller, agent).await? {
        deps.gate.revoke(key).await;
    }
    deps.gate.forget_agent(caller.tenant(), agent).await;
    Ok(NoContent)
}
