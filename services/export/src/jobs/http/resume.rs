//! `POST /v1/exports/{id}/resume`.

use axum::extract::State;
use axum::http::request::Parts as Head;
use serde_json::json;
use spanlake_catalog::{Deed, ExportStatus};
use spanlake_model::{ErasureId, ExportId, Fault};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{Data, ErrorResponse};

use super::Face;
use super::create::FIRST_RUN_AFTER;
use super::row::Row;

/// Let a paused export go on, with its next run in ten seconds. When something was erased meanwhile that it could not tell, that run deletes
/// everything at the destination and tells all rows again. One that is not paused stays as it is.
#[utoipa::path(
    post, path = "/v1/exports/{id}/resume", tag = "export", operation_id = "resume_export",
    params(("id" = String, Path, description = "The export's id.")),
    responses((status = 200, description = "The export, as it stands then.", body = Data<Row>), ErrorResponse),
)]
pub(super) async fn resume(
    State(face): State<Face>,
    head: Head,
    id: Result<Path<ExportId>, ErrorResponse>,
) -> Result<Data<Row>, ErrorResponse> {
    let caller = face.caller(&head).await?;
    let Path(id) = id?;
    let export = face.own(&caller, id).await?;
    if export.status == ExportStatus::Paused {
        let asked = json!({"failing_since": export.failing_since.map(|at| at.to_string())});
        face.record(&caller, &head, Deed { action: "export.resumed", target: id.to_string(), asked }).await?;
    }
    let parts = &face.jobs.parts;
    let everything = ErasureId::generate(parts.clock.as_ref(), parts.entropy.as_ref());
    let not_before = parts.clock.now().plus(FIRST_RUN_AFTER);
    let resumed = parts.exports.resume_export(caller.tenant(), id, everything, not_before).await;
    let resumed = resumed.map_err(Fault::from)?;
    Ok(Data(Row::of(resumed.ok_or_else(|| Fault::not_found("export"))?)?))
}
