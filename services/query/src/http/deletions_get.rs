//! `GET /v1/deletions/{id}`.

use axum::extract::State;
use axum::http::request::Parts;
use spanlake_model::{ErasureId, Fault};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{Data, ErrorResponse};

use super::Face;
use super::deletion_row::Deletion;

/// How far a deletion is: the receipt. Needs `admin`.
#[utoipa::path(
    get, path = "/v1/deletions/{id}", tag = "query", operation_id = "get_deletion",
    params(("id" = String, Path, description = "The deletion's id.")),
    responses((status = 200, description = "The deletion.", body = Data<Deletion>), ErrorResponse),
)]
pub(super) async fn get(
    State(face): State<Face>,
    parts: Parts,
    id: Result<Path<ErasureId>, ErrorResponse>,
) -> Result<Data<Deletion>, ErrorResponse> {
    let caller = face.admin(&parts).await?;
    let Path(id) = id?;
    Ok(Data(face.service.erasure(&caller, id).await.map_err(Fault::from)?.into()))
}
