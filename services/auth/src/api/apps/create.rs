//! `POST /v1/apps`

use axum::extract::State;
use http::request::Parts;
use serde::Deserialize;
use spanlake_model::Scope;
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Created, ErrorResponse};
use utoipa::ToSchema;

use super::App;
use crate::api::Deps;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewApp {
    /// 1 to 100 characters, unique in the tenant.
    name: String,
}

/// Make an app. Needs `admin`.
#[utoipa::path(
    post, path = "/v1/apps", tag = "auth", operation_id = "createApp",
    request_body = NewApp,
    responses((status = 201, description = "The app.", body = Created<App>), ErrorResponse),
)]
pub(in crate::api) async fn create(
    State(deps): State<Deps>,
    parts: Parts,
    body: Result<Body<NewApp>, ErrorResponse>,
) -> Result<Created<App>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Body(new) = body?;
    Ok(Created(deps.by(&caller, &parts).create_app(&caller, &new.name).await?.into()))
}
