//! `DELETE /v1/members/invites/{id}`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::{InviteId, Scope};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{ErrorResponse, NoContent};

use crate::api::Deps;

/// Withdraw an invitation: its token is worth nothing any more. Needs `admin`.
#[utoipa::path(
    delete, path = "/v1/members/invites/{id}", tag = "auth", operation_id = "withdrawInvite",
    params(("id" = String, Path, description = "The invitation's id.")),
    responses((status = 204, description = "The invitation is gone."), ErrorResponse),
)]
pub(in crate::api) async fn withdraw(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<InviteId>, ErrorResponse>,
) -> Result<NoContent, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Path(invite) = path?;
    deps.by(&caller, &parts).withdraw_invite(&caller, invite).await?;
    Ok(NoContent)
}
