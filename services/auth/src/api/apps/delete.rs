//! `DELETE /v1/apps/{id}`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::{AppId, Scope};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{ErrorResponse, NoContent};

use crate::api::Deps;

/// Delete an app, its agents and its keys. The keys stop here at once and everywhere within a second; then nobody can read
/// its traces. They leave the disk within hours, and `GET /v1/deletions/{id}` with the app's id says how far that is. The default app
/// cannot be deleted. Needs `admin`.
#[utoipa::path(
    delete, path = "/v1/apps/{id}", tag = "auth", operation_id = "deleteApp",
    params(("id" = String, Path, description = "The app's id.")),
    responses((status = 204, description = "The app is gone."), ErrorResponse),
)]
pub(in crate::api) async fn delete(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<AppId>, ErrorResponse>,
) -> Result<NoContent, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Path(app) = path?;
    for key in deps.by(&caller, &parts).delete_app(&caller, app).await? {
        deps.gate.revoke(key).await;
    }
    deps.gate.forget_app(caller.tenant(), app).await;
    Ok(NoContent)
}
