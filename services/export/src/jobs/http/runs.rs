//! `GET /v1/exports/{id}/runs`.

use axum::extract::State;
use axum::http::request::Parts as Head;
use serde::Deserialize;
use spanlake_model::{ExportId, Fault};
use spanlake_transport::extract::{Path, Query};
use spanlake_transport::response::{ErrorResponse, Page};
use utoipa::IntoParams;

use super::row::Written;
use super::{Face, limit, open, seal};

/// How many.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Rows a page; at most 1,000. 50 unless given.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Runs of an export that have written their manifest, latest first. A scheduled run that found no change has written none.
#[utoipa::path(
    get, path = "/v1/exports/{id}/runs", tag = "export", operation_id = "list_export_runs",
    params(("id" = String, Path, description = "The export's id."), Params),
    responses((status = 200, description = "One page of runs.", body = Page<Written>), ErrorResponse),
)]
pub(super) async fn runs(
    State(face): State<Face>,
    head: Head,
    id: Result<Path<ExportId>, ErrorResponse>,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Page<Written>, ErrorResponse> {
    let caller = face.caller(&head).await?;
    let (Path(id), Query(params)) = (id?, params?);
    let limit = limit(params.limit)?;
    let before = open(params.cursor.as_deref(), |text| text.parse().ok())?;
    face.own(&caller, id).await?;
    let found = face.jobs.parts.exports.export_runs(caller.tenant(), id, before, limit + 1).await;
    let mut found = found.map_err(Fault::from)?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| has_more).map(|last| seal(&last.run.to_string()));
    Ok(Page { data: found.into_iter().map(Written::from).collect(), limit: limit as usize, next_cursor, total: None })
}
