//! `GET /v1/metrics`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::request::Parts;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use spanlake_model::{Caller, Fault, SpanFilter, TimeRange};
use spanlake_transport::extract::Query;
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::{IntoParams, ToSchema};

use super::filters::Short;
use super::metrics_row::{Point, Summary, When};
use super::{Face, params};
use crate::error::Error;
use crate::read::metrics::buckets::{BUCKETS_MAX, Buckets, Granularity};
use crate::read::metrics::dimension::Dimension;
use crate::read::metrics::{MetricsQuery, RankBy, Series, measure};

/// What is measured, and how it is cut. A user, a session, an environment, an agent or tags that were put on one span of a trace count for
/// all its spans, in filters and groups.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// First instant, RFC 3339 or a date. 30 days before the end unless given.
    start_date: Option<String>,
    /// First instant after the range. Now unless given. At most 400 days after the start.
    end_date: Option<String>,
    /// `minute`, `hour`, `day`, `week` or `auto` (unless given); at most 1,500 points.
    granularity: Option<String>,
    /// By whose clocks hours, days and weeks begin, as `Europe/Berlin`. UTC unless given.
    timezone: Option<String>,
    /// Up to three, with commas: model, name, kind, provider, status, tool_name, prompt_name, release, session_id, user_id, environment,
    /// agent_id, tag, metadata.<key>. A span with two tags is in two groups.
    group_by: Option<String>,
    /// Groups at most, beside the one of all others: up to 100, 10 unless given.
    limit: Option<usize>,
    /// Which groups are the top ones: by `spans` (unless given), `requests`, `errors`, `tokens` or `cost`.
    sort_by: Option<String>,
    /// Whether averages for each request are added to the summary.
    extended: bool,
    /// `OK`, `ERROR` or `UNSET`.
    status: Option<String>,
    /// `llm`, `tool`, `agent`, … or the sender's own word.
    kind: Option<String>,
    /// `GENERATION`, `SPAN` or `EVENT`.
    #[serde(rename = "type")]
    coarse_type: Option<String>,
    /// With exactly this name.
    name: Option<String>,
    /// Of this model, asked for or answering.
    model: Option<String>,
    /// Of this end user.
    user_id: Option<String>,
    /// Of this session.
    session_id: Option<String>,
    /// With this tag; of several, one will do.
    tag: Vec<String>,
    /// From this environment.
    environment: Option<String>,
    /// Attributed to this agent.
    agent_id: Option<String>,
    /// In the filter language: docs/api/filters.md.
    filter: Option<String>,
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    after: Option<String>,
}

/// What was measured.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Metrics {
    /// First instant.
    start_date: String,
    /// First instant after it.
    end_date: String,
    #[schema(value_type = String, example = "day")]
    granularity: &'static str,
    timezone: String,
    /// Over all spans that were selected.
    summary: Summary,
    time_series: Vec<Point>,
    /// The top groups, the greatest first; empty without `group_by`.
    groups: Vec<Group>,
    /// All spans that are in none of them; null without any.
    other: Option<Part>,
}

/// A group of spans.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricsGroup)]
struct Group {
    /// A value for each thing that was grouped by; null where spans have none.
    group: BTreeMap<String, Option<String>>,
    #[serde(flatten)]
    part: Part,
}

/// Some of the spans.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricsPart)]
struct Part {
    summary: Summary,
    time_series: Vec<Point>,
}

/// How far outside the range the calls of its spans are looked for, and what belongs to their traces.
const REACH: Duration = Duration::from_secs(3_600);
/// Things that one query groups by.
const GROUP_BY_MAX: usize = 3;
const GROUPS_MAX: usize = 100;
/// Points of all groups together.
const POINTS_MAX: usize = 20_000;

/// Counts, cost, tokens, latency: over all, over time, in groups.
#[utoipa::path(
    get, path = "/v1/metrics", tag = "query", operation_id = "get_metrics", params(Params),
    responses((status = 200, description = "What was measured.", body = Data<Metrics>), ErrorResponse),
)]
pub(super) async fn get(
    State(face): State<Face>,
    parts: Parts,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Data<Metrics>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let Query(params) = params?;
    Ok(Data(metrics(&face, &caller, params).await.map_err(Fault::from)?))
}

