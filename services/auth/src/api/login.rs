//! `POST /v1/login`

use axum::extract::State;
use axum::response::IntoResponse;
use http::request::Parts;
use serde::Deserialize;
use spanlake_model::TenantId;
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::ToSchema;

use super::session::Session;
use super::{Deps, NO_STORE};
use crate::error::Error;
use crate::input::invalid;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogIn {
    /// The member's address.
    email: String,
    #[schema(format = Password)]
    password: String,
    /// For members of several tenants. Without it, the first that the password opens: the one they signed up, then as they joined them; of
    /// many, four are tried.
    tenant_id: Option<String>,
}

/// Begin a session.
#[utoipa::path(
    post, path = "/v1/login", tag = "auth", operation_id = "logIn",
    request_body = LogIn,
    responses((status = 200, description = "Tokens.", body = Data<Session>), ErrorResponse),
)]
pub(super) async fn log_in(
    State(deps): State<Deps>,
    parts: Parts,
    Body(body): Body<LogIn>,
) -> Result<impl IntoResponse, ErrorResponse> {
    let tenant = body.tenant_id.as_deref().map(str::parse::<TenantId>).transpose();
    let tenant = tenant.map_err(|_| Error::from(invalid("tenant_id", "must be a UUID")))?;
    let tokens = deps.from(&parts).log_in(&body.email, body.password, tenant).await?;
    Ok((NO_STORE, Data(Session::from(tokens))))
}
