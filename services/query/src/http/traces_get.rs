//! `GET /v1/traces/{id}`.

use axum::Json as Body;
use axum::extract::State;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_engine::{LooseEnds, TenantSession};
use spanlake_model::{Caller, Fault, Position, Receipt, Span, SpanId, TimeRange, Timestamp, TraceId};
use spanlake_transport::extract::{Path, Query};
use spanlake_transport::response::ErrorResponse;
use utoipa::{IntoParams, ToSchema};

use super::json::Json;
use super::score_row::ScoreRow;
use super::span_row::SpanNode;
use super::trace_row::TraceSummary;
use super::{Face, cursor, params};
use crate::error::Error;
use crate::read::columns::{is_trace, own};
use crate::read::order::{Edge, Order};
use crate::read::spans::{Columns, collect};
use crate::read::traces::describe;
use crate::read::{logs, scores};

/// How much of the trace.
#[derive(Debug, Default, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// `io` adds input and output to each span.
    fields: Option<String>,
    /// Spans a page; at most 1,000, and 1,000 unless given.
    #[serde(skip_serializing)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    #[serde(skip_serializing)]
    after: Option<String>,
}

/// A trace with one page of its spans.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TraceDetail {
    #[serde(flatten)]
    row: TraceSummary,
    /// Of the trace and of its spans, newest first; 1,000 at most.
    scores: Vec<ScoreRow>,
    /// The root's, else that of the earliest span that has any.
    metadata: Json,
    /// By start, then span id; parents are named by `parent_id`.
    spans: Vec<SpanNode>,
}

/// The trace, and where its next spans are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TraceWithSpans)]
pub(super) struct Answer {
    data: TraceDetail,
    pagination: SpanPages,
}

#[derive(Debug, Serialize, ToSchema)]
struct SpanPages {
    /// How many spans were asked for.
    limit: usize,
    /// Send it back as `cursor` for the spans that follow; null when there are none.
    next_cursor: Option<String>,
}

/// Where a span stands in its trace. The trace is named by the path.
#[derive(Debug, Serialize, Deserialize)]
struct Place(Timestamp, SpanId);

/// What was asked for, read.
struct Wanted {
    trace: TraceId,
    columns: Columns,
    limit: usize,
    after: Option<Position>,
    receipt: Option<Receipt>,
}

/// A trace with its spans.
///
/// A huge trace comes in pages of spans; each page repeats the trace's own row.
#[utoipa::path(
    get, path = "/v1/traces/{id}", tag = "query", operation_id = "get_trace",
    params(("id" = String, Path, description = "32 hex digits."), Params),
    responses((status = 200, description = "The trace.", body = Answer), ErrorResponse),
)]
pub(super) async fn get(
    State(face): State<Face>,
    parts: Parts,
    id: Result<Path<TraceId>, ErrorResponse>,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Body<Answer>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let (Path(trace), Query(params)) = (id?, params?);
    Ok(Body(answer(&face, &caller, trace, params).await.map_err(Fault::from)?))
}

async fn answer(face: &Face, caller: &Caller, trace: TraceId, params: Params) -> Result<Answer, Error> {
    let binding = cursor::Binding::of(caller, &format!("trace {trace}"), &params);
    let mut wanted = Wanted {
        trace,
        columns: params::one_of("fields", params.fields.as_deref(), &[("io", Columns::SkeletonWithIo)])?
            .unwrap_or(Columns::Skeleton),
        limit: params::limit(params.limit, 1_000)?,
        after: None,
        receipt: params::parsed("after", params.after.as_deref())?,
    };
    let whole = params::whole_range(face.service.now());
    let (range, from) = cursor::begin(&binding, params.cursor.as_deref(), whole)?;
    wanted.after = from.map(|Place(start, span_id)| Position { start, trace_id: trace, span_id });
    let all = face.service.session_with_scores(caller, range, wanted.receipt).await?;
    let session = all.near(&[trace]).await?;
    let anywhere = [TimeRange::all()];
    let (mut found, mut spans, loose, scores) = futures::try_join!(
        describe(&session, caller, std::slice::from_ref(&trace), &anywhere),
        read_spans(&session, caller, &wanted),
        loose_ends(&session, caller, trace),
        scores::of_trace(&session, caller, trace),
    )?;
    let mut trace = found.pop().ok_or_else(|| Fault::not_found("trace"))?;
    let at = |span: &Span| Place(span.start, span.span_id);
    let next_cursor = cursor::cut(&binding, range, &mut spans, wanted.limit, at);
    let with_io = wanted.columns == Columns::SkeletonWithIo;
    if with_io {
        logs::fill(&all, caller, &mut spans).await?;
    }
    let metadata = Json::of(std::mem::take(&mut trace.metadata));
    let node = |span: Span| {
        let own = scores.iter().filter(|score| score.span_id == Some(span.span_id)).cloned().collect();
        let parent = loose.status(span.trace_id, span.span_id, span.parent_span_id);
        SpanNode::new(span, parent, with_io, own)
    };
    let spans = spans.into_iter().map(node).collect();
    let scores = scores.into_iter().map(ScoreRow::from).collect();
    let data = TraceDetail { row: trace.into(), scores, metadata, spans };
    Ok(Answer { data, pagination: SpanPages { limit: wanted.limit, next_cursor } })
}

async fn loose_ends(session: &TenantSession, caller: &Caller, trace: TraceId) -> Result<LooseEnds, Error> {
    Ok(LooseEnds::of(session, session.frame()?.filter(own(caller).and(is_trace(trace)))?).await?)
}

async fn read_spans(session: &TenantSession, caller: &Caller, wanted: &Wanted) -> Result<Vec<Span>, Error> {
    let order = Order::OldestFirst;
    let mut frame = session.frame()?.filter(own(caller).and(is_trace(wanted.trace)))?;
    if let Some(place) = &wanted.after {
        frame = frame.filter(order.after(place, Edge::Excluded))?;
    }
    let frame = frame.sort(order.sort())?.limit(0, Some(wanted.limit.saturating_add(1)))?;
    collect(session, wanted.columns.of(session, frame)?).await
}
