//! `GET /v1/sessions`.

use axum::extract::State;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{Caller, Fault, SpanFilter};
use spanlake_transport::extract::{Body, Query};
use spanlake_transport::response::{ErrorResponse, Page};
use utoipa::IntoParams;

use super::filters::{Search, Short};
use super::session_row::SessionRow;
use super::{Face, cursor, params};
use crate::error::Error;
use crate::read::sessions::{SessionQuery, SortBy, choose, describe};

/// Which sessions, and how many. A session is listed when a span that names it began in the range, and shown whole.
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
    /// `start_time` (unless given), `end_time`, `latency`, `cost`, `tokens` or `trace_count`.
    sort_by: Option<String>,
    /// `desc` (unless given) or `asc`.
    sort_order: Option<String>,
    /// With a span of this end user.
    user_id: Option<String>,
    /// With a span of this model, asked for or answering.
    model: Option<String>,
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
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    #[serde(skip_serializing)]
    after: Option<String>,
}

/// Sessions, the one that began last first.
#[utoipa::path(
    get, path = "/v1/sessions", tag = "query", operation_id = "list_sessions", params(Params),
    responses((status = 200, description = "One page of sessions.", body = Page<SessionRow>), ErrorResponse),
)]
pub(super) async fn list(
    State(face): State<Face>,
    parts: Parts,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Page<SessionRow>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let Query(params) = params?;
    Ok(page(&face, &caller, params).await.map_err(Fault::from)?)
}

/// Sessions by the JSON form of the filter language; otherwise as the list.
#[utoipa::path(
    post, path = "/v1/sessions/search", tag = "query", operation_id = "search_sessions", request_body = Search,
    responses((status = 200, description = "One page of sessions.", body = Page<SessionRow>), ErrorResponse),
)]
pub(super) async fn search(
    State(face): State<Face>,
    parts: Parts,
    body: Result<Body<Search>, ErrorResponse>,
) -> Result<Page<SessionRow>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let Body(body) = body?;
    Ok(page(&face, &caller, body.params()?).await.map_err(Fault::from)?)
}

async fn page(face: &Face, caller: &Caller, params: Params) -> Result<Page<SessionRow>, Error> {
    let after = params::parsed("after", params.after.as_deref())?;
    let binding = cursor::Binding::of(caller, "sessions", &params);
    let mut query = params.query(face)?;
    (query.range, query.after) = cursor::begin(&binding, params.cursor.as_deref(), query.range)?;
    let searched = params::around(params::whole_range(face.service.now()), query.range);
    let session = face.service.session_for(caller, &query.with_span.filter, searched, after).await?;
    let chosen = choose(&session, caller, &query).await?;
    let sessions = describe(&session, caller, &chosen.ids()).await?;
    let last = chosen.places.last().filter(|_| chosen.has_more);
    Ok(Page {
        data: sessions.into_iter().map(SessionRow::from).collect(),
        limit: query.limit,
        next_cursor: last.map(|place| cursor::seal(&binding, query.range, place)),
        total: None,
    })
}

impl Params {
    fn query(&self, face: &Face) -> Result<SessionQuery, Fault> {
        let sorts = [
            ("start_time", SortBy::Start),
            ("end_time", SortBy::End),
            ("latency", SortBy::Latency),
            ("cost", SortBy::Cost),
            ("tokens", SortBy::Tokens),
            ("trace_count", SortBy::Traces),
        ];
        Ok(SessionQuery {
            range: params::range(face.service.now(), self.start_date.as_deref(), self.end_date.as_deref())?,
            with_span: SpanFilter {
                user_id: self.user_id.clone(),
                model: self.model.clone(),
                environment: self.environment.clone(),
                agent_id: params::parsed("agent_id", self.agent_id.as_deref())?,
                filter: Short {
                    filter: self.filter.as_deref(),
                    search: self.search.as_deref(),
                    tag: &self.tag,
                    ..Short::default()
                }
                .read()?,
                ..SpanFilter::default()
            },
            sort_by: params::one_of("sort_by", self.sort_by.as_deref(), &sorts)?.unwrap_or_default(),
            order: params::order(self.sort_order.as_deref())?,
            after: None,
            limit: params::limit(self.limit, 50)?,
        })
    }
}
