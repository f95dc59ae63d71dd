//! `GET /v1/scores`.

use axum::extract::State;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{Caller, Fault, Resource};
use spanlake_transport::extract::Query;
use spanlake_transport::response::{ErrorResponse, Page};
use utoipa::IntoParams;

use super::score_row::ScoreRow;
use super::{Face, cursor, params};
use crate::error::Error;
use crate::read::scores::{self, Filter, Place};

/// Which scores, and how many.
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
    /// About exactly this trace, span or session.
    resource_id: Option<String>,
    /// `trace`, `span` or `session`.
    resource_type: Option<String>,
    /// That name this trace.
    trace_id: Option<String>,
    /// That name this span.
    span_id: Option<String>,
    /// That name this session.
    session_id: Option<String>,
    /// With exactly this name.
    name: Option<String>,
    /// From this source.
    source: Option<String>,
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    #[serde(skip_serializing)]
    after: Option<String>,
}

/// Scores, newest first. A key of an agent sees those that were sent with it.
#[utoipa::path(
    get, path = "/v1/scores", tag = "query", operation_id = "list_scores", params(Params),
    responses((status = 200, description = "One page of scores.", body = Page<ScoreRow>), ErrorResponse),
)]
pub(super) async fn list(
    State(face): State<Face>,
    parts: Parts,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Page<ScoreRow>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let Query(params) = params?;
    Ok(page(&face, &caller, params).await.map_err(Fault::from)?)
}

async fn page(face: &Face, caller: &Caller, params: Params) -> Result<Page<ScoreRow>, Error> {
    let binding = cursor::Binding::of(caller, "scores", &params);
    let limit = params::limit(params.limit, 50)?;
    let range = params::range(face.service.now(), params.start_date.as_deref(), params.end_date.as_deref())?;
    let (range, from) = cursor::begin::<Place>(&binding, params.cursor.as_deref(), range)?;
    let after = params::parsed("after", params.after.as_deref())?;
    let filter = params.filter()?;
    let session = face.service.scores(caller, after).await?;
    let mut found = scores::list(&session, caller, &filter, range, from.as_ref(), limit.saturating_add(1)).await?;
    let next_cursor = cursor::cut(&binding, range, &mut found, limit, Place::of);
    Ok(Page { data: found.into_iter().map(ScoreRow::from).collect(), limit, next_cursor, total: None })
}

impl Params {
    fn filter(&self) -> Result<Filter, Fault> {
        let resources = Resource::ALL.map(|resource| (resource.as_str(), resource));
        Ok(Filter {
            resource_id: self.resource_id.clone(),
            resource_type: params::one_of("resource_type", self.resource_type.as_deref(), &resources)?,
            trace_id: params::parsed("trace_id", self.trace_id.as_deref())?,
            span_id: params::parsed("span_id", self.span_id.as_deref())?,
            session_id: self.session_id.clone(),
            name: self.name.clone(),
            source: self.source.clone(),
        })
    }
}
