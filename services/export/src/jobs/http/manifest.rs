//! `GET /v1/exports/{id}/manifest`.

use axum::extract::State;
use axum::http::request::Parts as Head;
use serde::Deserialize;
use serde_json::value::RawValue;
use spanlake_model::{ExportId, Fault};
use spanlake_transport::extract::{Path, Query};
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::IntoParams;

use super::Face;

/// Which run.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// The last that was written unless given.
    run: Option<u64>,
}

/// A run's manifest, as it lies beside its files: schema, counts, and each file with its size and SHA-256.
#[utoipa::path(
    get, path = "/v1/exports/{id}/manifest", tag = "export", operation_id = "get_export_manifest",
    params(("id" = String, Path, description = "The export's id."), Params),
    responses((status = 200, description = "The manifest.", body = Data<serde_json::Value>), ErrorResponse),
)]
pub(super) async fn manifest(
    State(face): State<Face>,
    head: Head,
    id: Result<Path<ExportId>, ErrorResponse>,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Data<Box<RawValue>>, ErrorResponse> {
    let caller = face.caller(&head).await?;
    let (Path(id), Query(params)) = (id?, params?);
    face.own(&caller, id).await?;
    if params.run.is_some_and(|run| i64::try_from(run).is_err()) {
        return Err(Fault::not_found("manifest").into());
    }
    let found = face.jobs.parts.exports.manifest(caller.tenant(), id, params.run).await.map_err(Fault::from)?;
    let text = found.ok_or_else(|| Fault::not_found("manifest"))?;
    Ok(Data(RawValue::from_string(text).map_err(|_| Fault::internal())?))
}
