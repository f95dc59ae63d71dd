//! `POST /v1/password-reset`

use axum::extract::State;
use axum::response::IntoResponse;
use http::request::Parts;
use serde::Deserialize;
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::ToSchema;

use crate::api::session::Session;
use crate::api::{Deps, NO_STORE};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct PasswordReset {
    /// The token that an admin handed over.
    token: String,
    /// At least 8 characters.
    #[schema(format = Password, min_length = 8)]
    password: String,
}

/// Set a new password with a token that was made for you, and be logged in. The token is used up and all your sessions end.
#[utoipa::path(
    post, path = "/v1/password-reset", tag = "auth", operation_id = "resetPassword",
    request_body = PasswordReset,
    responses((status = 200, description = "Tokens of a new session.", body = Data<Session>), ErrorResponse),
)]
pub(in crate::api) async fn reset(
    State(deps): State<Deps>,
    parts: Parts,
    Body(body): Body<PasswordReset>,
) -> Result<impl IntoResponse, ErrorResponse> {
    let tokens = deps.from(&parts).reset_password(&body.token, body.password).await?;
    Ok((NO_STORE, Data(Session::from(tokens))))
}
