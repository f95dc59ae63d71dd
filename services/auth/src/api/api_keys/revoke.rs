//! `DELETE /v1/api-keys/{id}`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::{KeyId, Scope};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{ErrorResponse, NoContent};

use crate::api::Deps;

/// Revoke a key. It stops here at once and everywhere within a second; revoking it again changes nothing. Needs `admin`.
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}", tag = "auth", operation_id = "revokeApiKey",
    params(("id" = String, Path, description = "The key's id.")),
    responses((status = 204, description = "The key is revoked."), ErrorResponse),
)]
pub(in crate::api) async fn revoke(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<KeyId>, ErrorResponse>,
) -> Result<NoContent, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Path(key) = path?;
    deps.by(&caller, &parts).revoke_key(&caller, key).await?;
    deps.gate.revoke(key).await;
    Ok(NoContent)
}
