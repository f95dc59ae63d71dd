//! `GET /v1/apps/{id}`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::{AppId, Scope};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{Data, ErrorResponse};

use super::App;
use crate::api::Deps;

/// One app. Needs `read`; a key that is pinned to an app finds that one.
#[utoipa::path(
    get, path = "/v1/apps/{id}", tag = "auth", operation_id = "getApp",
    params(("id" = String, Path, description = "The app's id.")),
    responses((status = 200, description = "The app.", body = Data<App>), ErrorResponse),
)]
pub(in crate::api) async fn get(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<AppId>, ErrorResponse>,
) -> Result<Data<App>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Read).await?;
    let Path(app) = path?;
    Ok(Data(deps.service.app(&caller, app).await?.into()))
}
