//! `GET /v1/traces/export`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use spanlake_access::Gate;
use spanlake_model::{Code, Fault, Limit, Scope, SpanFilter, Status, TimeRange, Timestamp, Type};
use spanlake_proto::export::ExportRequest;
use spanlake_transport::extract::Query;
use spanlake_transport::response::ErrorResponse;
use utoipa::IntoParams;

use crate::cursor::Cursor;
use crate::{LIMIT_DEFAULT, Service};

#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) service: Arc<Service>,
    pub(crate) gate: Gate,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Params {
    /// `jsonl`, the only one in this version.
    format: Option<String>,
    /// Rows at most, 1 to 2,000; 500 unless given.
    limit: Option<usize>,
    /// Spans that start at this time or later: RFC 3339, or a date, meaning its midnight in UTC. 30 days before the end
    /// unless given.
    #[serde(rename = "startDate")]
    start_date: Option<String>,
    /// Spans that start before this time: RFC 3339, or a date, meaning its midnight in UTC. Now unless given.
    #[serde(rename = "endDate")]
    end_date: Option<String>,
    /// `GENERATION`, `SPAN`, `EVENT`, or `all`.
    r#type: Option<String>,
    /// Exactly this model.
    model: Option<String>,
    /// `STATUS_CODE_OK`, `STATUS_CODE_ERROR` or `STATUS_CODE_UNSET`; also without the prefix.
    status: Option<String>,
    /// With this in the span's name, in any case.
    name: Option<String>,
    /// Exactly this end user.
    #[serde(rename = "userId")]
    user_id: Option<String>,
    /// With this tag.
    tag: Option<String>,
    /// Metadata key; together with `metadata_value`.
    metadata_key: Option<String>,
    /// Metadata value; together with `metadata_key`.
    metadata_value: Option<String>,
    /// Not in this version: there are no scores yet.
    #[serde(rename = "minScore")]
    min_score: Option<String>,
    /// Not in this version: there are no scores yet.
    #[serde(rename = "maxScore")]
    max_score: Option<String>,
    /// Not in this version: there are no scores yet.
    score: Vec<String>,
    /// `true` leaves input and output null.
    lightweight: bool,
    /// `next_cursor` of the page before, with the same filters; or a time: rows strictly before it.
    cursor: Option<String>,
}

/// Export spans as lines of JSON
///
/// Newest first, one span a line: `trace_id, span_name, type, model, latency_ms, timestamp, input, output, metadata,
/// span_id, parent_span_id, kind, status, user_id, session_id, tags, input_tokens, output_tokens, cost`. What is absent
/// is null; input and output are JSON where they hold an object, an array or a quoted string. There is no `scores` field
/// until there are scores.
///
/// The last line is `{"_export_meta": {"total", "exported", "skipped", "skip_reasons", "next_cursor"}}`; an answer
/// without it is incomplete. `next_cursor` is null unless the page is full. Dates that were not given stay as they were
/// on the first page.
///
/// Counts against the tenant's exports per hour; a request that is refused for what it says does not.
#[utoipa::path(
    get,
    path = "/v1/traces/export",
    tag = "export",
    params(Params),
    responses((status = 200, description = "The rows and the trailer.", body = String, content_type = "application/x-ndjson"), ErrorResponse)
)]
pub(crate) async fn export(
    State(Context { service, gate }): State<Context>,
    parts: axum::http::request::Parts,
    query: Result<Query<Params>, ErrorResponse>,
) -> Result<Response, ErrorResponse> {
    // Strangers hear 401 whatever they ask, so the query comes second.
    let caller = gate.admit(&parts, Scope::Export).await?;
    let Query(params) = query?;
    let plan = service.plan(&caller, request(params, &service)?)?;
    gate.take(&caller, &[(Limit::Exports, 1)]).await?;
    let lines = service.start(plan).await?;
    Ok(([(axum::http::header::CONTENT_TYPE, "application/x-ndjson")], body(lines).await?).into_response())
}

/// The lines as a body. The first chunk is waited for, so that a query that fails at once is answered with an error;
/// one that fails later cuts the body off, which HTTP tells the client.
async fn body(mut lines: BoxStream<'static, Result<Bytes, Fault>>) -> Result<Body, Fault> {
    let first = lines.try_next().await?;
    let rest = lines.inspect_err(|fault| tracing::warn!(error = %fault, "an export broke off"));
    Ok(Body::from_stream(stream::iter(first.map(Ok)).chain(rest)))
}

/// Says everything that is wrong at once.
struct Problems(Fault);

