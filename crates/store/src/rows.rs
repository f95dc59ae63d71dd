//! Rows between `model` and Arrow.

mod content;
mod decode;
mod encode;
mod escape;
mod json;
mod rank;
mod scores;
mod traces;

pub use decode::{DecodeError, decode, ids, instant, numbers, row_keys, texts, whole_attributes};
pub use encode::encode;
pub use rank::{Rank, version_columns, versions};
pub use scores::{ScoreRow, decode_scores, encode_scores, score_key};
pub use traces::{decode_traces, encode_traces};

use spanlake_model::{Span, TenantId, Timestamp, WriterId};

/// A span as it was taken in.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was sent.
    pub span: Span,
    /// When.
    pub received_at: Timestamp,
    /// In which frame of the writer's log.
    pub sequence: u64,
}

/// Where rows come from: the same for all rows of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whose.
    pub tenant: TenantId,
    /// Through which writer.
    pub writer: WriterId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use spanlake_model::{AppId, Cost, CostSource, Event, Kind, Link, Money, SpanId, Status, TraceId, Usage};

    fn full() -> Span {
        let text = |word: &str| Some(word.to_string());
        let trace_id = TraceId::from_bytes([9; 16]).unwrap();
        let span_id = SpanId::from_bytes([8; 8]).unwrap();
        let start = Timestamp::from_nanos(1_763_700_000_123_456_789);
        Span {
            app_id: AppId::from_bytes([1; 16]),
            agent_id: Some(spanlake_model::AgentId::from_bytes([2; 16])),
            trace_id,
            span_id,
            parent_span_id: SpanId::from_bytes([7; 8]),
            name: "chat gpt-4o".into(),
            kind: Kind::new(Kind::LLM),
            operation: text("chat"),
            status: Status::Error,
            level: text("WARNING"),
            status_message: text("429"),
            start,
            end: Some(Timestamp::from_nanos(start.as_nanos() + 812_345_678)),
            time_to_first_token_ns: Some(5),
            tokens_per_second: Some(61.5),
            provider: text("openai"),
            request_model: text("gpt-4o"),
            model: text("gpt-4o-2024-08-06"),
            model_parameters: text(r#"{"temperature":0.7}"#),
            response_id: text("r1"),
            finish_reason: text("stop"),
            usage: Usage {
                input: Some(10),
                output: Some(4),
                total: Some(14),
                cache_read: Some(2),
                cache_write: Some(1),
                reasoning: Some(3),
            },
            usage_details: text(r#"{"input_audio":3}"#),
            cost_source: Some(CostSource::Sent),
            cost: Cost { input: Money::from_dollars(0.1), output: None, total: Money::from_dollars(0.25) },
            tool_name: text("search"),
            agent_name: text("support"),
            session_id: text("s"),
            session_name: text("a talk"),
            user_id: text("u"),
            trace_name: text("t"),
            environment: text("prod"),
            release: text("1"),
            version: text("2"),
            service_name: Some("svc".into()),
            scope_name: Some("scope".into()),
            prompt_name: text("p"),
            prompt_version: text("3"),
            tags: vec!["a".into(), "b".into()],
            metadata: r#"{"k":"v"}"#.into(),
            attributes: r#"{"gen_ai.request.model":"gpt-4o"}"#.into(),
            resource: "{}".into(),
            events: vec![Event { name: "e".into(), time: start, attributes: r#"{"x":1}"#.into() }],
            links: vec![Link { trace_id, span_id, attributes: "{}".into() }],
            input: text("hi"),
            output: text("[\"hello\"]"),
            log_name: text("gen_ai.choice"),
        }
    }

    #[test]
    fn a_span_survives_arrow_to_the_nanosecond() {
        let mut bare = full();
        (bare.end, bare.parent_span_id, bare.agent_id, bare.input) = (None, None, None, None);
        (bare.usage, bare.cost, bare.tags, bare.events) = (Usage::default(), Cost::default(), vec![], vec![]);
        let origin = Origin { tenant: TenantId::from_bytes([3; 16]), writer: WriterId::from_bytes([4; 16]) };
        let spans = [full(), bare];
        let rows: Vec<_> = spans
            .iter()
            .map(|span| Row { span: span.clone(), received_at: Timestamp::from_secs(5), sequence: 6 })
            .collect();
        let batch = encode(origin, &rows);
        assert_eq!(batch.schema(), crate::schema::spans());
        assert_eq!(decode(&batch).unwrap(), spans);
        assert_eq!(row_keys(spanlake_model::Table::Spans, &batch).unwrap(), spans.map(|span| span.key()));
    }

    #[test]
    fn what_rows_share_lies_in_memory_once() {
        let resource: std::sync::Arc<str> = format!(r#"{{"k":"{}"}}"#, "x".repeat(1 << 20)).into();
        let row = |number: u64| {
            let span = Span {
                resource: resource.clone(),
                span_id: SpanId::from_bytes(number.to_be_bytes()).unwrap(),
                ..full()
            };
            Row { span, received_at: Timestamp::from_secs(5), sequence: 6 }
        };
        let mut rows: Vec<_> = (1..=100).map(row).collect();
        rows[50].span.resource = "{}".into();
        let origin = Origin { tenant: TenantId::from_bytes([3; 16]), writer: WriterId::from_bytes([4; 16]) };
        let batch = encode(origin, &rows);
        assert!(batch.get_array_memory_size() < 4 << 20, "{}", batch.get_array_memory_size());
        let spans: Vec<_> = rows.into_iter().map(|row| row.span).collect();
        assert_eq!(decode(&batch).unwrap(), spans);
    }
}
