//! `GET /v1/prices`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::Scope;
use spanlake_transport::response::{Data, ErrorResponse};

use super::Prices;
use crate::api::Deps;

/// The tenant's own prices. Needs `read`.
#[utoipa::path(
    get, path = "/v1/prices", tag = "auth", operation_id = "getPrices",
    responses((status = 200, description = "The prices.", body = Data<Prices>), ErrorResponse),
)]
pub(in crate::api) async fn get(State(deps): State<Deps>, parts: Parts) -> Result<Data<Prices>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Read).await?;
    Ok(Data(deps.service.own_prices(&caller).await?.into()))
}
