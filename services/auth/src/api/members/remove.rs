//! `DELETE /v1/members/{id}`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::{MemberId, Scope};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{ErrorResponse, NoContent};

use crate::api::Deps;

/// Remove a member. Their tokens stop here at once and everywhere within a second; invitations that they made and nobody
/// accepted are withdrawn; keys that they made stay. The only owner cannot be removed. Needs `admin`.
#[utoipa::path(
    delete, path = "/v1/members/{id}", tag = "auth", operation_id = "removeMember",
    params(("id" = String, Path, description = "The member's id.")),
    responses((status = 204, description = "The member is gone."), ErrorResponse),
)]
pub(in crate::api) async fn remove(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<MemberId>, ErrorResponse>,
) -> Result<NoContent, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Path(member) = path?;
    deps.by(&caller, &parts).remove_member(&caller, member).await?;
    deps.gate.forget_member(caller.tenant(), member).await;
    Ok(NoContent)
}
