//! `GET /v1/spans`.

use axum::extract::State;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{Caller, Fault, Filter, Position, Span, SpanFilter, SpanId, Timestamp, TraceId};
use spanlake_transport::extract::{Body, Query};
use spanlake_transport::response::{ErrorResponse, Page};
use utoipa::{IntoParams, ToSchema};

use super::filters::{Short, from_json, pair};
use super::span_row::SpanRow;
use super::{Face, cursor, params};
use crate::error::Error;
use crate::read::order::{Order, place};
use crate::read::spans::list::{List, read};

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
    /// `start_time`, which is the only one.
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
    /// With this tag.
    tag: Option<String>,
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
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    #[serde(skip_serializing)]
    after: Option<String>,
}

/// Where a span stands in the list.
#[derive(Debug, Serialize, Deserialize)]
struct Place(Timestamp, TraceId, SpanId);

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

/// The same by the JSON form of the filter language, in a body.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SpanSearch {
    /// Conditions `{"field", "operator", "value"}`, which all hold, or `{"or": [conditions]}`, of which one does.
    #[schema(value_type = Vec<Object>)]
    #[serde(default)]
    filter: Vec<serde_json::Value>,
    limit: Option<usize>,
    cursor: Option<String>,
    start_date: Option<String>,
    end_date: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    after: Option<String>,
}

/// Spans by the JSON form of the filter language; otherwise as the list.
#[utoipa::path(
    post, path = "/v1/spans/search", tag = "query", operation_id = "search_spans", request_body = SpanSearch,
    responses((status = 200, description = "One page of spans.", body = Page<SpanRow>), ErrorResponse),
)]
pub(super) async fn search(
    State(face): State<Face>,
    parts: Parts,
    body: Result<Body<SpanSearch>, ErrorResponse>,
) -> Result<Page<SpanRow>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let Body(body) = body?;
    let filter = from_json(&body.filter)?;
    let SpanSearch { limit, cursor, start_date, end_date, sort_by, sort_order, after, .. } = body;
    // As text, so that the cursor of one form is good for the other.
    let filter = (!filter.is_empty()).then(|| filter.to_string());
    let params =
        Params { filter, limit, cursor, start_date, end_date, sort_by, sort_order, after, ..Params::default() };
    Ok(page(&face, &caller, params).await.map_err(Fault::from)?)
}

async fn page(face: &Face, caller: &Caller, params: Params) -> Result<Page<SpanRow>, Error> {
    let binding = cursor::Binding::of(caller, "spans", &params);
    let limit = params::limit(params.limit, 50)?;
    let mut range = params::range(face.service.now(), params.start_date.as_deref(), params.end_date.as_deref())?;
    let mut from = None;
    if let Some(text) = &params.cursor {
        let (first, Place(start, trace_id, span_id)) = cursor::open(&binding, text)?;
        (range, from) = (first, Some(Position { start, trace_id, span_id }));
    }
    let after = params::parsed("after", params.after.as_deref())?;
    let (filter, order) = (params.filter()?, params.order()?);
    let session = face.service.session(caller, range, after).await?;
    let wanted = List { filter: &filter, order, from, limit: limit.saturating_add(1) };
    let mut spans = read(&session, caller, &wanted).await?;
    let has_more = spans.len() > limit;
    spans.truncate(limit);
    let last = spans.last().filter(|_| has_more);
    let next_cursor = last.map(|span| cursor::seal(&binding, range, &Place::of(span)));
    Ok(Page { data: spans.into_iter().map(SpanRow::from).collect(), limit, next_cursor, total: None })
}

impl Place {
    fn of(span: &Span) -> Self {
        let Position { start, trace_id, span_id } = place(span);
        Self(start, trace_id, span_id)
    }
}

impl Params {
    /// What is short for conditions, and the filter language itself.
    fn said(&self) -> Result<Filter, Fault> {
        Short {
            filter: self.filter.as_deref(),
            search: self.search.as_deref(),
            min_latency_ms: self.min_latency_ms,
            max_latency_ms: self.max_latency_ms,
            min_cost: self.min_cost,
            max_cost: self.max_cost,
        }
        .read()
    }

    fn order(&self) -> Result<Order, Fault> {
        params::one_of("sort_by", self.sort_by.as_deref(), &[("start_time", ())])?;
        params::order(self.sort_order.as_deref())
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
            tag: self.tag.clone(),
            agent_id: params::parsed("agent_id", self.agent_id.as_deref())?,
            metadata: pair(self.metadata_key.as_ref(), self.metadata_value.as_ref())?,
            filter: self.said()?,
            ..SpanFilter::default()
        })
    }
}
