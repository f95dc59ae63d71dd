//! `GET /v1/scores/{id}`.

use axum::extract::State;
use axum::http::request::Parts;
use serde::Deserialize;
use spanlake_model::{Caller, Fault};
use spanlake_transport::extract::{Path, Query};
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::IntoParams;

use super::score_row::ScoreRow;
use super::{Face, params};
use crate::error::Error;
use crate::read::scores;

/// What the answer must include.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    after: Option<String>,
}

/// A score.
#[utoipa::path(
    get, path = "/v1/scores/{score_id}", tag = "query", operation_id = "get_score",
    params(("score_id" = String, Path, description = "The score's id."), Params),
    responses((status = 200, description = "The score.", body = Data<ScoreRow>), ErrorResponse),
)]
pub(super) async fn get(
    State(face): State<Face>,
    parts: Parts,
    id: Result<Path<String>, ErrorResponse>,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Data<ScoreRow>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let (Path(id), Query(params)) = (id?, params?);
    Ok(Data(one(&face, &caller, &id, &params).await.map_err(Fault::from)?))
}

async fn one(face: &Face, caller: &Caller, id: &str, params: &Params) -> Result<ScoreRow, Error> {
    let after = params::parsed("after", params.after.as_deref())?;
    let session = face.service.scores(caller, after).await?;
    let found = scores::one(&session, caller, id).await?;
    Ok(found.ok_or_else(|| Fault::not_found("score"))?.into())
}
