//! `GET /v1/spans`.

use axum::extract::State;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{Caller, Fault, Filter, SpanFilter};
use spanlake_transport::extract::{Body, Query};
use spanlake_transport::response::{ErrorResponse, Page};
use utoipa::IntoParams;

use super::filters::{Search, Short, pair};
use super::span_row::SpanRow;
use super::{Face, cursor, params};
use crate::error::Error;
use crate::read::spans::list::{List, read};
use crate::read::spans::sorted::Place;

/// Which spans, and how many.
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
    /// Of this trace.
    trace_id: Option<String>,
    /// `llm`, `tool`, `agent`, … or the sender's own word.
    kind: Option<String>,
    /// `GENERATION`, `SPAN` or `EVENT`.
    #[serde(rename = "type")]
    coarse_type: Option<String>,
    /// `OK`, `ERROR` or `UNSET`.
    status: Option<String>,
    /// Of this end user.
    user_id: Option<String>,
    /// Of this session.
    session_id: Option<String>,
    /// Of this model, asked for or answering.
    model: Option<String>,
    /// With exactly this name.
    name: Option<String>,
    /// With this tag; of several, one will do.
    tag: Vec<String>,
    /// From this environment.
    environment: Option<String>,
    /// Attributed to this agent.
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

/// Spans, newest first.
#[utoipa::path(
    get, path = "/v1/spans", tag = "query", operation_id = "list_spans", params(Params),
    responses((status = 200, description = "One page of spans.", body = Page<SpanRow>), ErrorResponse),
)]
pub(super) async fn list(
    State(face): State<Face>,
    parts: Parts,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Page<SpanRow>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let Query(params) = params?;
    Ok(page(&face, &caller, params).await.map_err(Fault::from)?)
}

/// Spans by the JSON form of the filter language; otherwise as the list.
#[utoipa::path(
    post, path = "/v1/spans/search", tag = "query", operation_id = "search_spans", request_body = Search,
    responses((status = 200, description = "One page of spans.", body = Page<SpanRow>), ErrorResponse),
)]
pub(super) async fn search(
    State(face): State<Face>,
    parts: Parts,
    body: Result<Body<Search>, ErrorResponse>,
) -> Result<Page<SpanRow>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let Body(body) = body?;
    Ok(page(&face, &caller, body.params()?).await.map_err(Fault::from)?)
}

async fn page(face: &Face, caller: &Caller, params: Params) -> Result<Page<SpanRow>, Error> {
    let binding = cursor::Binding::of(caller, "spans", &params);
    let limit = params::limit(params.limit, 50)?;
    let range = params::range(face.service.now(), params.start_date.as_deref(), params.end_date.as_deref())?;
    let (range, from) = cursor::begin(&binding, params.cursor.as_deref(), range)?;
    let after = params::parsed("after", params.after.as_deref())?;
    let (filter, by, order) =
        (params.filter()?, params::sort_by(params.sort_by.as_deref())?, params::order(params.sort_order.as_deref())?);
    let session = face.service.session_for(caller, &filter.filter, range, after).await?;
    let wanted = List { filter: &filter, by, order, from, limit: limit.saturating_add(1) };
    let mut spans = read(&session, caller, &wanted).await?;
    let next_cursor = cursor::cut(&binding, range, &mut spans, limit, |last| Place::of(last, by));
    Ok(Page { data: spans.into_iter().map(SpanRow::from).collect(), limit, next_cursor, total: None })
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

    fn filter(&self) -> Result<SpanFilter, Fault> {
        Ok(SpanFilter {
            trace_id: params::parsed("trace_id", self.trace_id.as_deref())?,
            name: self.name.clone(),
            coarse_type: params::coarse_type(self.coarse_type.as_deref())?,
            kind: self.kind.clone(),
            status: params::status(self.status.as_deref())?,
            model: self.model.clone(),
            user_id: self.user_id.clone(),
            session_id: self.session_id.clone(),
            environment: self.environment.clone(),
            agent_id: params::parsed("agent_id", self.agent_id.as_deref())?,
            metadata: pair(self.metadata_key.as_ref(), self.metadata_value.as_ref())?,
            filter: self.said()?,
            ..SpanFilter::default()
        })
    }
}
