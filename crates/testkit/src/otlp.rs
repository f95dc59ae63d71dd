//! Spans and log records to send.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, status::StatusCode};
use prost::Message;
use spanlake_model::{SpanId, Timestamp, TraceId};

/// A trace id that is told by its number.
///
/// # Panics
/// When it is zero.
pub fn trace_id(number: u128) -> TraceId {
    TraceId::from_bytes(number.to_be_bytes()).unwrap()
}

/// A span id that is told by its number.
///
/// # Panics
/// When it is zero.
pub fn span_id(number: u64) -> SpanId {
    SpanId::from_bytes(number.to_be_bytes()).unwrap()
}

/// A finished root span of one second.
pub fn span(trace: TraceId, id: SpanId, name: &str, start: Timestamp) -> Span {
    Span {
        trace_id: trace.as_bytes().to_vec(),
        span_id: id.as_bytes().to_vec(),
        name: name.to_owned(),
        start_time_unix_nano: nanos(start),
        end_time_unix_nano: nanos(start.plus(Duration::from_secs(1))),
        ..Span::default()
    }
}

/// An attribute that holds text.
pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

/// An attribute that holds a whole number.
pub fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A request of these spans, from one resource and scope.
pub fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() };
    let spans =
        ResourceSpans { resource: Some(resource()), scope_spans: vec![scope_spans], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "spanlake.testkit".to_owned(), ..InstrumentationScope::default() }
}

fn resource() -> Resource {
    Resource { attributes: vec![text("service.name", "testkit")], ..Resource::default() }
}

/// A log record of a span: what its user said.
pub fn user_message(trace: TraceId, of: SpanId, said: &str, at: Timestamp) -> LogRecord {
    LogRecord {
        trace_id: trace.as_bytes().to_vec(),
        span_id: of.as_bytes().to_vec(),
        time_unix_nano: nanos(at),
        event_name: "gen_ai.user.message".to_owned(),
        attributes: vec![text("content", said)],
        ..LogRecord::default()
    }
}

/// A request of these records, from one resource and scope.
pub fn logs_request(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = ScopeLogs { scope: Some(scope()), log_records, ..ScopeLogs::default() };
    let logs = ResourceLogs { resource: Some(resource()), scope_logs: vec![scope_logs], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![logs] }
}

/// As [`logs_request`], in protobuf.
pub fn logs_protobuf(records: Vec<LogRecord>) -> Vec<u8> {
    logs_request(records).encode_to_vec()
}

/// A request of logs as OTLP/JSON.
///
/// # Panics
/// Never.
pub fn logs_json(request: &ExportLogsServiceRequest) -> Vec<u8> {
    serde_json::to_vec(request).unwrap()
}

/// The same request with `agentos.agent_id` on every resource.
#[must_use]
pub fn logs_for_agent(mut request: ExportLogsServiceRequest, agent_id: &str) -> ExportLogsServiceRequest {
    for logs in &mut request.resource_logs {
        logs.resource.get_or_insert_default().attributes.push(text("agentos.agent_id", agent_id));
    }
    request
}

/// As [`request`], in protobuf.
pub fn protobuf(spans: Vec<Span>) -> Vec<u8> {
    request(spans).encode_to_vec()
}

/// A request as OTLP/JSON.
///
/// # Panics
/// Never.
pub fn json(request: &ExportTraceServiceRequest) -> Vec<u8> {
    serde_json::to_vec(request).unwrap()
}

/// The same request with `agentos.agent_id` on every resource.
#[must_use]
pub fn for_agent(mut request: ExportTraceServiceRequest, agent_id: &str) -> ExportTraceServiceRequest {
    for spans in &mut request.resource_spans {
        let resource = spans.resource.get_or_insert_default();
        resource.attributes.push(text("agentos.agent_id", agent_id));
    }
    request
}

/// A small run of an agent: the agent, a call of a model, a tool, and the call that answers.
#[derive(Clone, Debug)]
pub struct AgentRun {
    /// Its trace.
    pub trace: TraceId,
    /// Agent, first call, tool, second call.
    pub spans: [SpanId; 4],
    /// When it began.
    pub start: Timestamp,
}

