//! What a row says.

use axum::body::to_bytes;
use serde_json::{Value, json};
use spanlake_model::{Kind, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{List, at, span, world};

const START: &str = "2026-04-10T11:30:45.123Z";

fn list(spans: Vec<spanlake_model::Span>) -> List {
    List { spans, ..List::default() }
}

#[tokio::test]
async fn a_row_has_the_seeds_fields_in_their_order_and_then_ours() {
    let world = world(List { scores: Some(r#"{"quality":0.75}"#), ..list(vec![span(0xabc, START)]) });
    let expected = concat!(
        r#"{"trace_id":"00000000000000000000000000000abc","span_name":"chat 2748","type":"GENERATION","model":"gpt-4o","#,
        r#""latency_ms":812.5,"timestamp":"2026-04-10T11:30:45.123Z","input":[{"role":"user","content":"hi"}],"#,
        r#""output":"hello","metadata":{"env":"prod"},"scores":{"quality":0.75},"span_id":"0909090909090909","parent_span_id":"0808080808080808","#,
        r#""kind":"llm","status":"OK","user_id":"u","session_id":"s","tags":["beta"],"input_tokens":10,"#,
        r#""output_tokens":4,"cost":0.25}"#,
        "\n",
        r#"{"_export_meta":{"total":1,"exported":1,"skipped":0,"skip_reasons":{},"next_cursor":null}}"#,
        "\n",
    );
    assert_eq!(world.text("").await, expected);
}

#[tokio::test]
async fn what_is_absent_is_null() {
    let mut bare = span(1, START);
    (bare.end, bare.parent_span_id, bare.model, bare.input) = (None, None, None, None);
    (bare.kind, bare.cost.total, bare.usage.input) = (Kind::new("my own"), None, None);
    let page = world(list(vec![bare])).page("").await;
    for field in ["latency_ms", "parent_span_id", "model", "input", "cost", "input_tokens"] {
        assert_eq!(page.rows[0].get(field), Some(&Value::Null), "{field}");
    }
    assert_eq!(page.rows[0]["scores"], json!({}), "no scores are an object without any");
    assert_eq!((&page.rows[0]["type"], &page.rows[0]["kind"]), (&json!("SPAN"), &json!("my own")));
}

#[tokio::test]
async fn nothing_found_is_a_trailer_alone() {
    let page = world(List::default()).page("").await;
    assert!(page.rows.is_empty());
    let nothing = json!({"total": 0, "exported": 0, "skipped": 0, "skip_reasons": {}, "next_cursor": null});
    assert_eq!(page.meta, nothing);
}

#[tokio::test]
async fn lightweight_rows_leave_input_and_output_unread() {
    let world = world(list(vec![span(1, START)]));
    let page = world.page("?lightweight=true").await;
    assert_eq!((&page.rows[0]["input"], &page.rows[0]["output"]), (&Value::Null, &Value::Null));
    assert!(world.list.asked.lock().unwrap()[0].without_io);
}

#[tokio::test]
async fn each_filter_is_passed_on() {
    let mut failed = span(2, START);
    (failed.status, failed.name, failed.kind) = (Status::Error, "search".into(), Kind::new(Kind::TOOL));
    (failed.model, failed.user_id, failed.tags) = (None, Some("eve".into()), vec!["x y".into()]);
    failed.metadata = r#"{"env":"test"}"#.into();
    let world = world(list(vec![span(1, START), failed]));
    let queries = [
        ("type=all", vec![2, 1]),
        ("type=GENERATION", vec![1]),
        ("type=SPAN&status=STATUS_CODE_ERROR", vec![2]),
        ("type=EVENT", vec![]),
        ("status=OK", vec![1]),
        ("status=STATUS_CODE_UNSET", vec![]),
        ("model=gpt-4o", vec![1]),
        ("name=sear", vec![2]),
        ("userId=eve", vec![2]),
        ("tag=x%20y", vec![2]),
        ("metadata_key=env&metadata_value=test", vec![2]),
        ("format=jsonl&status=ERROR&userId=u", vec![]),
    ];
    for ((query, found), hour) in queries.into_iter().zip(12..) {
        // Ten exports an hour is the limit.
        world.clock.set(&format!("2026-04-10T{hour}:00:00Z"));
        let page = world.page(&format!("?{query}")).await;
        assert_eq!(page.trace_ids(), found, "{query}");
        assert_eq!(page.meta["total"], found.len(), "{query}");
    }
}

#[tokio::test]
async fn the_range_is_half_open_and_thirty_days_unless_said() {
    let spans = ["2026-03-11T11:59:59Z", "2026-03-11T12:00:00Z", "2026-04-01T00:00:00Z", "2026-04-10T12:00:00Z"];
    let spans = spans.iter().zip(1..).map(|(start, number)| span(number, start)).collect();
    let world = world(list(spans));
    for (query, found) in [
        ("", vec![3, 2]),
        ("?startDate=2026-04-01", vec![3]),
        ("?endDate=2026-04-01", vec![2, 1]),
        ("?startDate=2026-03-11T12:59:59%2B01:00&endDate=2026-04-10T12:00:00.000000001Z", vec![4, 3, 2, 1]),
    ] {
        assert_eq!(world.page(query).await.trace_ids(), found, "{query}");
    }
    let asked = world.list.asked.lock().unwrap();
    assert_eq!(
        (asked[0].range.start(), asked[0].range.end()),
        (at("2026-03-11T12:00:00Z"), at("2026-04-10T12:00:00Z"))
    );
}

#[tokio::test]
async fn a_stream_that_breaks_fails_the_body_and_has_no_trailer() {
    let spans: Vec<_> = (1..=10).map(|number| span(number, START)).collect();
    let broken = List { spans, breaks_after: Some(5), ..List::default() };
    let world = world(broken);
    world.list.cut.notify_one();
    let response = world.send("", Some(&world.key)).await;
    assert!(to_bytes(response.into_body(), usize::MAX).await.is_err());

    // And on the wire: rows, then a connection that closes without the end that HTTP demands.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let server = tokio::spawn(axum::serve(listener, world.router.clone()).into_future());
    let request = format!("GET /v1/traces/export HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\r\n", world.key);
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let rows = |answer: &[u8]| String::from_utf8_lossy(answer).matches("\"span_id\"").count();
    while rows(&answer) < 5 {
        assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "closed before the rows");
    }
    world.list.cut.notify_one();
    client.read_to_end(&mut answer).await.unwrap();
    server.abort();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("_export_meta") && !answer.ends_with("0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_source_that_ends_before_all_has_come_is_no_whole_export() {
    for format in ["jsonl", "openai", "csv"] {
        let spans = (1..=10).map(|number| span(number, START)).collect();
        let world = world(List { spans, loses_one: true, ..List::default() });
        let response = world.send(&format!("?format={format}"), Some(&world.key)).await;
        assert!(to_bytes(response.into_body(), usize::MAX).await.is_err(), "{format}");
    }
}

#[tokio::test]
async fn a_query_that_fails_at_once_is_an_error_and_not_a_broken_stream() {
    for query in ["", "?format=openai", "?format=csv"] {
        let world = world(List { breaks_after: Some(0), spans: vec![span(1, START)], ..List::default() });
        world.list.cut.notify_one();
        let (status, error) = world.refusal(query, Some(&world.key)).await;
        assert_eq!((status.as_u16(), &error["code"]), (504, &json!("timeout")), "{query}");
    }
}
