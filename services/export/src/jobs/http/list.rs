//! `GET /v1/exports`.

use axum::extract::State;
use axum::http::request::Parts as Head;
use serde::Deserialize;
use spanlake_model::{ExportId, Fault, Timestamp};
use spanlake_transport::extract::Query;
use spanlake_transport::response::{ErrorResponse, Page};
use utoipa::IntoParams;

use super::row::Row;
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

/// Exports into files of the app, newest first. A key of an agent sees those that were asked for with it.
#[utoipa::path(
    get, path = "/v1/exports", tag = "export", operation_id = "list_exports", params(Params),
    responses((status = 200, description = "One page of exports.", body = Page<Row>), ErrorResponse),
)]
pub(super) async fn list(
    State(face): State<Face>,
    head: Head,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Page<Row>, ErrorResponse> {
    let caller = face.caller(&head).await?;
    let Query(params) = params?;
    let limit = limit(params.limit)?;
    let before = open(params.cursor.as_deref(), read)?;
    let exports = &face.jobs.parts.exports;
    let found = exports.exports(caller.tenant(), caller.app(), caller.agent(), before, limit + 1).await;
    let mut found = found.map_err(Fault::from)?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let last = found.last().filter(|_| has_more);
    let next_cursor = last.map(|last| seal(&format!("{}.{}", last.asked.created_at.as_nanos(), last.asked.id)));
    let data = found.into_iter().map(Row::of).collect::<Result<_, _>>()?;
    Ok(Page { data, limit: limit as usize, next_cursor, total: None })
}

fn read(text: &str) -> Option<(Timestamp, ExportId)> {
    let (nanos, id) = text.split_once('.')?;
    Some((Timestamp::from_nanos(nanos.parse().ok()?), id.parse().ok()?))
}
