//! `POST /v1/members/invites`

use axum::extract::State;
use axum::response::IntoResponse;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::Scope;
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Created, ErrorResponse};
use utoipa::ToSchema;

use super::Invite;
use crate::api::members::read_role;
use crate::api::{Deps, NO_STORE};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct InviteRequest {
    /// Whom.
    email: String,
    /// `owner`, `admin`, `member` or `viewer`; not above your own.
    role: String,
}

/// A new invitation. Its token is shown here and never again.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct CreatedInvite {
    #[serde(flatten)]
    about: Invite,
    /// Hand it to the person; they send it to `POST /v1/invites/accept`.
    token: String,
}

/// Invite somebody. The token works once, for seven days; a newer invitation of the same address replaces the older. Nothing is
/// sent to the address: hand over the token yourself. Needs `admin`.
#[utoipa::path(
    post, path = "/v1/members/invites", tag = "auth", operation_id = "invite",
    request_body = InviteRequest,
    responses((status = 201, description = "The invitation, with its token for the only time.", body = Created<CreatedInvite>), ErrorResponse),
)]
pub(in crate::api) async fn create(
    State(deps): State<Deps>,
    parts: Parts,
    body: Result<Body<InviteRequest>, ErrorResponse>,
) -> Result<impl IntoResponse, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Body(asked) = body?;
    let made = deps.by(&caller, &parts).invite(&caller, &asked.email, read_role(&asked.role)?).await?;
    Ok((NO_STORE, Created(CreatedInvite { about: made.invite.into(), token: made.token })))
}
