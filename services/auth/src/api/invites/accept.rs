//! `POST /v1/invites/accept`

use axum::extract::State;
use axum::response::IntoResponse;
use http::request::Parts;
use serde::Deserialize;
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Created, ErrorResponse};
use utoipa::ToSchema;

use crate::api::signup::Account;
use crate::api::{Deps, NO_STORE};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct InviteAcceptance {
    /// The invitation's token.
    token: String,
    /// The password for this tenant: at least 8 characters. It has nothing to do with the one for another tenant.
    #[schema(format = Password, min_length = 8)]
    password: String,
}

/// Accept an invitation: become a member, and be logged in. Whoever is in several tenants names this one's `tenant_id` at
/// later logins.
#[utoipa::path(
    post, path = "/v1/invites/accept", tag = "auth", operation_id = "acceptInvite",
    request_body = InviteAcceptance,
    responses((status = 201, description = "The tenant, the member and their tokens.", body = Created<Account>), ErrorResponse),
)]
pub(in crate::api) async fn accept(
    State(deps): State<Deps>,
    parts: Parts,
    Body(body): Body<InviteAcceptance>,
) -> Result<impl IntoResponse, ErrorResponse> {
    let joined = deps.from(&parts).accept_invite(&body.token, body.password).await?;
    Ok((NO_STORE, Created(Account::from(joined))))
}
