//! `GET /v1/members`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::Scope;
use spanlake_transport::extract::Query;
use spanlake_transport::response::{ErrorResponse, Page};

use super::Member;
use crate::api::Deps;
use crate::api::page::{self, Paging};

/// The people in the tenant, oldest first. Needs `admin`.
#[utoipa::path(
    get, path = "/v1/members", tag = "auth", operation_id = "listMembers",
    params(Paging),
    responses((status = 200, description = "A page of members.", body = Page<Member>), ErrorResponse),
)]
pub(in crate::api) async fn list(
    State(deps): State<Deps>,
    parts: Parts,
    query: Result<Query<Paging>, ErrorResponse>,
) -> Result<Page<Member>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Query(paging) = query?;
    let members = deps.service.members(&caller).await?;
    Ok(page::map(paging.cut("members", members, |member| member.id.as_bytes())?, Member::from))
}
