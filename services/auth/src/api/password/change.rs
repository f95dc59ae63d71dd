//! `PUT /v1/me/password`

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
pub(in crate::api) struct PasswordChange {
    #[schema(format = Password)]
    current_password: String,
    /// At least 8 characters.
    #[schema(format = Password, min_length = 8)]
    new_password: String,
}

/// Set your password in this tenant. All your sessions end and one begins; access tokens that are out run out within ten minutes.
#[utoipa::path(
    put, path = "/v1/me/password", tag = "auth", operation_id = "changePassword",
    request_body = PasswordChange,
    responses((status = 200, description = "Tokens of the new session.", body = Data<Session>), ErrorResponse),
)]
pub(in crate::api) async fn change(
    State(deps): State<Deps>,
    parts: Parts,
    body: Result<Body<PasswordChange>, ErrorResponse>,
) -> Result<impl IntoResponse, ErrorResponse> {
    let caller = deps.caller(&parts).await?;
    let Body(body) = body?;
    let tokens = deps.by(&caller, &parts).change_password(&caller, body.current_password, body.new_password).await?;
    Ok((NO_STORE, Data(Session::from(tokens))))
}
