//! `DELETE /v1/tenant`

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{Code, Fault, TenantId};
use spanlake_transport::extract::Query;
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::{IntoParams, ToSchema};

use super::TenantDeletion;
use crate::api::{Deps, NO_STORE};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Confirmation {
    /// The tenant's id, to say that this is meant.
    confirm: Option<String>,
}

/// A tenant that is being deleted.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct DeletedTenant {
    #[serde(flatten)]
    deletion: TenantDeletion,
    /// Ask with it how far that is, at `GET /v1/tenant-deletions/{receipt}`: no credential of the tenant works any more.
    receipt: String,
}

/// Delete this tenant for good: its members, apps, agents, keys and settings at once, its traces and scores within a day. For owners.
#[utoipa::path(
    delete, path = "/v1/tenant", tag = "auth", operation_id = "deleteTenant",
    params(Confirmation),
    responses((status = 202, description = "It is gone for everybody, and its files are going.", body = Data<DeletedTenant>), ErrorResponse),
)]
pub(in crate::api) async fn delete(
    State(deps): State<Deps>,
    parts: Parts,
    query: Result<Query<Confirmation>, ErrorResponse>,
) -> Result<impl IntoResponse, ErrorResponse> {
    let caller = deps.admit_owner(&parts).await?;
    let Query(Confirmation { confirm }) = query?;
    let why = "must be a tenant's id";
    let confirmed = confirm
        .map(|id| id.parse::<TenantId>())
        .transpose()
        .map_err(|_| Fault::new(Code::InvalidQueryParams, format!("'confirm' {why}.")).detail("confirm", why))?;
    let (receipt, keys) = deps.service.close_tenant(&caller, confirmed).await?;
    for key in keys {
        deps.gate.revoke(key).await;
    }
    deps.gate.forget_closed(&caller).await;
    let deletion = deps.service.closed_tenant(&receipt).await?.into();
    Ok((StatusCode::ACCEPTED, NO_STORE, Data(DeletedTenant { deletion, receipt })))
}