impl AgentRun {
    /// What was asked.
    pub const QUESTION: &'static str = "Where is my order 4711?";
    /// What was answered.
    pub const ANSWER: &'static str = "It arrives tomorrow.";
    /// The name of the agent's span.
    pub const NAME: &'static str = "invoke_agent order-help";
    /// The session it belongs to.
    pub const SESSION: &'static str = "session-of-ada";
    /// Who asked.
    pub const USER: &'static str = "ada";
    /// Which model answered.
    pub const MODEL: &'static str = "gpt-4o-mini-2024-07-18";
    /// How long it took.
    pub const TOOK: Duration = Duration::from_millis(2_900);

    /// The run that `number` names; runs of different numbers share no id.
    pub fn new(number: u32, start: Timestamp) -> Self {
        let of = |place| span_id(u64::from(number) << 8 | place);
        Self { trace: trace_id(0xa9e7_0000_0000 | u128::from(number)), spans: [of(1), of(2), of(3), of(4)], start }
    }

    /// As an OTLP request.
    pub fn request(&self) -> ExportTraceServiceRequest {
        let [agent, first, tool, second] = self.spans;
        request(vec![
            self.span(agent, None, Self::NAME, (0, 2_900), self.agent()),
            self.span(first, Some(agent), "chat gpt-4o-mini", (40, 1_180), self.call(212, 24, "look_up")),
            self.span(tool, Some(agent), "execute_tool track_order", (1_240, 310), self.tool()),
            self.span(second, Some(agent), "chat gpt-4o-mini", (1_580, 1_290), self.call(268, 31, Self::ANSWER)),
        ])
    }

    fn agent(&self) -> Vec<KeyValue> {
        vec![
            text("gen_ai.operation.name", "invoke_agent"),
            text("gen_ai.agent.name", "order-help"),
            text("gen_ai.conversation.id", Self::SESSION),
            text("user.id", Self::USER),
            text("gen_ai.input.messages", &message("user", Self::QUESTION)),
            text("gen_ai.output.messages", &message("assistant", Self::ANSWER)),
        ]
    }

    fn call(&self, input: i64, output: i64, said: &str) -> Vec<KeyValue> {
        vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", "openai"),
            text("gen_ai.request.model", "gpt-4o-mini"),
            text("gen_ai.response.model", Self::MODEL),
            text("gen_ai.conversation.id", Self::SESSION),
            number("gen_ai.usage.input_tokens", input),
            number("gen_ai.usage.output_tokens", output),
            text("gen_ai.input.messages", &message("user", Self::QUESTION)),
            text("gen_ai.output.messages", &message("assistant", said)),
        ]
    }

    fn tool(&self) -> Vec<KeyValue> {
        vec![
            text("gen_ai.operation.name", "execute_tool"),
            text("gen_ai.tool.name", "track_order"),
            text("gen_ai.tool.call.arguments", r#"{"order":4711}"#),
            text("gen_ai.tool.call.result", r#"{"status":"shipped"}"#),
        ]
    }

    fn span(
        &self,
        id: SpanId,
        parent: Option<SpanId>,
        name: &str,
        (after_ms, took_ms): (u64, u64),
        attributes: Vec<KeyValue>,
    ) -> Span {
        let start = self.start.plus(Duration::from_millis(after_ms));
        Span {
            parent_span_id: parent.map(|parent| parent.as_bytes().to_vec()).unwrap_or_default(),
            end_time_unix_nano: nanos(start.plus(Duration::from_millis(took_ms))),
            attributes,
            status: Some(Status { code: StatusCode::Ok as i32, ..Status::default() }),
            ..span(self.trace, id, name, start)
        }
    }
}

fn message(role: &str, content: &str) -> String {
    serde_json::json!([{"role": role, "parts": [{"type": "text", "content": content}]}]).to_string()
}

fn nanos(time: Timestamp) -> u64 {
    time.as_nanos().cast_unsigned()
}
