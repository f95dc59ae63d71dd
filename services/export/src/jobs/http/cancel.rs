//! `POST /v1/exports/{id}/cancel`.

use axum::extract::State;
use axum::http::request::Parts as Head;
use serde_json::json;
use spanlake_catalog::{Deed, ExportStatus};
use spanlake_model::{ExportId, Fault};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{Data, ErrorResponse};

use super::Face;
use super::row::Row;

/// Call an export off. A run at hand stops within seconds and leaves no manifest; what earlier runs have written stays. One that is done,
/// failed or cancelled already stays as it is.
#[utoipa::path(
    post, path = "/v1/exports/{id}/cancel", tag = "export", operation_id = "cancel_export",
    params(("id" = String, Path, description = "The export's id.")),
    responses((status = 200, description = "The export, as it stands then.", body = Data<Row>), ErrorResponse),
)]
pub(super) async fn cancel(
    State(face): State<Face>,
    head: Head,
    id: Result<Path<ExportId>, ErrorResponse>,
) -> Result<Data<Row>, ErrorResponse> {
    let caller = face.caller(&head).await?;
    let Path(id) = id?;
    let export = face.own(&caller, id).await?;
    if matches!(export.status, ExportStatus::Waiting | ExportStatus::Running | ExportStatus::Paused) {
        let asked = json!({"status": export.status.as_str()});
        face.record(&caller, &head, Deed { action: "export.cancelled", target: id.to_string(), asked }).await?;
    }
    let parts = &face.jobs.parts;
    let cancelled = parts.exports.cancel_export(caller.tenant(), id, parts.clock.now()).await.map_err(Fault::from)?;
    Ok(Data(Row::of(cancelled.ok_or_else(|| Fault::not_found("export"))?)?))
}
