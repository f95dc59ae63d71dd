//! `GET /v1/usage`

use axum::extract::State;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{Code, Day, Fault, Scope, Timestamp};
use spanlake_transport::extract::Query;
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::{IntoParams, ToSchema};

use super::Deps;
use crate::service::Used;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct UsageRange {
    /// The first day, `2026-01-31`; 29 days before the last unless said.
    start_date: Option<String>,
    /// The last day, included; today unless said. At most 400 days.
    end_date: Option<String>,
}

/// What was used on one day, UTC.
#[derive(Serialize, ToSchema)]
pub(super) struct UsageDay {
    /// The day on which it reached a data file, at most a minute or so after it was sent.
    day: String,
    /// Spans and log records stored; one that was sent twice may count twice.
    spans: u64,
    /// Scores stored.
    scores: u64,
    /// Bytes of the files they were stored in, compressed.
    bytes: u64,
}

impl From<Used> for UsageDay {
    fn from(used: Used) -> Self {
        let day = used.day.start().to_string();
        let day = day.get(..10).map_or(day.clone(), str::to_owned);
        Self { day, spans: used.spans, scores: used.scores, bytes: used.bytes }
    }
}

/// What the tenant took in, by day; days without anything are left out. Needs `read`.
#[utoipa::path(
    get, path = "/v1/usage", tag = "auth", operation_id = "getUsage",
    params(UsageRange),
    responses((status = 200, description = "The days, oldest first.", body = Data<Vec<UsageDay>>), ErrorResponse),
)]
pub(super) async fn usage(
    State(deps): State<Deps>,
    parts: Parts,
    query: Result<Query<UsageRange>, ErrorResponse>,
) -> Result<Data<Vec<UsageDay>>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Read).await?;
    let Query(UsageRange { start_date, end_date }) = query?;
    let (first, last) = (day("start_date", start_date)?, day("end_date", end_date)?);
    let days = deps.service.usage(&caller, first, last).await?;
    Ok(Data(days.into_iter().map(UsageDay::from).collect()))
}

/// A day, or the day of a time.
fn day(parameter: &'static str, text: Option<String>) -> Result<Option<Day>, Fault> {
    let Some(text) = text else { return Ok(None) };
    let read = Timestamp::parse(&text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")));
    let why = "must be a day like 2026-01-31, or an RFC 3339 time";
    read.map(|at| Some(Day::of(at)))
        .ok_or_else(|| Fault::new(Code::InvalidQueryParams, format!("'{parameter}' {why}.")).detail(parameter, why))
}
