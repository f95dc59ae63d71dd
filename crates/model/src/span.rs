//! One timed node of a trace, in our words.

use std::borrow::Cow;
use std::sync::Arc;

use crate::ids::{AgentId, AppId, SpanId, TraceId};
use crate::money::Money;
use crate::time::Timestamp;

/// What a span is, in lower case: one of the constants, or the sender's own word, kept as sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kind(Cow<'static, str>);

impl Kind {
    /// A call of a language model.
    pub const LLM: &'static str = "llm";
    /// A tool at work.
    pub const TOOL: &'static str = "tool";
    /// An agent's turn.
    pub const AGENT: &'static str = "agent";
    /// A look-up of documents.
    pub const RETRIEVER: &'static str = "retriever";
    /// A call of an embedding model.
    pub const EMBEDDING: &'static str = "embedding";
    /// Steps in a row.
    pub const CHAIN: &'static str = "chain";
    /// One step of an agent.
    pub const STEP: &'static str = "step";
    /// A check that may stop what follows.
    pub const GUARDRAIL: &'static str = "guardrail";
    /// A judge of quality.
    pub const EVALUATOR: &'static str = "evaluator";
    /// Something that took no time.
    pub const EVENT: &'static str = "event";
    /// Anything else.
    pub const SPAN: &'static str = "span";

    /// Takes any word.
    pub fn new(word: impl Into<String>) -> Self {
        Self(Cow::Owned(word.into()))
    }
    /// One of the constants.
    pub const fn of(word: &'static str) -> Self {
        Self(Cow::Borrowed(word))
    }
    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// AgentMark's coarse type: a call of a model, something without duration, or all the rest.
    pub fn coarse(&self) -> Type {
        match self.as_str() {
            Self::LLM | Self::EMBEDDING => Type::Generation,
            Self::EVENT => Type::Event,
            _ => Type::Span,
        }
    }
}

/// AgentMark's coarse type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A call of a model.
    Generation,
    /// Anything with a duration.
    Span,
    /// Something that took no time.
    Event,
}

impl Type {
    /// As written in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generation => "GENERATION",
            Self::Span => "SPAN",
            Self::Event => "EVENT",
        }
    }
    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Generation, Self::Span, Self::Event].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing was said.
    #[default]
    Unset,
    /// Well.
    Ok,
    /// Badly.
    Error,
}

impl Status {
    /// As written in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "UNSET",
            Self::Ok => "OK",
            Self::Error => "ERROR",
        }
    }
    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Unset, Self::Ok, Self::Error].into_iter().find(|status| status.as_str() == text)
    }
    /// As stored, and as OTLP numbers it.
    pub const fn as_i8(self) -> i8 {
        self as i8
    }
    /// Reads a stored number; what is unknown was not set.
    pub const fn from_i8(number: i8) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }
}

/// Tokens of one call. `input` is everything the model read, caches included; `output` everything it wrote,
/// reasoning included; so that no sum counts twice. Absent is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All prompt tokens.
    pub input: Option<i64>,
    /// All generated tokens.
    pub output: Option<i64>,
    /// As sent, or input + output.
    pub total: Option<i64>,
    /// Prompt tokens read from a cache; within `input`.
    pub cache_read: Option<i64>,
    /// Prompt tokens written to a cache; within `input`.
    pub cache_write: Option<i64>,
    /// Tokens spent thinking; within `output`.
    pub reasoning: Option<i64>,
}

/// Where a cost is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostSource {
    /// The client sent it.
    Sent,
    /// From list prices.
    Standard,
    /// From prices of the tenant's own.
    Own,
}

impl CostSource {
    /// As written in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Standard => "standard",
            Self::Own => "own",
        }
    }
    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Sent, Self::Standard, Self::Own].into_iter().find(|source| source.as_str() == text)
    }
}

/// Dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// For what the model read.
    pub input: Option<Money>,
    /// For what it wrote.
    pub output: Option<Money>,
    /// In all.
    pub total: Option<Money>,
}

/// A moment inside a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened.
    pub name: String,
    /// When.
    pub time: Timestamp,
    /// Canonical JSON object.
    pub attributes: String,
}

/// A pointer to another span.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The other trace.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
    /// Canonical JSON object.
    pub attributes: String,
}

/// What makes a span that span: sent again, it replaces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanKey {
    /// The app.
    pub app_id: AppId,
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
}

