//! `POST /v1/agents`

use axum::extract::State;
use http::request::Parts;
use serde::Deserialize;
use spanlake_model::{AppId, Scope};
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Created, ErrorResponse};
use utoipa::ToSchema;

use super::Agent;
use crate::api::Deps;
use crate::error::Error;
use crate::input::invalid;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewAgent {
    /// 1 to 100 characters, unique in the app.
    name: String,
    /// Its app; without it, the app that the request is about.
    app_id: Option<String>,
}

/// Make an agent. Needs `admin`.
#[utoipa::path(
    post, path = "/v1/agents", tag = "auth", operation_id = "createAgent",
    request_body = NewAgent,
    responses((status = 201, description = "The agent.", body = Created<Agent>), ErrorResponse),
)]
pub(in crate::api) async fn create(
    State(deps): State<Deps>,
    parts: Parts,
    body: Result<Body<NewAgent>, ErrorResponse>,
) -> Result<Created<Agent>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Body(new) = body?;
    let app = new.app_id.as_deref().map(str::parse::<AppId>).transpose();
    let app = app.map_err(|_| Error::from(invalid("app_id", "must be a UUID")))?;
    Ok(Created(deps.by(&caller, &parts).create_agent(&caller, &new.name, app).await?.into()))
}
