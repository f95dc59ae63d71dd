//! One agent run after another, as an OpenTelemetry SDK with the GenAI conventions would send it.
//!
//! ```text
//! invoke_agent support-triage
//! ├─ agent_step 1
//! │  ├─ chat gpt-4o-mini          tokens, messages in and out
//! │  ├─ retrieval policies        query, documents      (two steps in five)
//! │  └─ execute_tool get_customer arguments, result     (none, one or two)
//! └─ agent_step 2 …
//! ```

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status};
use serde_json::{Value, json};

use crate::population::{AGENTS, Population, Session};
use crate::random::Draw;
use crate::text::Prose;

/// Traces are written as if this were now (2025-01-01T00:00:00Z); `batch` moves them to the time of sending.
/// Its nanoseconds have 19 digits, as every time until 2286, so that moving it never changes a length.
pub(crate) const NOW_NANOS: u64 = 1_735_689_600_000_000_000;
/// About one span in so many fails.
const ERROR_CHANCE: f64 = 0.03;
/// In all knowledge bases together.
const DOCUMENTS: u64 = 40_000;
const MILLISECOND: u64 = 1_000_000;

/// Writes traces from a seed: the same seed, the same traces.
pub(crate) struct Author {
    draw: Draw,
    prose: Prose,
    population: Population,
    /// What an agent is told is the same in each of its calls.
    instructions: HashMap<&'static str, String>,
}

