//! `PUT /v1/retention`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::{Scope, Table};
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Data, ErrorResponse};

use super::{NewRetention, Retention};
use crate::api::Deps;

/// Set how long the tenant keeps rows. Older ones are hidden at once and deleted soon; there is no way back. Needs `admin`.
#[utoipa::path(
    put, path = "/v1/retention", tag = "auth", operation_id = "setRetention",
    request_body = NewRetention,
    responses((status = 200, description = "As it is now.", body = Data<Retention>), ErrorResponse),
)]
pub(in crate::api) async fn put(
    State(deps): State<Deps>,
    parts: Parts,
    body: Result<Body<NewRetention>, ErrorResponse>,
) -> Result<Data<Retention>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Body(NewRetention { spans_days, scores_days }) = body?;
    deps.by(&caller, &parts).keep_days(&caller, spans_days, scores_days).await?;
    let scores_days = deps.service.kept_days(&caller, Table::Scores).await?;
    Ok(Data(Retention { spans_days, scores_days }))
}
