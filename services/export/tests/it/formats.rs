//! Tables, conversations, and what headers and trailers say of them.

use axum::http::HeaderMap;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use spanlake_model::{Kind, Receipt, Span, WriterId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{List, World, span, world};

const START: &str = "2026-04-10T11:30:45.123Z";

fn of(spans: Vec<Span>) -> World {
    world(List { spans, ..List::default() })
}

/// A tool's span, which no conversation is.
fn tool(number: u128) -> Span {
    Span { kind: Kind::new(Kind::TOOL), ..span(number, START) }
}

/// The whole answer: its headers, its text, its trailers.
async fn whole(world: &World, query: &str) -> (HeaderMap, String, HeaderMap) {
    let response = world.send(query, Some(&world.key)).await;
    assert_eq!(response.status().as_u16(), 200);
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned().expect("a whole answer has trailers");
    (headers, String::from_utf8(body.to_bytes().to_vec()).unwrap(), trailers)
}

#[tokio::test]
async fn a_table_has_one_header_and_a_record_for_each_span() {
    let mut hostile = span(2, "2026-04-10T11:30:44Z");
    (hostile.name, hostile.model, hostile.end) = ("=HYPERLINK(\"http://x\")".into(), None, None);
    (hostile.user_id, hostile.output) = (Some(String::new()), Some("two\nlines, \"quoted\"".into()));
    let (headers, text, _) = whole(&of(vec![span(1, START), hostile]), "?format=csv").await;
    assert_eq!(headers["content-type"], "text/csv; charset=utf-8; header=present");
    let expected = [
        "trace_id,span_name,type,model,latency_ms,timestamp,input,output,metadata,scores,span_id,parent_span_id,kind,status,\
         user_id,session_id,tags,input_tokens,output_tokens,cost",
        "00000000000000000000000000000001,chat 1,GENERATION,gpt-4o,812.5,2026-04-10T11:30:45.123Z,\
         \"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"hi\"\"}]\",hello,\"{\"\"env\"\":\"\"prod\"\"}\",{},0909090909090909,\
         0808080808080808,llm,OK,u,s,\"[\"\"beta\"\"]\",10,4,0.25",
        "00000000000000000000000000000002,\"'=HYPERLINK(\"\"http://x\"\")\",GENERATION,,,2026-04-10T11:30:44Z,\
         \"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"hi\"\"}]\",\"two\nlines, \"\"quoted\"\"\",\"{\"\"env\"\":\"\"prod\"\"}\",{},\
         0909090909090909,0808080808080808,llm,OK,\"\",s,\"[\"\"beta\"\"]\",10,4,0.25",
        "",
    ];
    assert_eq!(text, expected.join("\r\n"));
}

/// Who adds a field to one adds it to the other.
#[tokio::test]
async fn columns_of_the_table_are_the_fields_of_a_line() {
    let world = of(vec![span(1, START)]);
    let (_, table, _) = whole(&world, "?format=csv").await;
    let line = world.text("").await;
    let mut place = 0;
    for column in table.lines().next().unwrap().split(',') {
        let found =
            line[place..].find(&format!("\"{column}\":")).unwrap_or_else(|| panic!("{column} is next in {line}"));
        place += found;
    }
    let fields = serde_json::from_str::<Value>(line.lines().next().unwrap()).unwrap().as_object().unwrap().len();
    assert_eq!(table.lines().next().unwrap().split(',').count(), fields);
}

#[tokio::test]
async fn a_table_of_nothing_is_its_header() {
    let (headers, text, trailers) = whole(&of(Vec::new()), "?format=csv").await;
    assert!(text.starts_with("trace_id,") && text.lines().count() == 1, "{text}");
    assert_eq!(headers["x-export-total"], "0");
    assert_eq!(trailers["x-export-exported"], "0");
}

#[tokio::test]
async fn a_table_goes_on_with_the_cursor_in_its_headers_and_in_its_trailers() {
    let world = of((1..=5).map(|number| span(number, START)).collect());
    let (headers, first, trailers) = whole(&world, "?format=csv&limit=3").await;
    let cursor = headers["x-export-next-cursor"].to_str().unwrap();
    assert_eq!(trailers["x-export-next-cursor"], cursor);
    for counts in [&headers, &trailers] {
        assert_eq!(counts["x-export-total"], "5");
        assert_eq!(counts["x-export-exported"], "3");
        assert_eq!(counts["x-export-skipped"], "0");
    }
    let (headers, second, trailers) = whole(&world, &format!("?format=csv&limit=3&cursor={cursor}")).await;
    assert!(!headers.contains_key("x-export-next-cursor") && !trailers.contains_key("x-export-next-cursor"));
    let ids = |text: &str| text.lines().skip(1).map(|line| line[31..32].to_owned()).collect::<String>();
    assert_eq!(ids(&first) + &ids(&second), "54321");
}

#[tokio::test]
async fn conversations_are_lines_and_what_is_none_is_counted_by_its_reason() {
    let mut mute = span(3, START);
    mute.output = None;
    let mut odd = span(4, START);
    odd.input = Some(r#"{"question":"hi"}"#.into());
    let world = of(vec![span(1, START), tool(2), mute, odd, tool(5)]);
    let page = world.page("?format=openai").await;
    let messages = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]);
    assert_eq!(page.rows, [json!({"messages": messages})]);
    let reasons = json!({"no_output": 1, "not_a_conversation": 2, "parse_error": 1});
    let meta = json!({"total": 5, "exported": 1, "skipped": 4, "skip_reasons": reasons, "next_cursor": null});
    assert_eq!(page.meta, meta);
    let (headers, _, trailers) = whole(&world, "?format=openai").await;
    assert!(!headers.contains_key("x-export-exported"), "not known before the rows are read");
    assert_eq!(trailers["x-export-skip-reasons"], "no_output=1, not_a_conversation=2, parse_error=1");
}

