//! `DELETE /v1/tenant` and its receipt.

pub(super) mod delete;
pub(super) mod receipt;

use serde::Serialize;
use spanlake_catalog::ClosedTenant;
use utoipa::ToSchema;

/// How far the deletion of a tenant is.
#[derive(Serialize, ToSchema)]
pub(super) struct TenantDeletion {
    /// `deleting`, then `deleted`.
    status: &'static str,
    /// Since when nobody can reach it.
    requested_at: String,
    /// Since when nothing of it is in the catalog or the store.
    finished_at: Option<String>,
}

impl From<ClosedTenant> for TenantDeletion {
    fn from(closed: ClosedTenant) -> Self {
        Self {
            status: if closed.finished_at.is_some() { "deleted" } else { "deleting" },
            requested_at: closed.requested_at.to_string(),
            finished_at: closed.finished_at.map(|at| at.to_string()),
        }
    }
}
