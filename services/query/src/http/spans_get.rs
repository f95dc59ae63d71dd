//! `GET /v1/traces/{id}/spans/{span_id}`.

use axum::extract::State;
use axum::http::request::Parts;
use serde::Deserialize;
use spanlake_engine::datafusion::prelude::col;
use spanlake_model::{Caller, Fault, SpanId, TraceId};
use spanlake_transport::extract::{Path, Query};
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::IntoParams;

use super::span_row::SpanDetail;
use super::{Face, params};
use crate::error::Error;
use crate::read::columns::{id, is_trace, own};
use crate::read::spans::{Columns, collect};
use crate::read::{logs, scores};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    after: Option<String>,
}

/// A whole span, input and output included.
#[utoipa::path(
    get, path = "/v1/traces/{id}/spans/{span_id}", tag = "query", operation_id = "get_span",
    params(
        ("id" = String, Path, description = "The trace: 32 hex digits."),
        ("span_id" = String, Path, description = "16 hex digits."),
        Params,
    ),
    responses((status = 200, description = "The span.", body = Data<SpanDetail>), ErrorResponse),
)]
pub(super) async fn get(
    State(face): State<Face>,
    parts: Parts,
    ids: Result<Path<(TraceId, SpanId)>, ErrorResponse>,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Data<SpanDetail>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let (Path((trace, span)), Query(params)) = (ids?, params?);
    Ok(Data(detail(&face, &caller, trace, span, params).await.map_err(Fault::from)?))
}

async fn detail(
    face: &Face,
    caller: &Caller,
    trace: TraceId,
    span: SpanId,
    params: Params,
) -> Result<SpanDetail, Error> {
    let after = params::parsed("after", params.after.as_deref())?;
    let all = face.service.session_with_scores(caller, params::whole_range(face.service.now()), after).await?;
    let session = all.near(&[trace]).await?;
    let wanted = own(caller).and(is_trace(trace)).and(col("span_id").eq(id(span.as_bytes())));
    let frame = session.frame()?.filter(wanted)?.limit(0, Some(1))?;
    let mut found = collect(&session, Columns::All.of(&session, frame)?).await?;
    logs::fill(&all, caller, &mut found).await?;
    let found = found.pop().ok_or_else(|| Fault::not_found("span"))?;
    let scores = scores::of_trace(&session, caller, trace).await?;
    Ok(SpanDetail::new(found, scores.into_iter().filter(|score| score.span_id == Some(span))))
}
