//! `DELETE /v1/traces/{id}`.

use axum::extract::State;
use axum::http::request::Parts;
use spanlake_model::{Fault, TraceId};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{ErrorResponse, NoContent};

use super::Face;
use crate::erase::Named;

/// Delete a trace. It is hidden when this answers; spans of it that are sent later are new. Needs `admin`.
///
/// For a receipt use `POST /v1/deletions` with `trace_ids`.
#[utoipa::path(
    delete, path = "/v1/traces/{id}", tag = "query", operation_id = "delete_trace",
    params(("id" = String, Path, description = "32 hex digits.")),
    responses((status = 204, description = "The trace is gone from every read."), ErrorResponse),
)]
pub(super) async fn delete(
    State(face): State<Face>,
    parts: Parts,
    id: Result<Path<TraceId>, ErrorResponse>,
) -> Result<NoContent, ErrorResponse> {
    let caller = face.admin(&parts).await?;
    let Path(trace) = id?;
    face.service.erase(&caller, face.act(&caller, &parts), Named::Trace(trace)).await.map_err(Fault::from)?;
    Ok(NoContent)
}
