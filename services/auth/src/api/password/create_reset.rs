//! `POST /v1/members/{id}/password-reset`

use axum::extract::State;
use axum::response::IntoResponse;
use http::request::Parts;
use serde::Serialize;
use spanlake_model::{MemberId, Scope};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{Created, ErrorResponse};
use utoipa::ToSchema;

use crate::api::{Deps, NO_STORE};
use crate::service::NewReset;

/// A link to set a new password.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct PasswordResetLink {
    /// Hand it to the member, who sends it to `POST /v1/password-reset`. It is shown here and never again.
    token: String,
    member_id: String,
    email: String,
    /// A day from now.
    expires_at: String,
}

/// Let a member set a new password: make a token that works once, within a day, in place of any before. For members in a role below
/// yours, or owners as an owner; never for yourself. Of a key, whoever made it counts. A change of role ends the link. Needs `admin`.
#[utoipa::path(
    post, path = "/v1/members/{id}/password-reset", tag = "auth", operation_id = "createPasswordReset",
    params(("id" = String, Path, description = "The member's id.")),
    responses((status = 201, description = "The token.", body = Created<PasswordResetLink>), ErrorResponse),
)]
pub(in crate::api) async fn create_reset(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<MemberId>, ErrorResponse>,
) -> Result<impl IntoResponse, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Path(member) = path?;
    let NewReset { token, member, expires_at } =
        deps.by(&caller, &parts).create_password_reset(&caller, member).await?;
    let link = PasswordResetLink {
        token,
        member_id: member.id.to_string(),
        email: member.email,
        expires_at: expires_at.to_string(),
    };
    Ok((NO_STORE, Created(link)))
}