impl Author {
    pub(crate) fn new(seed: u64) -> Self {
        let (mut draw, prose) = (Draw::new(seed), Prose::new());
        let mut instruct = |agent: &&'static str| {
            let bytes = draw.between(300, 900);
            (*agent, prose.text(&mut draw, bytes))
        };
        let instructions = AGENTS.iter().map(&mut instruct).collect();
        Self { draw, prose, population: Population::new(), instructions }
    }

    /// The next trace: whole (every parent is in it), root first, with at least one span and at most `spans_max`.
    pub(crate) fn trace(&mut self, spans_max: usize) -> Vec<Span> {
        let session = self.population.session(&mut self.draw);
        let start = NOW_NANOS - self.draw.between(20_000, 60_000) * MILLISECOND;
        let question = self.words(120, 600);
        let mut run = Run::new(self.draw.id(), start, spans_max.max(1));
        let mut root = self.agent(&mut run, &session, &question);
        let mut history = vec![message("user", &question)];
        for number in 1..=self.draw.between(1, 4) {
            if run.room() < 2 {
                break;
            }
            self.step(&mut run, &root, number, &session, &mut history);
        }
        conclude(&mut root, &history);
        run.finish(root)
    }

    fn agent(&mut self, run: &mut Run, session: &Session, question: &str) -> Span {
        let mut attributes = vec![
            text("gen_ai.operation.name", "invoke_agent"),
            text("gen_ai.agent.name", session.agent),
            text("gen_ai.agent.id", &session.agent_id),
            text("gen_ai.conversation.id", &session.id),
            text("gen_ai.input.messages", json!([message("user", question)]).to_string()),
            list("tag.tags", &session.tags),
            text("metadata.plan", session.plan),
            text("metadata.ticket", format!("T-{}", self.draw.between(10_000, 99_999))),
        ];
        attributes.extend(of_session(session));
        run.span(&mut self.draw, None, format!("invoke_agent {}", session.agent), SpanKind::Internal, attributes)
    }

    fn step(&mut self, run: &mut Run, root: &Span, number: u64, session: &Session, history: &mut Vec<Value>) {
        let mut attributes = vec![text("gen_ai.operation.name", "agent_step"), int("agent.step.number", number)];
        attributes.extend(of_session(session));
        let step = run.span(&mut self.draw, Some(root), format!("agent_step {number}"), SpanKind::Internal, attributes);
        self.chat(run, &step, session, history);
        if self.draw.chance(0.4) && run.room() > 0 {
            self.retrieval(run, &step, session);
        }
        for _ in 0..self.draw.between(0, 2) {
            if run.room() > 0 {
                self.tool(run, &step, session, history);
            }
        }
        run.push(step);
    }

    fn chat(&mut self, run: &mut Run, step: &Span, session: &Session, history: &mut Vec<Value>) {
        let model = self.population.model(&mut self.draw);
        let instructions = self.instructions.get(session.agent).cloned().unwrap_or_default();
        let answer = message("assistant", &self.words(150, 1_100));
        let (input, output) = (json!(history).to_string(), json!([answer]).to_string());
        let input_tokens = (input.len() + instructions.len()) as u64 / 4 + self.draw.between(20, 1_500);
        let output_tokens = output.len() as u64 / 4;
        let mut attributes = vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", model.provider),
            text("gen_ai.request.model", model.requested),
            text("gen_ai.response.model", model.answered),
            text("gen_ai.response.id", format!("chatcmpl-{}", hex::encode(self.draw.id::<12>()))),
            list("gen_ai.response.finish_reasons", &["stop"]),
            double("gen_ai.request.temperature", self.draw.between(0, 10) as f64 / 10.0),
            int("gen_ai.request.max_tokens", self.draw.pick(&[1_024, 2_048, 4_096])),
            int("gen_ai.usage.input_tokens", input_tokens),
            int("gen_ai.usage.output_tokens", output_tokens),
            text("gen_ai.system_instructions", json!([{"type": "text", "content": instructions}]).to_string()),
            text("gen_ai.input.messages", input),
            text("gen_ai.output.messages", output),
            text("server.address", model.host),
            int("server.port", 443),
        ];
        if self.draw.chance(0.5) {
            attributes
                .push(int("gen_ai.usage.cache_read.input_tokens", input_tokens * self.draw.between(20, 80) / 100));
        }
        if self.draw.chance(0.15) {
            attributes.push(int("gen_ai.usage.cache_creation.input_tokens", input_tokens / 10));
        }
        if self.draw.chance(0.5) {
            let seconds = self.draw.between(120, 1_800) as f64 / 1_000.0;
            attributes.push(double("gen_ai.response.time_to_first_chunk", seconds));
        }
        attributes.extend(of_session(session));
        let name = format!("chat {}", model.requested);
        let chat = run.span(&mut self.draw, Some(step), name, SpanKind::Client, attributes);
        run.push(chat);
        history.push(answer);
    }

    fn retrieval(&mut self, run: &mut Run, step: &Span, session: &Session) {
        let source = self.population.knowledge(&mut self.draw);
        let documents: Vec<_> = (0..self.draw.between(2, 4))
            .map(|rank| {
                let number = self.draw.between(1, DOCUMENTS);
                json!({"id": format!("doc-{number}"), "score": 0.95 - 0.07 * rank as f64, "content": self.document(number)})
            })
            .collect();
        let mut attributes = vec![
            text("gen_ai.operation.name", "retrieval"),
            text("gen_ai.data_source.id", source),
            text("gen_ai.retrieval.query.text", self.words(30, 90)),
            text("gen_ai.retrieval.documents", json!(documents).to_string()),
        ];
        attributes.extend(of_session(session));
        let retrieval =
            run.span(&mut self.draw, Some(step), format!("retrieval {source}"), SpanKind::Client, attributes);
        run.push(retrieval);
    }

    fn tool(&mut self, run: &mut Run, step: &Span, session: &Session, history: &mut Vec<Value>) {
        let (name, argument) = self.population.tool(&mut self.draw);
        let call = format!("call_{}", hex::encode(self.draw.id::<12>()));
        let wanted = format!("{} {}", self.prose.noun(&mut self.draw), self.draw.between(1_000, 9_999));
        let result =
            json!({"status": "ok", "rows": self.draw.between(0, 40), "note": self.words(150, 900)}).to_string();
        let mut attributes = vec![
            text("gen_ai.operation.name", "execute_tool"),
            text("gen_ai.tool.name", name),
            text("gen_ai.tool.type", "function"),
            text("gen_ai.tool.call.id", &call),
            text("gen_ai.tool.call.arguments", json!({argument: wanted}).to_string()),
            text("gen_ai.tool.call.result", &result),
        ];
        attributes.extend(of_session(session));
        let tool = run.span(&mut self.draw, Some(step), format!("execute_tool {name}"), SpanKind::Internal, attributes);
        run.push(tool);
        history.push(json!({"role": "tool", "parts": [{"type": "tool_call_response", "id": call, "result": result}]}));
    }

    /// A document says the same whoever retrieves it.
    fn document(&self, number: u64) -> String {
        let mut draw = Draw::new(number);
        let bytes = draw.between(250, 800);
        self.prose.text(&mut draw, bytes)
    }

    fn words(&mut self, bytes_min: u64, bytes_max: u64) -> String {
        let bytes = self.draw.between(bytes_min, bytes_max);
        self.prose.text(&mut self.draw, bytes)
    }
}

