//! `GET /v1/apps`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::Scope;
use spanlake_transport::extract::Query;
use spanlake_transport::response::{ErrorResponse, Page};

use super::App;
use crate::api::Deps;
use crate::api::page::{self, Paging};

/// The tenant's apps, oldest first. Needs `read`; a key that is pinned to an app sees that one.
#[utoipa::path(
    get, path = "/v1/apps", tag = "auth", operation_id = "listApps",
    params(Paging),
    responses((status = 200, description = "A page of apps.", body = Page<App>), ErrorResponse),
)]
pub(in crate::api) async fn list(
    State(deps): State<Deps>,
    parts: Parts,
    query: Result<Query<Paging>, ErrorResponse>,
) -> Result<Page<App>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Read).await?;
    let Query(paging) = query?;
    let apps = deps.service.apps(&caller).await?;
    Ok(page::map(paging.cut("apps", apps, |app| app.id.as_bytes())?, App::from))
}
