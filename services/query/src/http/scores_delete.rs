//! `DELETE /v1/scores/{id}`.

use axum::extract::State;
use axum::http::request::Parts;
use spanlake_model::{Fault, Scope};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{ErrorResponse, NoContent};

use super::Face;

/// Delete a score. It is hidden when this answers. Needs `score`.
#[utoipa::path(
    delete, path = "/v1/scores/{score_id}", tag = "query", operation_id = "delete_score",
    params(("score_id" = String, Path, description = "The score's id.")),
    responses((status = 204, description = "The score is gone from every read."), ErrorResponse),
)]
pub(super) async fn delete(
    State(face): State<Face>,
    parts: Parts,
    id: Result<Path<String>, ErrorResponse>,
) -> Result<NoContent, ErrorResponse> {
    let caller = face.admit(&parts, Scope::Score).await?;
    let Path(id) = id?;
    face.service.erase_score(&caller, face.act(&caller, &parts), &id).await.map_err(Fault::from)?;
    Ok(NoContent)
}