/// An agent answers what its last call answered.
fn conclude(root: &mut Span, history: &[Value]) {
    let answer = history.iter().rfind(|message| message["role"] == "assistant");
    root.attributes.extend(answer.map(|answer| text("gen_ai.output.messages", json!([answer]).to_string())));
}

/// A trace in the making: its id, its clock, and how many spans it may still have.
struct Run {
    trace_id: [u8; 16],
    start: u64,
    clock: u64,
    spans_max: usize,
    spans: Vec<Span>,
    /// Begun and not pushed yet: the root and at most one step.
    begun: usize,
}

impl Run {
    fn new(trace_id: [u8; 16], start: u64, spans_max: usize) -> Self {
        Self { trace_id, start, clock: start, spans_max, spans: Vec::new(), begun: 0 }
    }

    fn room(&self) -> usize {
        self.spans_max.saturating_sub(self.spans.len() + self.begun)
    }

    fn span(
        &mut self,
        draw: &mut Draw,
        parent: Option<&Span>,
        name: String,
        kind: SpanKind,
        attributes: Vec<KeyValue>,
    ) -> Span {
        self.begun += 1;
        let start = self.clock;
        self.clock += draw.between(3, 900) * MILLISECOND;
        let mut span = Span {
            trace_id: self.trace_id.to_vec(),
            span_id: draw.id::<8>().to_vec(),
            parent_span_id: parent.map(|parent| parent.span_id.clone()).unwrap_or_default(),
            name,
            kind: kind as i32,
            start_time_unix_nano: start,
            end_time_unix_nano: self.clock,
            flags: 1,
            attributes,
            status: Some(Status { code: status::StatusCode::Unset as i32, message: String::new() }),
            ..Span::default()
        };
        if draw.chance(ERROR_CHANCE) {
            fail(draw, &mut span);
        }
        span
    }

    /// Ends the span now and keeps it: a step ends after its children.
    fn push(&mut self, mut span: Span) {
        span.end_time_unix_nano = self.clock;
        self.begun -= 1;
        self.spans.push(span);
    }

    fn finish(mut self, mut root: Span) -> Vec<Span> {
        root.start_time_unix_nano = self.start;
        root.end_time_unix_nano = self.clock;
        self.spans.insert(0, root);
        self.spans
    }
}

fn fail(draw: &mut Draw, span: &mut Span) {
    let (kind, reason) = draw.pick(&[
        ("timeout", "the provider did not answer within 30 seconds"),
        ("rate_limit_exceeded", "429 Too Many Requests: try again later"),
        ("ValueError", "invalid argument: expected a number"),
        ("ConnectionError", "connection reset by peer"),
    ]);
    span.status = Some(Status { code: status::StatusCode::Error as i32, message: reason.to_owned() });
    span.attributes.push(text("error.type", kind));
    span.events.push(Event {
        time_unix_nano: span.end_time_unix_nano,
        name: "exception".to_owned(),
        attributes: vec![text("exception.type", kind), text("exception.message", reason)],
        dropped_attributes_count: 0,
    });
}

fn of_session(session: &Session) -> [KeyValue; 2] {
    [text("session.id", &session.id), text("user.id", &session.user)]
}

fn message(role: &str, content: &str) -> Value {
    json!({"role": role, "parts": [{"type": "text", "content": content}]})
}

/// A string attribute.
pub(crate) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

fn int(key: &str, value: u64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, any_value::Value::DoubleValue(value))
}