#[tokio::test]
async fn a_page_of_nothing_but_skipped_rows_still_has_a_next_one() {
    let world = of(vec![span(1, START), tool(2), tool(3)]);
    let page = world.page("?format=openai&limit=2").await;
    assert_eq!((page.rows.len(), &page.meta["exported"], &page.meta["skipped"]), (0, &json!(0), &json!(2)));
    let next = world.page(&format!("?format=openai&limit=2&cursor={}", page.cursor().unwrap())).await;
    assert_eq!((next.rows.len(), next.cursor()), (1, None));
}

#[tokio::test]
async fn a_page_of_one_format_goes_on_in_another() {
    let world = of((1..=4).map(|number| span(number, START)).collect());
    let page = world.page("?limit=2").await;
    let (_, text, _) = whole(&world, &format!("?format=csv&cursor={}", page.cursor().unwrap())).await;
    assert_eq!(text.lines().count(), 3);
}

#[tokio::test]
async fn a_receipt_is_passed_on() {
    let world = of(vec![span(1, START)]);
    let receipt = Receipt { writer: WriterId::from_bytes([5; 16]), sequence: 7 };
    world.page(&format!("?after={receipt}")).await;
    assert_eq!(world.list.asked.lock().unwrap()[0].receipt, Some(receipt));
}

#[tokio::test]
async fn http_trailers_are_sent_to_who_asks_for_them() {
    let world = of(vec![span(1, START), tool(2)]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, world.router.clone()).into_future());
    for asks in [true, false] {
        let mut client = TcpStream::connect(address).await.unwrap();
        let te = if asks { "te: trailers\r\n" } else { "" };
        let request = format!(
            "GET /v1/traces/export?format=openai HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{te}authorization: {}\r\n\r\n",
            world.key
        );
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        let end = answer.split("\r\n0\r\n").nth(1).unwrap_or_else(|| panic!("no end: {answer}"));
        assert_eq!(end.contains("x-export-skip-reasons: not_a_conversation=1\r\n"), asks, "{answer}");
    }
    server.abort();
}
