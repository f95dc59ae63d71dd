//! `GET /v1/limits`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::Scope;
use spanlake_transport::response::{Data, ErrorResponse};

use super::Limits;
use crate::api::Deps;

/// What the tenant may use. Needs `read`.
#[utoipa::path(
    get, path = "/v1/limits", tag = "auth", operation_id = "getLimits",
    responses((status = 200, description = "The limits.", body = Data<Limits>), ErrorResponse),
)]
pub(in crate::api) async fn get(State(deps): State<Deps>, parts: Parts) -> Result<Data<Limits>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Read).await?;
    Ok(Data(deps.service.limits(&caller).await?.into()))
}
