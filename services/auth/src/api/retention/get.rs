//! `GET /v1/retention`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::{Scope, Table};
use spanlake_transport::response::{Data, ErrorResponse};

use super::Retention;
use crate::api::Deps;

/// How long the tenant keeps rows. Needs `admin`.
#[utoipa::path(
    get, path = "/v1/retention", tag = "auth", operation_id = "getRetention",
    responses((status = 200, description = "How long.", body = Data<Retention>), ErrorResponse),
)]
pub(in crate::api) async fn get(State(deps): State<Deps>, parts: Parts) -> Result<Data<Retention>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    Ok(Data(Retention {
        spans_days: deps.service.kept_days(&caller, Table::Spans).await?,
        scores_days: deps.service.kept_days(&caller, Table::Scores).await?,
    }))
}
