//! `GET /v1/facets/{field}`.

use axum::extract::State;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{Caller, Code, Fault};
use spanlake_transport::extract::{Path, Query};
use spanlake_transport::response::{ErrorResponse, Page};
use utoipa::{IntoParams, ToSchema};

use super::filters::Short;
use super::{Face, cursor, params};
use crate::error::Error;
use crate::read::facets::{FacetQuery, read};
use crate::read::metrics::dimension::Dimension;

/// Which values, and how many.
#[derive(Debug, Default, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Values that begin so, in any case. Not of `status` and `agent_id`.
    q: Option<String>,
    /// Among these spans only, in the filter language: docs/api/filters.md.
    filter: Option<String>,
    /// Values a page; at most 1,000. 50 unless given.
    #[serde(skip_serializing)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[serde(skip_serializing)]
    cursor: Option<String>,
    /// First instant, RFC 3339 or a date. 30 days before the end unless given.
    start_date: Option<String>,
    /// First instant after the range. Now unless given. At most 400 days after the start.
    end_date: Option<String>,
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    #[serde(skip_serializing)]
    after: Option<String>,
}

/// A value of a field.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Facet)]
pub(super) struct FacetRow {
    value: String,
    /// Spans that have it themselves.
    count: i64,
}

/// What values a field has, the commonest first.
#[utoipa::path(
    get, path = "/v1/facets/{field}", tag = "query", operation_id = "list_facet_values",
    params(
        ("field" = String, Path, description = "model, name, kind, provider, status, tool_name, prompt_name, release, session_id, user_id, \
            environment, agent_id, tag or metadata.<key>."),
        Params,
    ),
    responses((status = 200, description = "One page of values.", body = Page<FacetRow>), ErrorResponse),
)]
pub(super) async fn get(
    State(face): State<Face>,
    parts: Parts,
    field: Result<Path<String>, ErrorResponse>,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Page<FacetRow>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let (Path(field), Query(params)) = (field?, params?);
    Ok(page(&face, &caller, &field, params).await.map_err(Fault::from)?)
}

async fn page(face: &Face, caller: &Caller, field: &str, params: Params) -> Result<Page<FacetRow>, Error> {
    let field: Dimension = field.parse().map_err(|unknown| {
        Fault::new(Code::InvalidPathParams, format!("There is no such field: {unknown}."))
            .detail("field", format!("{unknown}"))
    })?;
    if params.q.is_some() && !field.is_text() {
        return Err(params::refused("q", format_args!("{} has no values that begin with a text", field.name())).into());
    }
    let binding = cursor::Binding::of(caller, &format!("facets {}", field.name()), &params);
    let asked = params::range(face.service.now(), params.start_date.as_deref(), params.end_date.as_deref())?;
    let after = params::parsed("after", params.after.as_deref())?;
    let limit = params::limit(params.limit, 50)?;
    let filter = Short { filter: params.filter.as_deref(), ..Short::default() }.read()?;
    let (range, after_value) = cursor::begin(&binding, params.cursor.as_deref(), asked)?;
    let session = face.service.session_for(caller, &filter, range, after).await?;
    let query = FacetQuery { field, range, filter, prefix: params.q, after: after_value, limit };
    let (facets, has_more) = read(&session, caller, &query).await?;
    let next_cursor = facets.last().filter(|_| has_more).map(|last| cursor::seal(&binding, range, last));
    let data = facets.into_iter().map(|facet| FacetRow { value: facet.value, count: facet.count }).collect();
    Ok(Page { data, limit, next_cursor, total: None })
}
