//! A span in API.md's words.

use serde::Serialize;
use spanlake_dialects::chat::{self, Message};
use spanlake_engine::ParentStatus;
use spanlake_model::{CostSource, Event, Link, Score, Span};
use utoipa::ToSchema;

use super::json::Json;
use super::score_row::ScoreRow;

/// A span without what is large: input, output, attributes, events and links are in the whole span. `scores` are not
/// shown yet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SpanSkeleton)]
pub(super) struct SpanRow {
    /// 16 lower-case hex digits.
    id: String,
    trace_id: String,
    /// The span that caused it; null for a root.
    parent_id: Option<String>,
    name: String,
    /// `llm`, `tool`, `agent`, … or the sender's own word.
    kind: String,
    /// What was done, in the sender's word.
    operation: Option<String>,
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "GENERATION")]
    coarse_type: &'static str,
    #[schema(value_type = String, example = "OK")]
    status: &'static str,
    status_message: Option<String>,
    /// `DEBUG`, `DEFAULT`, `WARNING` or `ERROR`.
    level: Option<String>,
    start: String,
    /// Null while it runs.
    end: Option<String>,
    latency_ms: Option<f64>,
    time_to_first_token_ms: Option<f64>,
    /// As sent, else output tokens over the time from the first token, or from the start, to the end.
    tokens_per_second: Option<f64>,
    provider: Option<String>,
    /// The model that answered, else the one asked for.
    model: Option<String>,
    /// The model asked for.
    request_model: Option<String>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    total_tokens: Option<i64>,
    cached_input_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    /// What was counted beside these, such as tokens of sound.
    usage_details: Option<Json>,
    /// Dollars: those that the client sent, else those of the price book.
    cost: Option<f64>,
    input_cost: Option<f64>,
    output_cost: Option<f64>,
    /// `sent` by the client, the tenant's `own` price, or `standard`, the list price; null without a cost.
    #[schema(value_type = Option<String>)]
    cost_source: Option<&'static str>,
    /// Why the model stopped.
    finish_reason: Option<String>,
    /// Temperature and the like.
    model_parameters: Option<Json>,
    tool_name: Option<String>,
    agent_name: Option<String>,
    session_id: Option<String>,
    session_name: Option<String>,
    user_id: Option<String>,
    agent_id: Option<String>,
    app_id: String,
    environment: Option<String>,
    release: Option<String>,
    version: Option<String>,
    tags: Vec<String>,
    metadata: Json,
    prompt_name: Option<String>,
    prompt_version: Option<String>,
}

/// What went in and came out: JSON when it was JSON, else text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Io {
    input: Option<Json>,
    output: Option<Json>,
}

/// A span of a trace; `input` and `output` are there when they were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SpanNode {
    #[serde(flatten)]
    row: SpanRow,
    /// `none` for a root; `present`; `missing` when the parent has not come, or not here; `circular` when the parent is below this very
    /// span. All but `present` stand at the top of the tree, which then holds every span.
    #[schema(value_type = String, example = "present")]
    parent_status: &'static str,
    #[serde(flatten)]
    io: Option<Io>,
    /// Newest first; among the 1,000 newest of the trace.
    scores: Vec<ScoreRow>,
}

/// The whole span.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Span)]
pub(super) struct SpanDetail {
    #[serde(flatten)]
    row: SpanRow,
    /// Every attribute as sent.
    attributes: Json,
    events: Vec<EventRow>,
    links: Vec<LinkRow>,
    #[serde(flatten)]
    io: Io,
    /// The input as a conversation, whatever form it was sent in, spelled as OpenTelemetry spells it; null when it is none.
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    input_messages: Option<Vec<Message>>,
    /// The output, likewise.
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    output_messages: Option<Vec<Message>>,
    /// Newest first; among the 1,000 newest of the trace.
    scores: Vec<ScoreRow>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SpanEvent)]
struct EventRow {
    name: String,
    time: String,
    attributes: Json,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SpanLink)]
struct LinkRow {
    trace_id: String,
    span_id: String,
    attributes: Json,
}

