//! `GET /v1/members/invites`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::Scope;
use spanlake_transport::extract::Query;
use spanlake_transport::response::{ErrorResponse, Page};

use super::Invite;
use crate::api::Deps;
use crate::api::page::{self, Paging};

/// Invitations that can still be accepted, oldest first; never their tokens. Needs `admin`.
#[utoipa::path(
    get, path = "/v1/members/invites", tag = "auth", operation_id = "listInvites",
    params(Paging),
    responses((status = 200, description = "A page of invitations.", body = Page<Invite>), ErrorResponse),
)]
pub(in crate::api) async fn list(
    State(deps): State<Deps>,
    parts: Parts,
    query: Result<Query<Paging>, ErrorResponse>,
) -> Result<Page<Invite>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Query(paging) = query?;
    let invites = deps.service.invites(&caller).await?;
    Ok(page::map(paging.cut("invites", invites, |invite| invite.id.as_bytes())?, Invite::from))
}
