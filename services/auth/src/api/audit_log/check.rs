//! `GET /v1/audit-log/check`

use axum::extract::State;
use http::request::Parts;
use serde::Serialize;
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::ToSchema;

use super::hex;
use crate::api::Deps;

/// What came of checking the audit log.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct AuditCheck {
    /// Whether every entry follows from the one before, and none is missing.
    is_whole: bool,
    /// Entries that were found in order, from the newest on.
    entries: u64,
    /// The newest entry that is not as it was written, or is missing.
    broken_at: Option<u64>,
    /// The hash of the newest entry. Keep it elsewhere: the entry of that sequence must have it for ever.
    head: String,
}

/// Check the chain of the audit log from its end to its beginning. For owners.
#[utoipa::path(
    get, path = "/v1/audit-log/check", tag = "auth", operation_id = "checkAuditLog",
    responses((status = 200, description = "Whether it is whole.", body = Data<AuditCheck>), ErrorResponse),
)]
pub(in crate::api) async fn check(State(deps): State<Deps>, parts: Parts) -> Result<Data<AuditCheck>, ErrorResponse> {
    let caller = deps.admit_owner(&parts).await?;
    let check = deps.service.check_audit_log(&caller).await?;
    Ok(Data(AuditCheck {
        is_whole: check.broken_at.is_none(),
        entries: check.entries,
        broken_at: check.broken_at,
        head: hex(&check.head.hash),
    }))
}
