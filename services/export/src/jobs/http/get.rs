//! `GET /v1/exports/{id}`.

use axum::extract::State;
use axum::http::request::Parts as Head;
use spanlake_model::ExportId;
use spanlake_transport::extract::Path;
use spanlake_transport::response::{Data, ErrorResponse};

use super::Face;
use super::row::Row;

/// How an export into files stands, and how far it is.
#[utoipa::path(
    get, path = "/v1/exports/{id}", tag = "export", operation_id = "get_export",
    params(("id" = String, Path, description = "The export's id.")),
    responses((status = 200, description = "The export.", body = Data<Row>), ErrorResponse),
)]
pub(super) async fn get(
    State(face): State<Face>,
    head: Head,
    id: Result<Path<ExportId>, ErrorResponse>,
) -> Result<Data<Row>, ErrorResponse> {
    let caller = face.caller(&head).await?;
    let Path(id) = id?;
    Ok(Data(Row::of(face.own(&caller, id).await?)?))
}
