//! Log records on the way that spans go.

use std::time::Duration;

use spanlake_dialects::otlp::{Encoding, Signal};
use spanlake_model::{AgentId, Code, Span};
use spanlake_testkit::otlp::{self, span_id, trace_id};

use crate::machine::{AGENT, Machine, NOON, send, send_body, tenant};

/// Two good records of span 1, one of nothing, one of a time before all time, and one of an agent that is not there.
fn request(minute: u64) -> Vec<u8> {
    let at = NOON.plus(Duration::from_secs(60 * minute));
    let said = |said: &str| otlp::user_message(trace_id(1), span_id(1), said, at);
    let (mut stray, mut ancient) = (said("stray"), said("ancient"));
    stray.trace_id.clear();
    ancient.time_unix_nano = 1;
    let own =
        otlp::logs_for_agent(otlp::logs_request(vec![said("one"), stray, ancient, said("two")]), &AGENT.to_string());
    let unknown = AgentId::from_bytes([5; 16]).to_string();
    let mut all = otlp::logs_for_agent(otlp::logs_request(vec![said("of a stranger")]), &unknown);
    all.resource_logs.extend(own.resource_logs);
    otlp::logs_json(&all)
}

fn said(rows: &[Span]) -> Vec<&str> {
    rows.iter().filter(|row| row.log_name.is_some()).map(|row| row.input.as_deref().unwrap()).collect()
}

#[tokio::test]
async fn records_lie_beside_spans_and_are_the_same_after_a_replay_and_in_files() {
    let mut machine = Machine::new().await;
    let service = machine.start().await.unwrap();
    let of_time = otlp::user_message(trace_id(1), span_id(1), "in protobuf", NOON);
    let protobuf = otlp::logs_protobuf(vec![of_time]);
    let accepted = send_body(&service, tenant(1), Signal::Logs, Encoding::Protobuf, protobuf).await.unwrap();
    assert!(accepted.receipt.is_some() && accepted.rejected == 0 && accepted.message.is_none());
    send(&service, tenant(1), &[1, 2]).await.unwrap();
    let accepted = send_body(&service, tenant(1), Signal::Logs, Encoding::Json, request(1)).await.unwrap();
    assert_eq!(accepted.rejected, 3);
    let message = accepted.message.unwrap();
    assert!(message.starts_with("3 of 5 log records rejected"), "{message}");
    assert!(message.contains("session.id") && message.contains("no agent of this tenant"), "{message}");

    let rows = machine.rows(&service, tenant(1)).await;
    let message = |said: &str| format!(r#"{{"role":"user","content":"{said}"}}"#);
    assert_eq!(said(&rows), [message("in protobuf"), message("one"), message("two")]);
    for row in rows.iter().filter(|row| row.log_name.is_some()) {
        assert_eq!((row.trace_id, row.parent_span_id), (trace_id(1), Some(span_id(1))));
        assert_eq!((row.kind.as_str(), row.end), ("event", Some(row.start)));
    }
    assert_eq!(rows.iter().filter(|row| row.agent_id == Some(AGENT)).count(), 2);
    assert_eq!(rows.len(), 5);

    drop(service);
    machine.disk = machine.disk.killed();
    let service = machine.start().await.unwrap();
    assert_eq!(machine.rows(&service, tenant(1)).await, rows);
    service.flush().await.unwrap();
    assert_eq!(machine.rows(&service, tenant(1)).await, rows);
}

#[tokio::test]
async fn nothing_is_logged_of_a_request_that_is_refused_whole() {
    let machine = Machine::new().await;
    let service = machine.start().await.unwrap();
    let unknown = AgentId::from_bytes([5; 16]).to_string();
    let record = otlp::user_message(trace_id(1), span_id(1), "of a stranger", NOON);
    let of_stranger = otlp::logs_json(&otlp::logs_for_agent(otlp::logs_request(vec![record]), &unknown));
    let spans = otlp::protobuf(vec![otlp::span(trace_id(1), span_id(1), "a span", NOON)]);
    for (encoding, body) in
        [(Encoding::Json, of_stranger), (Encoding::Protobuf, spans), (Encoding::Json, b"7".to_vec())]
    {
        let fault = send_body(&service, tenant(1), Signal::Logs, encoding, body).await.unwrap_err();
        assert_eq!(fault.code, Code::InvalidOtlpPayload, "{fault:?}");
    }
    // A request in which no record is left is no failure, and not logged either.
    let mut stray = otlp::user_message(trace_id(1), span_id(1), "stray", NOON);
    stray.trace_id.clear();
    let body = otlp::logs_protobuf(vec![stray]);
    let accepted = send_body(&service, tenant(1), Signal::Logs, Encoding::Protobuf, body).await.unwrap();
    assert_eq!((accepted.receipt, accepted.rejected), (None, 1));
    assert_eq!(machine.rows(&service, tenant(1)).await, []);
}
