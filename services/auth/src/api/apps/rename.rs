//! `PATCH /v1/apps/{id}`

use axum::extract::State;
use http::request::Parts;
use serde::Deserialize;
use spanlake_model::{AppId, Scope};
use spanlake_transport::extract::{Body, Path};
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::ToSchema;

use super::App;
use crate::api::Deps;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct AppChange {
    /// 1 to 100 characters, unique in the tenant.
    name: String,
}

/// Rename an app. Its id, traces and keys stay. Needs `admin`.
#[utoipa::path(
    patch, path = "/v1/apps/{id}", tag = "auth", operation_id = "renameApp",
    params(("id" = String, Path, description = "The app's id.")),
    request_body = AppChange,
    responses((status = 200, description = "The app.", body = Data<App>), ErrorResponse),
)]
pub(in crate::api) async fn rename(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<AppId>, ErrorResponse>,
    body: Result<Body<AppChange>, ErrorResponse>,
) -> Result<Data<App>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let (Path(app), Body(change)) = (path?, body?);
    Ok(Data(deps.by(&caller, &parts).rename_app(&caller, app, &change.name).await?.into()))
}