/// One timed node of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The app it belongs to.
    pub app_id: AppId,
    /// The agent it is attributed to.
    pub agent_id: Option<AgentId>,
    /// Its trace.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
    /// The span that caused it; none for a root.
    pub parent_span_id: Option<SpanId>,
    /// Its name, as sent.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What was done, in the sender's word: `chat`, `execute_tool`, `invoke_agent` …
    pub operation: Option<String>,
    /// How it ended.
    pub status: Status,
    /// How much it matters, in Langfuse's words: `DEBUG`, `DEFAULT`, `WARNING`, `ERROR`.
    pub level: Option<String>,
    /// Why it ended so.
    pub status_message: Option<String>,
    /// When it began.
    pub start: Timestamp,
    /// When it ended, not before `start`; none while it runs.
    pub end: Option<Timestamp>,
    /// Nanoseconds from `start` to the first token.
    pub time_to_first_token_ns: Option<i64>,
    /// Output tokens a second, as sent.
    pub tokens_per_second: Option<f64>,
    /// Who runs the model.
    pub provider: Option<String>,
    /// The model asked for.
    pub request_model: Option<String>,
    /// The model to show and to price by: the one that answered, else the one asked for.
    pub model: Option<String>,
    /// Temperature and the like: a canonical JSON object.
    pub model_parameters: Option<String>,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
    /// Why the model stopped: `stop`, `length`, `tool_calls`, `content_filter`, `error`, or the sender's own word.
    pub finish_reason: Option<String>,
    /// Tokens.
    pub usage: Usage,
    /// What was counted beside [`Usage`], such as tokens of sound and pictures: a canonical JSON object of counts.
    pub usage_details: Option<String>,
    /// Dollars: as stored, those that the client sent; as read, those of a price book where it sent none.
    pub cost: Cost,
    /// Where `cost` is from.
    pub cost_source: Option<CostSource>,
    /// The tool at work.
    pub tool_name: Option<String>,
    /// The name of the agent at work.
    pub agent_name: Option<String>,
    /// Groups traces of one conversation.
    pub session_id: Option<String>,
    /// A name for that conversation.
    pub session_name: Option<String>,
    /// The end user.
    pub user_id: Option<String>,
    /// A name for the whole trace.
    pub trace_name: Option<String>,
    /// Production, staging and so on.
    pub environment: Option<String>,
    /// The build.
    pub release: Option<String>,
    /// The component's revision.
    pub version: Option<String>,
    /// `service.name` of the resource; one text for all spans of it, like those below that are shared.
    pub service_name: Option<Arc<str>>,
    /// The instrumentation that made it.
    pub scope_name: Option<Arc<str>>,
    /// Which stored prompt was used.
    pub prompt_name: Option<String>,
    /// Which revision of it.
    pub prompt_version: Option<String>,
    /// Labels, without duplicates.
    pub tags: Vec<String>,
    /// The user's own keys and values: a canonical JSON object.
    pub metadata: String,
    /// Every attribute of the span as sent: a canonical JSON object.
    pub attributes: String,
    /// Every attribute of the resource as sent: a canonical JSON object.
    pub resource: Arc<str>,
    /// Moments inside it.
    pub events: Vec<Event>,
    /// Pointers to other spans.
    pub links: Vec<Link>,
    /// What went in: JSON when it was JSON, else text.
    pub input: Option<String>,
    /// What came out: JSON when it was JSON, else text.
    pub output: Option<String>,
    /// Of a log record that is kept beside the spans, to be joined to `parent_span_id`: its event's name. None for a span.
    /// Its `input` and `output` are about that span: a JSON object with a `role` is one message of several, which make a list
    /// in the order of their `start`; anything else is the whole content.
    pub log_name: Option<String>,
}

impl Span {
    /// A span of which nothing is known but which it is and when it began.
    pub fn new(key: SpanKey, start: Timestamp) -> Self {
        let none = || "{}".to_owned();
        Self {
            app_id: key.app_id,
            agent_id: None,
            trace_id: key.trace_id,
            span_id: key.span_id,
            parent_span_id: None,
            name: String::new(),
            kind: Kind::of(Kind::SPAN),
            operation: None,
            status: Status::Unset,
            level: None,
            status_message: None,
            start,
            end: None,
            time_to_first_token_ns: None,
            tokens_per_second: None,
            provider: None,
            request_model: None,
            model: None,
            model_parameters: None,
            response_id: None,
            finish_reason: None,
            usage: Usage::default(),
            usage_details: None,
            cost: Cost::default(),
            cost_source: None,
            tool_name: None,
            agent_name: None,
            session_id: None,
            session_name: None,
            user_id: None,
            trace_name: None,
            environment: None,
            release: None,
            version: None,
            service_name: None,
            scope_name: None,
            prompt_name: None,
            prompt_version: None,
            tags: Vec::new(),
            metadata: none(),
            attributes: none(),
            resource: none().into(),
            events: Vec::new(),
            links: Vec::new(),
            input: None,
            output: None,
            log_name: None,
        }
    }
    /// What makes it itself.
    pub const fn key(&self) -> SpanKey {
        SpanKey { app_id: self.app_id, trace_id: self.trace_id, span_id: self.span_id }
    }
    /// Output tokens a second: as sent, else over the time from the first token to the end, or from the start when it is not
    /// known.
    pub fn speed(&self) -> Option<f64> {
        let computed = || {
            let (output, end) = (self.usage.output?, self.end?);
            let waited = u64::try_from(self.time_to_first_token_ns.unwrap_or(0)).unwrap_or(0);
            let wrote = end.since(self.start).saturating_sub(std::time::Duration::from_nanos(waited)).as_secs_f64();
            (output > 0 && wrote > 0.0).then(|| output as f64 / wrote)
        };
        self.tokens_per_second.or_else(computed)
    }
    /// Whether it has ended; a finished span is never replaced by an unfinished one.
    pub const fn is_finished(&self) -> bool {
        self.end.is_some()
    }
}

/// The first 200 characters, for lists.
pub fn preview(text: &str) -> &str {
    match text.char_indices().nth(200) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_never_cuts_a_character() {
        let text = "é".repeat(300);
        assert_eq!(preview(&text).chars().count(), 200);
        assert_eq!(preview("short"), "short");
    }
}
