//! `GET /v1/api-keys`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::Scope;
use spanlake_transport::extract::Query;
use spanlake_transport::response::{ErrorResponse, Page};

use super::ApiKey;
use crate::api::Deps;
use crate::api::page::{self, Paging};

/// The tenant's keys, oldest first, revoked ones too; never their secrets. Needs `admin`.
#[utoipa::path(
    get, path = "/v1/api-keys", tag = "auth", operation_id = "listApiKeys",
    params(Paging),
    responses((status = 200, description = "A page of keys.", body = Page<ApiKey>), ErrorResponse),
)]
pub(in crate::api) async fn list(
    State(deps): State<Deps>,
    parts: Parts,
    query: Result<Query<Paging>, ErrorResponse>,
) -> Result<Page<ApiKey>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Query(paging) = query?;
    let keys = deps.service.keys(&caller).await?;
    Ok(page::map(paging.cut("api-keys", keys, |made| made.key.id.as_bytes())?, ApiKey::listed))
}
