//! `GET /v1/agents`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::Scope;
use spanlake_transport::extract::Query;
use spanlake_transport::response::{ErrorResponse, Page};

use super::Agent;
use crate::api::Deps;
use crate::api::page::{self, Paging};

/// The tenant's agents, oldest first. Needs `read`; a pinned key sees its app's, an agent key itself.
#[utoipa::path(
    get, path = "/v1/agents", tag = "auth", operation_id = "listAgents",
    params(Paging),
    responses((status = 200, description = "A page of agents.", body = Page<Agent>), ErrorResponse),
)]
pub(in crate::api) async fn list(
    State(deps): State<Deps>,
    parts: Parts,
    query: Result<Query<Paging>, ErrorResponse>,
) -> Result<Page<Agent>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Read).await?;
    let Query(paging) = query?;
    let agents = deps.service.agents(&caller).await?;
    Ok(page::map(paging.cut("agents", agents, |agent| agent.id.as_bytes())?, Agent::from))
}
