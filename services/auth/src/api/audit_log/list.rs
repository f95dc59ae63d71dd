//! `GET /v1/audit-log`

use axum::extract::State;
use http::request::Parts;
use serde::Deserialize;
use spanlake_model::{Code, Fault};
use spanlake_transport::extract::Query;
use spanlake_transport::response::{ErrorResponse, Page};
use utoipa::IntoParams;

use super::AuditEntry;
use crate::api::Deps;

const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 1_000;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct AuditPaging {
    /// Entries on the page: 1 to 1,000, 50 unless said.
    limit: Option<u32>,
    /// `next_cursor` of the page before: entries below this sequence.
    cursor: Option<String>,
}

/// Who changed what in this tenant, newest first. For owners.
#[utoipa::path(
    get, path = "/v1/audit-log", tag = "auth", operation_id = "listAuditLog",
    params(AuditPaging),
    responses((status = 200, description = "A page of entries.", body = Page<AuditEntry>), ErrorResponse),
)]
pub(in crate::api) async fn list(
    State(deps): State<Deps>,
    parts: Parts,
    query: Result<Query<AuditPaging>, ErrorResponse>,
) -> Result<Page<AuditEntry>, ErrorResponse> {
    let caller = deps.admit_owner(&parts).await?;
    let total = deps.service.audit_head(&caller).await?.sequence;
    let Query(AuditPaging { limit, cursor }) = query?;
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(invalid("limit", "must be 1 to 1,000").into());
    }
    let before = cursor.map_or(Ok(u64::MAX), |cursor| cursor.parse());
    let before = before.map_err(|_| invalid("cursor", "is not from this list; begin without one"))?;
    let entries = deps.service.audit_log(&caller, before, limit).await?;
    let next_cursor = entries.last().filter(|last| last.sequence > 1).map(|last| last.sequence.to_string());
    let data = entries.into_iter().map(AuditEntry::from).collect();
    Ok(Page { data, limit: limit as usize, next_cursor, total: Some(total) })
}

fn invalid(parameter: &'static str, why: &'static str) -> Fault {
    Fault::new(Code::InvalidQueryParams, format!("'{parameter}' {why}.")).detail(parameter, why)
}