impl From<Span> for SpanRow {
    fn from(span: Span) -> Self {
        let millis = |nanos: u128| nanos as f64 / 1e6;
        Self {
            id: span.span_id.to_string(),
            trace_id: span.trace_id.to_string(),
            parent_id: span.parent_span_id.map(|id| id.to_string()),
            coarse_type: span.kind.coarse().as_str(),
            kind: span.kind.as_str().to_owned(),
            tokens_per_second: span.speed(),
            name: span.name,
            operation: span.operation,
            level: span.level,
            status: span.status.as_str(),
            status_message: span.status_message,
            start: span.start.to_string(),
            end: span.end.map(|end| end.to_string()),
            latency_ms: span.end.map(|end| millis(end.since(span.start).as_nanos())),
            time_to_first_token_ms: span.time_to_first_token_ns.map(|nanos| nanos as f64 / 1e6),
            provider: span.provider,
            model: span.model,
            request_model: span.request_model,
            usage_details: span.usage_details.map(Json::of),
            cost_source: span.cost_source.map(CostSource::as_str),
            finish_reason: span.finish_reason,
            model_parameters: span.model_parameters.map(Json::of),
            agent_name: span.agent_name,
            session_name: span.session_name,
            version: span.version,
            input_tokens: span.usage.input,
            output_tokens: span.usage.output,
            total_tokens: span.usage.total,
            cached_input_tokens: span.usage.cache_read,
            cache_write_tokens: span.usage.cache_write,
            reasoning_tokens: span.usage.reasoning,
            cost: span.cost.total.map(|cost| cost.as_dollars()),
            input_cost: span.cost.input.map(|cost| cost.as_dollars()),
            output_cost: span.cost.output.map(|cost| cost.as_dollars()),
            tool_name: span.tool_name,
            session_id: span.session_id,
            user_id: span.user_id,
            agent_id: span.agent_id.map(|id| id.to_string()),
            app_id: span.app_id.to_string(),
            environment: span.environment,
            release: span.release,
            tags: span.tags,
            metadata: Json::of(span.metadata),
            prompt_name: span.prompt_name,
            prompt_version: span.prompt_version,
        }
    }
}

impl Io {
    fn taken(span: &mut Span) -> Self {
        Self { input: span.input.take().map(Json::of), output: span.output.take().map(Json::of) }
    }
}

impl SpanNode {
    pub(super) fn new(mut span: Span, parent: ParentStatus, with_io: bool, scores: Vec<Score>) -> Self {
        let io = with_io.then(|| Io::taken(&mut span));
        let scores = scores.into_iter().map(ScoreRow::from).collect();
        Self { row: span.into(), parent_status: parent.as_str(), io, scores }
    }
}

impl SpanDetail {
    pub(super) fn new(mut span: Span, scores: impl Iterator<Item = Score>) -> Self {
        let input_messages = span.input.as_deref().and_then(chat::of_input);
        let output_messages = span.output.as_deref().and_then(chat::of_output);
        let io = Io::taken(&mut span);
        let attributes = Json::of(std::mem::take(&mut span.attributes));
        let events = std::mem::take(&mut span.events).into_iter().map(EventRow::from).collect();
        let links = std::mem::take(&mut span.links).into_iter().map(LinkRow::from).collect();
        Self {
            row: span.into(),
            attributes,
            events,
            links,
            io,
            input_messages,
            output_messages,
            scores: scores.map(ScoreRow::from).collect(),
        }
    }
}

impl From<Event> for EventRow {
    fn from(event: Event) -> Self {
        Self { name: event.name, time: event.time.to_string(), attributes: Json::of(event.attributes) }
    }
}

impl From<Link> for LinkRow {
    fn from(link: Link) -> Self {
        let attributes = Json::of(link.attributes);
        Self { trace_id: link.trace_id.to_string(), span_id: link.span_id.to_string(), attributes }
    }
}

/// A span as `GET /v1/traces/{id}/spans/{span_id}` shows it.
pub fn span_json(span: Span) -> serde_json::Value {
    serde_json::to_value(SpanDetail::new(span, std::iter::empty())).expect("a span is JSON")
}
