//! `GET /v1/tenant-deletions/{receipt}`

use axum::extract::State;
use spanlake_transport::extract::Path;
use spanlake_transport::response::{Data, ErrorResponse};

use super::TenantDeletion;
use crate::api::Deps;

/// How far the deletion of a tenant is. The receipt is all it takes.
#[utoipa::path(
    get, path = "/v1/tenant-deletions/{receipt}", tag = "auth", operation_id = "getTenantDeletion",
    params(("receipt" = String, Path, description = "What `DELETE /v1/tenant` answered.")),
    responses((status = 200, description = "How far it is.", body = Data<TenantDeletion>), ErrorResponse),
)]
pub(in crate::api) async fn receipt(
    State(deps): State<Deps>,
    Path(receipt): Path<String>,
) -> Result<Data<TenantDeletion>, ErrorResponse> {
    Ok(Data(deps.service.closed_tenant(&receipt).await?.into()))
}
