//! `POST /v1/token/refresh`

use axum::extract::State;
use axum::response::IntoResponse;
use http::request::Parts;
use serde::Deserialize;
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::ToSchema;

use super::session::Session;
use super::{Deps, NO_STORE};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    /// The last one received. It works once; a second use ends the session, but for half a minute while the answer
    /// to the first was not used.
    refresh_token: String,
}

/// Go on with a session: exchange a refresh token for new tokens.
#[utoipa::path(
    post, path = "/v1/token/refresh", tag = "auth", operation_id = "refreshToken",
    request_body = Refresh,
    responses((status = 200, description = "New tokens; the old refresh token is used up.", body = Data<Session>), ErrorResponse),
)]
pub(super) async fn refresh(
    State(deps): State<Deps>,
    parts: Parts,
    Body(body): Body<Refresh>,
) -> Result<impl IntoResponse, ErrorResponse> {
    let tokens = deps.from(&parts).refresh(&body.refresh_token).await?;
    Ok((NO_STORE, Data(Session::from(tokens))))
}
