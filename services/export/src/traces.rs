//! `GET /v1/traces/export`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use spanlake_access::Gate;
use spanlake_catalog::Recorder;
use spanlake_model::{
    Code, Condition, Fault, Filter, FilterError, Limit, Receipt, Scope, SpanFilter, Status, TimeRange, Timestamp, Type,
};
use spanlake_proto::export::{ExportRequest, Format};
use spanlake_transport::extract::Query;
use spanlake_transport::response::{ErrorResponse, rate_limits};
use utoipa::IntoParams;

use crate::cursor::Cursor;
use crate::{LIMIT_DEFAULT, Service, answer, recorded};

#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) service: Arc<Service>,
    pub(crate) gate: Gate,
    pub(crate) recorder: Recorder,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Params {
    /// `jsonl` (unless given), `openai` or `csv`.
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
    /// Attributed to this agent.
    #[serde(rename = "agentId")]
    agent_id: Option<String>,
    /// With this tag.
    tag: Option<String>,
    /// Metadata key; together with `metadata_value`.
    metadata_key: Option<String>,
    /// Metadata value; together with `metadata_key`.
    metadata_value: Option<String>,
    /// With a score, of any name, of at least this; together with `maxScore`, one and the same score.
    #[serde(rename = "minScore")]
    min_score: Option<f64>,
    /// With a score, of any name, of at most this.
    #[serde(rename = "maxScore")]
    max_score: Option<f64>,
    /// `<name><sign><number>` with `>=`, `<=`, `!=`, `>`, `<` or `=`: the mean of the span's scores of that name, else of its trace's.
    /// May be given several times; all must hold.
    score: Vec<String>,
    /// In the filter language of the lists, besides.
    filter: Option<String>,
    /// `true` leaves input and output null; not with `openai`.
    lightweight: bool,
    /// `next_cursor` of the page before, with the same filters; or a time: rows strictly before it.
    cursor: Option<String>,
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    after: Option<String>,
}

/// Export spans
///
/// Newest first, one span a row, in one of three formats.
///
/// `jsonl`: lines of JSON with `trace_id, span_name, type, model, latency_ms, timestamp, input, output, metadata, scores,
/// span_id, parent_span_id, kind, status, user_id, session_id, tags, input_tokens, output_tokens, cost`. What is absent
/// is null; input and output are JSON where they hold an object, an array or a quoted string. `scores` holds the mean of the span's
/// scores by name, and of its trace's where it has none of that name.
///
/// `openai`: lines of JSON with `messages`, as fine-tuning takes them: roles `system`, `user`, `assistant` and `tool`, calls of
/// tools with ids. A span that cannot be made such a row is skipped and counted: `not_a_conversation, no_input, no_output,
/// no_user_message, parse_error, unknown_role, unpaired_tool_call, tool_name, media`. With `type=GENERATION` there is one row
/// for each call of a model; without it an agent's own span is a row beside those of its calls.
///
/// `csv`: the fields of `jsonl` as a table with a header, RFC 4180, objects and lists as their JSON; text that a spreadsheet
/// could take for a formula begins with an apostrophe.
///
/// The last line of both kinds of JSON is `{"_export_meta": {"total", "exported", "skipped", "skip_reasons",
/// "next_cursor"}}`; an answer without it is incomplete. A table is complete when HTTP says that the body is. `next_cursor` is
/// null unless the page is full: as many rows were read, skipped ones included, as `limit` says. Dates that were not given
/// stay as they were on the first page. Headers say the same as far as it is known when the answer begins:
/// `X-Export-Total`, `X-Export-Next-Cursor` and, where no row can be skipped, `X-Export-Exported` and `X-Export-Skipped`;
/// who sends `TE: trailers` gets all of them, and `X-Export-Skip-Reasons`, as HTTP trailers.
///
/// Counts against the tenant's exports per hour; a request that is refused for what it says does not.
#[utoipa::path(
    get,
    path = "/v1/traces/export",
    tag = "export",
    params(Params),
    responses(
        (status = 200, description = "The rows, and in JSON the trailer.", content(
            (String = "application/x-ndjson"), (String = "text/csv"),
        )),
        ErrorResponse,
    )
)]
pub(crate) async fn export(
    State(Context { service, gate, recorder }): State<Context>,
    parts: axum::http::request::Parts,
    query: Result<Query<Params>, ErrorResponse>,
) -> Result<Response, ErrorResponse> {
    // Strangers hear 401 whatever they ask, so the query comes second.
    let caller = gate.admit(&parts, Scope::Export).await?;
    let Query(params) = query?;
    let request = request(params, &service)?;
    let format = request.format;
    let plan = service.plan(&caller, request)?;
    let standings = gate.take(&caller, &[(Limit::Exports, 1)]).await?;
    recorded(&recorder, &caller, &parts, plan.deed()).await?;
    let answer = answer::of(service.start(plan).await?, format).await?;
    Ok((rate_limits(&standings), answer).into_response())
}

/// Says everything that is wrong at once.
struct Problems(Fault);

impl Problems {
    fn say(&mut self, field: &str, why: impl Into<String>) {
        self.0.details.insert(field.to_owned(), why.into());
    }

    /// A filter that cannot be read has a code of its own, as in lists.
    fn slip(&mut self, slip: &FilterError) {
        self.0.code = Code::InvalidFilter;
        self.say("filter", slip.to_string());
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
    let format = problems.one_of("format", params.format.as_deref(), Format::parse, "jsonl, openai or csv");
    let receipt = problems.one_of("after", params.after.as_deref(), read_receipt, "what X-Spanlake-Receipt held");
    let range = range(&params, service, &mut problems);
    let cursor = params.cursor.clone();
    let limit = params.limit.unwrap_or(LIMIT_DEFAULT);
    let lightweight = params.lightweight;
    let filter = filter(params, &mut problems);
    match range {
        Some(range) if problems.0.details.is_empty() => {
            Ok(ExportRequest { format: format.unwrap_or_default(), range, filter, cursor, limit, lightweight, receipt })
        }
        _ => Err(problems.0),
    }
}

fn read_receipt(text: &str) -> Option<Receipt> {
    text.parse().ok()
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

/// The filter language, and what is short for it.
fn said(params: &Params, problems: &mut Problems) -> Filter {
    let mut filter = Filter::default();
    match params.filter.as_deref().map(str::parse).transpose() {
        Ok(said) => filter = said.unwrap_or_default(),
        Err(slip) => problems.slip(&slip),
    }
    let any = Condition::of_any_score(params.min_score, params.max_score).transpose();
    let any = any.map(|bounds| (if params.min_score.is_some() { "minScore" } else { "maxScore" }, bounds));
    let named = params.score.iter().map(|score| ("score", Condition::of_score(score)));
    for (field, condition) in named.chain(any) {
        match condition.and_then(|condition| filter.clone().and(condition)) {
            Ok(both) => filter = both,
            Err(why) => problems.say(field, why),
        }
    }
    filter
}

fn filter(params: Params, problems: &mut Problems) -> SpanFilter {
    let filter = said(&params, problems);
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
        agent_id: problems.one_of(
            "agentId",
            params.agent_id.as_deref(),
            |text| text.parse().ok(),
            "the id of an agent",
        ),
        metadata,
        filter,
        ..SpanFilter::default()
    }
}
