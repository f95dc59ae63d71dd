//! `POST /v1/logout`

use axum::extract::State;
use serde::Deserialize;
use spanlake_transport::extract::Body;
use spanlake_transport::response::{ErrorResponse, NoContent};
use utoipa::ToSchema;

use super::Deps;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogOut {
    /// The session's refresh token; an older one of the same session will do.
    refresh_token: String,
}

/// End a session. Its access token runs out by itself.
#[utoipa::path(
    post, path = "/v1/logout", tag = "auth", operation_id = "logOut",
    request_body = LogOut,
    responses((status = 204, description = "The session is over, or was over already."), ErrorResponse),
)]
pub(super) async fn log_out(State(deps): State<Deps>, Body(body): Body<LogOut>) -> Result<NoContent, ErrorResponse> {
    deps.service.log_out(&body.refresh_token).await?;
    Ok(NoContent)
}