impl Problems {
    fn say(&mut self, field: &str, why: impl Into<String>) {
        self.0.details.insert(field.to_owned(), why.into());
    }

    /// A value that must be one of a few.
    fn one_of<T>(
        &mut self,
        field: &str,
        text: Option<&str>,
        parse: impl Fn(&str) -> Option<T>,
        known: &str,
    ) -> Option<T> {
        let parsed = parse(text?);
        if parsed.is_none() {
            self.say(field, format!("must be {known}"));
        }
        parsed
    }

    /// A value to compare with: nothing is not one.
    fn text(&mut self, field: &str, text: Option<String>) -> Option<String> {
        if text.as_deref() == Some("") {
            self.say(field, "must not be empty; leave it out");
        }
        text
    }
}

fn request(params: Params, service: &Service) -> Result<ExportRequest, Fault> {
    let mut problems =
        Problems(Fault::new(Code::InvalidQueryParams, "Some parameters cannot be used; details say why."));
    refuse_what_is_to_come(&params, &mut problems);
    let range = range(&params, service, &mut problems);
    let cursor = params.cursor.clone();
    let limit = params.limit.unwrap_or(LIMIT_DEFAULT);
    let lightweight = params.lightweight;
    let filter = filter(params, &mut problems);
    match range {
        Some(range) if problems.0.details.is_empty() => Ok(ExportRequest { range, filter, cursor, limit, lightweight }),
        _ => Err(problems.0),
    }
}

fn refuse_what_is_to_come(params: &Params, problems: &mut Problems) {
    match params.format.as_deref() {
        None | Some("jsonl") => {}
        Some("csv" | "openai") => problems.say("format", "only jsonl is available in this version"),
        Some(_) => problems.say("format", "must be jsonl, the only format available in this version"),
    }
    let scored = [("minScore", params.min_score.is_some()), ("maxScore", params.max_score.is_some())];
    for (field, _) in scored.into_iter().chain([("score", !params.score.is_empty())]).filter(|(_, given)| *given) {
        problems.say(field, "there are no scores in this version; leave it out");
    }
}

/// From the dates; where they are not given, from the page before; where there is none, the default.
fn range(params: &Params, service: &Service, problems: &mut Problems) -> Option<TimeRange> {
    const KNOWN: &str = "an RFC 3339 time or a date YYYY-MM-DD";
    let page = match params.cursor.as_deref().map(Cursor::parse) {
        Some(Ok(Cursor::After(page))) => Some(page.range),
        // A cursor that cannot be read is refused with the plan.
        _ => None,
    };
    let start = problems.one_of("startDate", params.start_date.as_deref(), Timestamp::parse, KNOWN);
    let end = problems.one_of("endDate", params.end_date.as_deref(), Timestamp::parse, KNOWN);
    let end = end.or(page.map(|range| range.end())).unwrap_or_else(|| service.now());
    let start = start.or(page.map(|range| range.start())).unwrap_or_else(|| end.minus(service.default_range()));
    let range = TimeRange::new(start, end);
    if range.is_err() {
        let field = if params.start_date.is_some() { "startDate" } else { "endDate" };
        problems.say(field, format!("the range from {start} to {end} is empty; startDate must be before endDate"));
    }
    range.ok()
}

fn filter(params: Params, problems: &mut Problems) -> SpanFilter {
    let coarse = params.r#type.as_deref().filter(|text| !text.eq_ignore_ascii_case("all"));
    let parse_status = |text: &str| Status::parse(text.strip_prefix("STATUS_CODE_").unwrap_or(text));
    let metadata = match (params.metadata_key, params.metadata_value) {
        (Some(key), Some(value)) => Some((key, value)),
        (None, None) => None,
        (Some(_), None) => {
            problems.say("metadata_value", "is required together with metadata_key");
            None
        }
        (None, Some(_)) => {
            problems.say("metadata_key", "is required together with metadata_value");
            None
        }
    };
    SpanFilter {
        name_contains: problems.text("name", params.name),
        coarse_type: problems.one_of("type", coarse, Type::parse, "GENERATION, SPAN, EVENT or all"),
        status: problems.one_of(
            "status",
            params.status.as_deref(),
            parse_status,
            "STATUS_CODE_OK, STATUS_CODE_ERROR or STATUS_CODE_UNSET",
        ),
        model: problems.text("model", params.model),
        user_id: problems.text("userId", params.user_id),
        tag: problems.text("tag", params.tag),
        metadata,
        ..SpanFilter::default()
    }
}