fn list(key: &str, values: &[&str]) -> KeyValue {
    let values = values
        .iter()
        .map(|value| AnyValue { value: Some(any_value::Value::StringValue((*value).to_owned())) })
        .collect();
    attribute(key, any_value::Value::ArrayValue(ArrayValue { values }))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use prost::Message as _;

    use super::*;

    fn traces(count: usize) -> Vec<Vec<Span>> {
        let mut author = Author::new(7);
        (0..count).map(|_| author.trace(usize::MAX)).collect()
    }

    fn value(span: &Span, key: &str) -> Option<String> {
        let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
        match found.value.as_ref()?.value.as_ref()? {
            any_value::Value::StringValue(value) => Some(value.clone()),
            _ => None,
        }
    }

    #[test]
    fn the_same_seed_writes_the_same_bytes_and_another_seed_others() {
        let write =
            |seed| Author::new(seed).trace(50).iter().flat_map(prost::Message::encode_to_vec).collect::<Vec<_>>();
        assert_eq!(write(7), write(7));
        assert_ne!(write(7), write(8));
    }

    #[test]
    fn ids_are_unique_and_every_parent_is_in_the_trace() {
        let mut seen = HashSet::new();
        for trace in traces(400) {
            let ids: HashSet<_> = trace.iter().map(|span| span.span_id.clone()).collect();
            assert!(trace[0].parent_span_id.is_empty());
            for span in &trace {
                assert!(seen.insert((span.trace_id.clone(), span.span_id.clone())));
                assert_eq!(span.trace_id, trace[0].trace_id);
            }
            assert!(trace[1..].iter().all(|span| ids.contains(&span.parent_span_id)));
        }
    }

    #[test]
    fn children_lie_within_their_parents_and_nothing_lies_in_the_future() {
        for trace in traces(200) {
            for span in &trace {
                assert!(span.start_time_unix_nano < span.end_time_unix_nano && span.end_time_unix_nano <= NOW_NANOS);
                if let Some(parent) = trace.iter().find(|other| other.span_id == span.parent_span_id) {
                    assert!(parent.start_time_unix_nano <= span.start_time_unix_nano);
                    assert!(parent.end_time_unix_nano >= span.end_time_unix_nano);
                }
            }
        }
    }

    #[test]
    fn a_span_is_about_as_big_as_a_real_one_and_three_in_a_hundred_fail() {
        let spans: Vec<_> = traces(600).into_iter().flatten().collect();
        let average = spans.iter().map(prost::Message::encoded_len).sum::<usize>() / spans.len();
        assert!((1_500..=2_200).contains(&average), "{average} bytes");
        let failed = spans.iter().filter(|span| span.status.as_ref().is_some_and(|status| status.code == 2)).count();
        let share = failed as f64 / spans.len() as f64;
        assert!((0.02..0.04).contains(&share), "{share}");
    }

    #[test]
    fn what_repeats_in_real_traces_repeats() {
        let spans: Vec<_> = traces(200).into_iter().flatten().collect();
        let of = |key: &str| spans.iter().filter_map(|span| value(span, key)).collect::<Vec<_>>();
        let instructions = of("gen_ai.system_instructions");
        assert!(instructions.len() > 300);
        assert!(instructions.into_iter().collect::<HashSet<_>>().len() <= AGENTS.len());
        let concluded = traces(200).iter().all(|trace| {
            let last = trace.iter().rfind(|span| span.name.starts_with("chat "));
            let last = last.map(|span| value(span, "gen_ai.output.messages"));
            last.is_none_or(|last| last == value(&trace[0], "gen_ai.output.messages"))
        });
        assert!(concluded);
        let author = Author::new(7);
        assert_eq!(author.document(5), Author::new(8).document(5));
        assert_ne!(author.document(5), author.document(6));
    }

    #[test]
    fn a_trace_keeps_to_its_bound() {
        let mut author = Author::new(7);
        for spans_max in [1, 2, 3, 5, 8] {
            for _ in 0..50 {
                let spans = author.trace(spans_max);
                assert!((1..=spans_max).contains(&spans.len()), "{} of {spans_max}", spans.len());
            }
        }
    }

    #[test]
    fn sessions_span_several_traces_and_some_users_are_busier_than_others() {
        let traces = traces(2_000);
        let count = |key| {
            let mut counts = HashMap::<_, usize>::new();
            traces.iter().for_each(|trace| *counts.entry(value(&trace[0], key).unwrap()).or_default() += 1);
            counts
        };
        let sessions = count("session.id");
        assert!((300..800).contains(&sessions.len()), "{}", sessions.len());
        let users = count("user.id");
        assert!(users.len() > 50 && users.values().max().unwrap() > &60, "{} users", users.len());
    }

    #[test]
    fn an_encoded_trace_can_be_decoded_again() {
        for span in traces(20).into_iter().flatten() {
            assert_eq!(Span::decode(span.encode_to_vec().as_slice()).unwrap(), span);
        }
    }
}