async fn metrics(face: &Face, caller: &Caller, params: Params) -> Result<Metrics, Error> {
    let after = params::parsed("after", params.after.as_deref())?;
    let range = params::range(face.service.now(), params.start_date.as_deref(), params.end_date.as_deref())?;
    let zone = params.zone()?;
    let granularity = params.granularity(range)?;
    let query = params.query(range, granularity, zone)?;
    let session = face.service.session_for(caller, &query.filter.filter, params::reaching(range, REACH), after).await?;
    let measured = measure(&session, caller, &query).await?;
    let part = |series: &Series| Part::new(series, &query.buckets, params.extended);
    let names: Vec<_> = query.group_by.iter().map(Dimension::name).collect();
    let group = |(values, series): &(Vec<Option<String>>, Series)| Group {
        group: names.iter().cloned().zip(values.iter().cloned()).collect(),
        part: part(series),
    };
    let Part { summary, time_series } = part(&measured.all);
    Ok(Metrics {
        start_date: query.range.start().to_string(),
        end_date: query.range.end().to_string(),
        granularity: granularity.as_str(),
        timezone: zone.name().to_owned(),
        summary,
        time_series,
        groups: measured.groups.iter().map(group).collect(),
        other: measured.other.as_ref().map(part),
    })
}

impl Part {
    fn new(series: &Series, buckets: &Buckets, is_extended: bool) -> Self {
        let point = |(place, cell)| {
            let (start, end) = buckets.bounds(place);
            let when = When { local: buckets.local(place), start: start.to_string(), end: end.to_string() };
            Point::new(when, cell)
        };
        Self {
            summary: Summary::new(&series.whole, is_extended),
            time_series: series.buckets.iter().enumerate().map(point).collect(),
        }
    }
}

impl Params {
    fn zone(&self) -> Result<Tz, Fault> {
        let Some(name) = &self.timezone else { return Ok(Tz::UTC) };
        name.parse()
            .map_err(|_| params::refused("timezone", format_args!("'{name}' is no IANA time zone, as Europe/Berlin")))
    }

    fn granularity(&self, range: TimeRange) -> Result<Granularity, Fault> {
        let words = [
            ("minute", Some(Granularity::Minute)),
            ("hour", Some(Granularity::Hour)),
            ("day", Some(Granularity::Day)),
            ("week", Some(Granularity::Week)),
            ("auto", None),
        ];
        let asked = params::one_of("granularity", self.granularity.as_deref(), &words)?.flatten();
        Ok(asked.unwrap_or_else(|| Granularity::auto(range)))
    }

    fn query(&self, range: TimeRange, granularity: Granularity, zone: Tz) -> Result<MetricsQuery, Fault> {
        let group_by = self.group_by()?;
        let ranks = [
            ("spans", RankBy::Spans),
            ("requests", RankBy::Requests),
            ("errors", RankBy::Errors),
            ("tokens", RankBy::Tokens),
            ("cost", RankBy::Cost),
        ];
        let buckets = Buckets::of(range, granularity, zone).map_err(|_| {
            params::refused(
                "granularity",
                format_args!("the range has more than {BUCKETS_MAX} points of a {}", granularity.as_str()),
            )
        })?;
        let groups_max = match self.limit.unwrap_or(10) {
            limit @ 1..=GROUPS_MAX => limit,
            _ => return Err(params::refused("limit", format_args!("must be from 1 to {GROUPS_MAX}"))),
        };
        if !group_by.is_empty() && (groups_max + 1) * buckets.len() > POINTS_MAX {
            let why = format_args!("{groups_max} groups of {} points are more than {POINTS_MAX} points", buckets.len());
            return Err(params::refused("granularity", why));
        }
        Ok(MetricsQuery {
            range,
            filter: self.filter()?,
            group_by,
            rank_by: params::one_of("sort_by", self.sort_by.as_deref(), &ranks)?.unwrap_or_default(),
            groups_max,
            buckets,
        })
    }

    fn group_by(&self) -> Result<Vec<Dimension>, Fault> {
        let words = self.group_by.iter().flat_map(|list| list.split(',')).map(str::trim);
        let parse = |word: &str| word.parse().map_err(|unknown| params::refused("group_by", unknown));
        let mut asked: Vec<Dimension> = Vec::new();
        for dimension in words.map(parse) {
            let dimension = dimension?;
            if asked.contains(&dimension) {
                return Err(params::refused("group_by", format_args!("{} is there twice", dimension.name())));
            }
            asked.push(dimension);
        }
        if asked.len() > GROUP_BY_MAX {
            return Err(params::refused("group_by", format_args!("at most {GROUP_BY_MAX} at once")));
        }
        Ok(asked)
    }

    fn filter(&self) -> Result<SpanFilter, Fault> {
        Ok(SpanFilter {
            status: params::status(self.status.as_deref())?,
            kind: self.kind.clone(),
            coarse_type: params::coarse_type(self.coarse_type.as_deref())?,
            name: self.name.clone(),
            model: self.model.clone(),
            user_id: self.user_id.clone(),
            session_id: self.session_id.clone(),
            environment: self.environment.clone(),
            agent_id: params::parsed("agent_id", self.agent_id.as_deref())?,
            filter: Short { filter: self.filter.as_deref(), tag: &self.tag, ..Short::default() }.read()?,
            ..SpanFilter::default()
        })
    }
}
