//! `GET /v1/sessions/{session_id}`.

use axum::Json as Body;
use axum::extract::State;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{Caller, Fault, TimeRange};
use spanlake_transport::extract::{Path, Query};
use spanlake_transport::response::ErrorResponse;
use utoipa::{IntoParams, ToSchema};

use super::session_row::SessionRow;
use super::trace_row::TraceRow;
use super::{Face, cursor, params};
use crate::error::Error;
use crate::read::order::Order;
use crate::read::sessions::Whole;
use crate::read::traces;

/// How much of the timeline.
#[derive(Debug, Default, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Traces a page; at most 1,000. 50 unless given.
    #[serde(skip_serializing)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
    /// `asc` (unless given), the oldest trace first, or `desc`.
    sort_order: Option<String>,
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    #[serde(skip_serializing)]
    after: Option<String>,
}

/// A session with one page of its traces.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionDetail {
    #[serde(flatten)]
    row: SessionRow,
    /// The timeline: by start, then id.
    traces: Vec<TraceRow>,
}

/// The session, and where its next traces are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionWithTraces)]
pub(super) struct Answer {
    data: SessionDetail,
    pagination: TracePages,
}

#[derive(Debug, Serialize, ToSchema)]
struct TracePages {
    /// How many traces were asked for.
    limit: usize,
    /// Send it back as `cursor` for the traces that follow; null when there are none.
    next_cursor: Option<String>,
}

/// A session with its traces.
///
/// The sums are over all its traces, not over those of the page.
#[utoipa::path(
    get, path = "/v1/sessions/{session_id}", tag = "query", operation_id = "get_session",
    params(("session_id" = String, Path, description = "As the sender named it, percent-encoded."), Params),
    responses((status = 200, description = "The session.", body = Answer), ErrorResponse),
)]
pub(super) async fn get(
    State(face): State<Face>,
    parts: Parts,
    id: Result<Path<String>, ErrorResponse>,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Body<Answer>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let (Path(id), Query(params)) = (id?, params?);
    Ok(Body(answer(&face, &caller, id, params).await.map_err(Fault::from)?))
}

async fn answer(face: &Face, caller: &Caller, id: String, params: Params) -> Result<Answer, Error> {
    let binding = cursor::Binding::of(caller, &format!("session {id}"), &params);
    let order = match &params.sort_order {
        Some(_) => params::order(params.sort_order.as_deref())?,
        None => Order::OldestFirst,
    };
    let limit = params::limit(params.limit, 50)?;
    let receipt = params::parsed("after", params.after.as_deref())?;
    let whole = params::whole_range(face.service.now());
    let (range, from) = cursor::begin(&binding, params.cursor.as_deref(), whole)?;
    let session = face.service.session_with_scores(caller, range, receipt).await?;
    let whole = Whole::one(&session, caller, &id).await?;
    let row = whole.rows().await?.pop().ok_or_else(|| Fault::not_found("session"))?.into();
    let chosen = whole.timeline(order, from.as_ref(), limit);
    let traces = traces::describe(&session, caller, &chosen.ids(), &[TimeRange::all()]).await?;
    let last = chosen.places.last().filter(|_| chosen.has_more);
    let next_cursor = last.map(|moment| cursor::seal(&binding, range, moment));
    let data = SessionDetail { row, traces: traces.into_iter().map(TraceRow::from).collect() };
    Ok(Answer { data, pagination: TracePages { limit, next_cursor } })
}
