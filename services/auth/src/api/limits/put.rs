//! `PUT /v1/limits`

use axum::extract::State;
use http::request::Parts;
use serde::Deserialize;
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::ToSchema;

use super::Limits;
use crate::api::Deps;
use crate::service::NewLimits;

/// Limits to be set; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
#[schema(as = NewTenantLimits)]
pub(in crate::api) struct Wanted {
    requests_per_second: Option<u32>,
    spans_per_second: Option<u32>,
    bytes_per_second: Option<u64>,
    exports_per_hour: Option<u32>,
    /// Null: as many as there are.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    spans_per_month: Option<Option<u64>>,
    /// 1 or more; null: as many as the installation lets a tenant run.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    queries_at_once: Option<Option<u32>>,
}

/// Tells null from what is not there.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Set what the tenant may use, within what this installation allows; here at once, and everywhere within a second. For owners.
#[utoipa::path(
    put, path = "/v1/limits", tag = "auth", operation_id = "setLimits",
    request_body = Wanted,
    responses((status = 200, description = "As they are now.", body = Data<Limits>), ErrorResponse),
)]
pub(in crate::api) async fn put(
    State(deps): State<Deps>,
    parts: Parts,
    body: Result<Body<Wanted>, ErrorResponse>,
) -> Result<Data<Limits>, ErrorResponse> {
    let caller = deps.owner(&parts).await?;
    let Body(wanted) = body?;
    let new = NewLimits {
        requests_per_second: wanted.requests_per_second,
        spans_per_second: wanted.spans_per_second,
        bytes_per_second: wanted.bytes_per_second,
        exports_per_hour: wanted.exports_per_hour,
        spans_per_month: wanted.spans_per_month,
        queries_at_once: wanted.queries_at_once,
    };
    let limits = deps.by(&caller, &parts).set_limits(&caller, new).await?;
    deps.gate.forget_tenant(caller.tenant()).await;
    Ok(Data(limits.into()))
}
