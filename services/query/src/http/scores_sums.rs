//! `GET /v1/scores/names` and `GET /v1/scores/aggregations`: what scores there are, and what they come to.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{Caller, Fault};
use spanlake_transport::extract::Query;
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::{IntoParams, ToSchema};

use super::{Face, params};
use crate::error::Error;
use crate::read::scores::{self, Filter, Summary};

/// Which scores.
#[derive(Debug, Default, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// First instant, RFC 3339 or a date. 30 days before the end unless given.
    start_date: Option<String>,
    /// First instant after the range. Now unless given. At most 400 days after the start.
    end_date: Option<String>,
    /// That name this trace.
    trace_id: Option<String>,
    /// That name this session.
    session_id: Option<String>,
    /// With exactly this name.
    name: Option<String>,
    /// From this source.
    source: Option<String>,
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    after: Option<String>,
}

/// The scores of one name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScoreSummary {
    name: String,
    count: i64,
    /// Of those with a number.
    avg_score: Option<f64>,
    min_score: Option<f64>,
    max_score: Option<f64>,
    /// How many have each label; the 1,000 most frequent of all names.
    labels: BTreeMap<String, i64>,
}

impl From<Summary> for ScoreSummary {
    fn from(summary: Summary) -> Self {
        let Summary { name, count, mean, least, most, labels } = summary;
        Self { name, count, avg_score: mean, min_score: least, max_score: most, labels }
    }
}

/// The names of scores, in order; 1,000 at most.
#[utoipa::path(
    get, path = "/v1/scores/names", tag = "query", operation_id = "list_score_names", params(Params),
    responses((status = 200, description = "The names.", body = Data<Vec<String>>), ErrorResponse),
)]
pub(super) async fn names(
    State(face): State<Face>,
    parts: Parts,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Data<Vec<String>>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let Query(params) = params?;
    let summaries = summaries(&face, &caller, &params).await.map_err(Fault::from)?;
    Ok(Data(summaries.into_iter().map(|summary| summary.name).collect()))
}

/// What scores come to, by name; 1,000 names at most.
#[utoipa::path(
    get, path = "/v1/scores/aggregations", tag = "query", operation_id = "aggregate_scores", params(Params),
    responses((status = 200, description = "By name.", body = Data<Vec<ScoreSummary>>), ErrorResponse),
)]
pub(super) async fn aggregations(
    State(face): State<Face>,
    parts: Parts,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Data<Vec<ScoreSummary>>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let Query(params) = params?;
    let summaries = summaries(&face, &caller, &params).await.map_err(Fault::from)?;
    Ok(Data(summaries.into_iter().map(ScoreSummary::from).collect()))
}

async fn summaries(face: &Face, caller: &Caller, params: &Params) -> Result<Vec<Summary>, Error> {
    let range = params::range(face.service.now(), params.start_date.as_deref(), params.end_date.as_deref())?;
    let after = params::parsed("after", params.after.as_deref())?;
    let filter = Filter {
        trace_id: params::parsed("trace_id", params.trace_id.as_deref())?,
        session_id: params.session_id.clone(),
        name: params.name.clone(),
        source: params.source.clone(),
        ..Filter::default()
    };
    let session = face.service.scores(caller, after).await?;
    scores::summaries(&session, caller, &filter, range).await
}
