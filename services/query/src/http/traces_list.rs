//! `GET /v1/traces`.

use axum::extract::State;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{Caller, Fault, Filter, SpanFilter};
use spanlake_transport::extract::{Body, Query};
use spanlake_transport::response::{ErrorResponse, Page};
use utoipa::IntoParams;

use super::filters::{Search, Short, pair};
use super::trace_row::TraceRow;
use super::{Face, cursor, params};
use crate::error::Error;
use crate::read::traces::{TraceQuery, choose, describe};

/// Which traces, and how many. A trace is listed by when its first span began.
#[derive(Debug, Default, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Rows a page; at most 1,000. 50 unless given.
    #[serde(skip_serializing)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
    /// First instant, RFC 3339 or a date. 30 days before the end unless given.
    start_date: Option<String>,
    /// First instant after the range. Now unless given. At most 400 days after the start.
    end_date: Option<String>,
    /// `start_time` (unless given), `latency`, `cost`, `tokens`, `name` or `status`.
    sort_by: Option<String>,
    /// `desc` (unless given) or `asc`.
    sort_order: Option<String>,
    /// `OK`, `ERROR` or `UNSET`: the trace's own.
    status: Option<String>,
    /// With a span of this end user.
    user_id: Option<String>,
    /// With a span of this session.
    session_id: Option<String>,
    /// With a span of this model, asked for or answering.
    model: Option<String>,
    /// With exactly this name.
    name: Option<String>,
    /// With a span that has this tag; of several, one will do.
    tag: Vec<String>,
    /// With a span from this environment.
    environment: Option<String>,
    /// With a span attributed to this agent.
    agent_id: Option<String>,
    /// In the filter language: docs/api/filters.md.
    filter: Option<String>,
    /// Text in input or output, in any case.
    search: Option<String>,
    /// Together with `metadata_value`.
    metadata_key: Option<String>,
    /// The value under that key, compared as text.
    metadata_value: Option<String>,
    /// Milliseconds at least.
    #[serde(alias = "min_duration")]
    min_latency_ms: Option<f64>,
    /// Milliseconds at most.
    #[serde(alias = "max_duration")]
    max_latency_ms: Option<f64>,
    /// Dollars at least.
    min_cost: Option<f64>,
    /// Dollars at most.
    max_cost: Option<f64>,
    /// `<name><sign><number>` with `>=`, `<=`, `!=`, `>`, `<` or `=`, as `quality>=0.8`. May be given several times; all must hold.
    score: Vec<String>,
    /// With a score, of any name, of at least this; together with `max_score`, one and the same score.
    #[serde(alias = "minScore")]
    min_score: Option<f64>,
    /// With a score, of any name, of at most this.
    #[serde(alias = "maxScore")]
    max_score: Option<f64>,
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    #[serde(skip_serializing)]
    after: Option<String>,
}

/// How far outside the range spans of its traces are looked for. A trace that runs longer across an edge of the range
/// is shown with the spans that this finds.
const REACH: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Traces, newest first.
#[utoipa::path(
    get, path = "/v1/traces", tag = "query", operation_id = "list_traces", params(Params),
    responses((status = 200, description = "One page of traces.", body = Page<TraceRow>), ErrorResponse),
)]
pub(super) async fn list(
    State(face): State<Face>,
    parts: Parts,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Page<TraceRow>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let Query(params) = params?;
    Ok(page(&face, &caller, params).await.map_err(Fault::from)?)
}

/// Traces by the JSON form of the filter language; otherwise as the list.
#[utoipa::path(
    post, path = "/v1/traces/search", tag = "query", operation_id = "search_traces", request_body = Search,
    responses((status = 200, description = "One page of traces.", body = Page<TraceRow>), ErrorResponse),
)]
pub(super) async fn search(
    State(face): State<Face>,
    parts: Parts,
    body: Result<Body<Search>, ErrorResponse>,
) -> Result<Page<TraceRow>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let Body(body) = body?;
    Ok(page(&face, &caller, body.params()?).await.map_err(Fault::from)?)
}

async fn page(face: &Face, caller: &Caller, params: Params) -> Result<Page<TraceRow>, Error> {
    let after = params::parsed("after", params.after.as_deref())?;
    let binding = cursor::Binding::of(caller, "traces", &params);
    let mut query = params.query(face)?;
    (query.range, query.after) = cursor::begin(&binding, params.cursor.as_deref(), query.range)?;
    let session = face.service.session_with_scores(caller, params::reaching(query.range, REACH), after).await?;
    let chosen = choose(&session, caller, &query).await?;
    let traces = describe(&session, caller, &chosen.ids(), &chosen.ranges).await?;
    let last = chosen.places.last().filter(|_| chosen.has_more);
    Ok(Page {
        data: traces.into_iter().map(TraceRow::from).collect(),
        limit: query.limit,
        next_cursor: last.map(|place| cursor::seal(&binding, query.range, place)),
        total: None,
    })
}

impl Params {
    /// What is short for conditions, and the filter language itself.
    fn said(&self) -> Result<Filter, Fault> {
        Short {
            filter: self.filter.as_deref(),
            search: self.search.as_deref(),
            tag: &self.tag,
            min_latency_ms: self.min_latency_ms,
            max_latency_ms: self.max_latency_ms,
            min_cost: self.min_cost,
            max_cost: self.max_cost,
            score: &self.score,
            min_score: self.min_score,
            max_score: self.max_score,
        }
        .read()
    }

    fn query(&self, face: &Face) -> Result<TraceQuery, Fault> {
        let with_span = SpanFilter {
            user_id: self.user_id.clone(),
            session_id: self.session_id.clone(),
            model: self.model.clone(),
            environment: self.environment.clone(),
            agent_id: params::parsed("agent_id", self.agent_id.as_deref())?,
            metadata: pair(self.metadata_key.as_ref(), self.metadata_value.as_ref())?,
            filter: self.said()?,
            ..SpanFilter::default()
        };
        Ok(TraceQuery {
            range: params::range(face.service.now(), self.start_date.as_deref(), self.end_date.as_deref())?,
            with_span,
            name: self.name.clone(),
            status: params::status(self.status.as_deref())?,
            sort_by: params::sort_by(self.sort_by.as_deref())?,
            order: params::order(self.sort_order.as_deref())?,
            after: None,
            limit: params::limit(self.limit, 50)?,
        })
    }
}
