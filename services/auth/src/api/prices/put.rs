//! `PUT /v1/prices`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::Scope;
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Data, ErrorResponse};

use super::{Own, Prices};
use crate::api::Deps;

/// Set the tenant's own prices, all of them at once. Every later read counts by them, of past spans too. Needs `admin`.
#[utoipa::path(
    put, path = "/v1/prices", tag = "auth", operation_id = "setPrices",
    request_body = Own,
    responses((status = 200, description = "As they are now.", body = Data<Prices>), ErrorResponse),
)]
pub(in crate::api) async fn put(
    State(deps): State<Deps>,
    parts: Parts,
    body: Result<Body<Own>, ErrorResponse>,
) -> Result<Data<Prices>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Body(Own { own }) = body?;
    deps.by(&caller, &parts).set_own_prices(&caller, &own).await?;
    Ok(Data(own.into()))
}
