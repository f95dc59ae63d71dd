//! Content that came as log records is shown at its span, and the records themselves nowhere.

use std::time::Duration;

use futures::TryStreamExt;
use serde_json::{Value, json};
use spanlake_dialects::normalise::Stray;
use spanlake_model::{AgentId, Kind, Span, SpanFilter, TimeRange, TraceId};
use spanlake_proto::query::{ScanRequest, SpanSource};
use spanlake_query::Config;
use spanlake_store::rows::decode;

use crate::face::{Face, face, service};
use crate::world::{World, caller, fresh, id, span, tenant, trace};

/// A record of this event, at the span `parent` or at none.
fn record(span_byte: u8, parent: u8, seconds: u64, event: &str) -> Span {
    Span {
        kind: Kind::new(Kind::EVENT),
        log_name: Some(event.into()),
        parent_span_id: (parent > 0).then(|| id(parent)),
        ..span(1, span_byte, seconds)
    }
}

fn said(input: Option<&str>, output: Option<&str>, record: Span) -> Span {
    Span { input: input.map(str::to_owned), output: output.map(str::to_owned), ..record }
}

fn call(span_byte: u8, parent: u8, seconds: u64) -> Span {
    Span { kind: Kind::new(Kind::LLM), parent_span_id: Some(id(parent)), ..span(1, span_byte, seconds) }
}

/// What a span of trace 1 shows in its own page, in its trace, and in a scan.
async fn content(world: &std::sync::Arc<World>, face: &Face, span_byte: u8) -> (Value, Value) {
    let page = face.ok(&format!("/v1/traces/{}/spans/{}", trace(1), id(span_byte))).await;
    let shown = (page["data"]["input"].clone(), page["data"]["output"].clone());
    let tree = face.ok(&format!("/v1/traces/{}?fields=io", trace(1))).await;
    let spans = tree["data"]["spans"].as_array().unwrap().clone();
    let node = spans.into_iter().find(|node| node["id"] == id(span_byte).to_string()).unwrap();
    assert_eq!((node["input"].clone(), node["output"].clone()), shown);
    let scanned = scan(world).await.into_iter().find(|span| span.span_id == id(span_byte)).unwrap();
    let value =
        |text: Option<String>| text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap_or(json!(text)));
    assert_eq!((value(scanned.input), value(scanned.output)), shown);
    shown
}

async fn scan(world: &std::sync::Arc<World>) -> Vec<Span> {
    let request = ScanRequest {
        range: TimeRange::all(),
        filter: SpanFilter::default(),
        after: None,
        limit: 100,
        without_io: false,
        receipt: None,
    };
    let scan = service(world, Config::default()).scan(&caller(1, 1), request).await.unwrap();
    let batches: Vec<_> = scan.batches.try_collect().await.unwrap();
    batches.iter().flat_map(|batch| decode(batch).unwrap()).collect()
}

const MILLISECOND: Duration = Duration::from_millis(1);
const USER: &str = r#"{"role":"user","content":"hi"}"#;
const SYSTEM: &str = r#"{"role":"system","content":"be kind"}"#;
const ANSWER: &str = r#"{"role":"assistant","content":"hello"}"#;

#[tokio::test]
async fn messages_of_records_become_the_content_of_their_span_whichever_came_first() {
    let spans = [span(1, 1, 0), call(2, 1, 1)];
    let records = [
        said(Some(USER), None, record(22, 2, 3, "gen_ai.user.message")),
        said(Some(SYSTEM), None, record(21, 2, 2, "gen_ai.system.message")),
        said(None, Some(ANSWER), record(23, 2, 4, "gen_ai.choice")),
    ];
    for (in_file, in_memory) in [(&spans[..], &records[..]), (&records[..], &spans[..])] {
        let world = World::new();
        world.file(tenant(1), 1, in_file, &[]).await;
        world.writer(0, vec![fresh(tenant(1), in_memory, &[])]);
        let face = face(&world);
        let input = json!([{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]);
        let output = json!([{"role": "assistant", "content": "hello"}]);
        assert_eq!(content(&world, &face, 2).await, (input, output));
        assert_eq!(content(&world, &face, 1).await, (Value::Null, Value::Null));
        let list = face.ok("/v1/traces").await;
        assert_eq!((list["data"].as_array().unwrap().len(), &list["data"][0]["span_count"]), (1, &json!(2)));
        assert_eq!(face.ok("/v1/spans").await["data"].as_array().unwrap().len(), 2);
        assert_eq!(scan(&world).await.len(), 2);
    }
}

#[tokio::test]
async fn what_a_span_says_itself_is_not_added_to() {
    let world = World::new();
    let own = Span { input: Some("asked".into()), ..call(2, 1, 1) };
    let both = said(Some("logged"), Some("answered"), record(21, 2, 2, "gen_ai.client.inference.operation.details"));
    world.file(tenant(1), 1, &[span(1, 1, 0), own, both], &[]).await;
    assert_eq!(content(&world, &face(&world), 2).await, (json!("asked"), json!("answered")));
}

#[tokio::test]
async fn a_record_without_a_span_belongs_to_its_response_else_to_the_root() {
    let world = World::new();
    let answered = Span { response_id: Some("r-1".into()), ..call(2, 1, 1) };
    let of_response = Span { response_id: Some("r-1".into()), ..said(None, Some("by id"), record(21, 0, 2, "choice")) };
    let of_trace = said(Some("to all"), None, record(22, 0, 3, "user_prompt"));
    world.file(tenant(1), 1, &[span(1, 1, 0), answered, of_response, of_trace], &[]).await;
    let face = face(&world);
    assert_eq!(content(&world, &face, 2).await, (Value::Null, json!("by id")));
    assert_eq!(content(&world, &face, 1).await.0, json!("to all"));
}

#[tokio::test]
async fn a_prompt_at_the_span_and_an_answer_by_its_id_are_both_found() {
    let world = World::new();
    let answered = Span { response_id: Some("r-1".into()), ..call(2, 1, 1) };
    let asked = said(Some(USER), None, record(21, 2, 2, "gen_ai.user.message"));
    let answer = Span { response_id: Some("r-1".into()), ..said(None, Some("by id"), record(22, 0, 3, "choice")) };
    world.file(tenant(1), 1, &[span(1, 1, 0), answered, asked, answer], &[]).await;
    let input = json!([{"role": "user", "content": "hi"}]);
    assert_eq!(content(&world, &face(&world), 2).await, (input, json!("by id")));
}

#[tokio::test]
async fn what_was_logged_for_another_agent_is_not_shown_to_an_agents_key() {
    let world = World::new();
    let of = |agent: u8, span| Span { agent_id: Some(AgentId::from_bytes([agent; 16])), ..span };
    let records = [said(Some("secret"), None, record(21, 2, 2, "user_prompt"))];
    let rows = [of(1, span(1, 1, 0)), of(1, call(2, 1, 1)), of(2, records[0].clone())];
    world.file(tenant(1), 1, &rows, &[]).await;
    let face = face(&world);
    let path = format!("/v1/traces/{}/spans/{}", trace(1), id(2));
    let (_, seen) = face.get_as([1, 1, 1], &path).await;
    assert_eq!((&seen["data"]["id"], &seen["data"]["input"]), (&json!(id(2).to_string()), &Value::Null));
    assert_eq!(face.ok(&path).await["data"]["input"], json!("secret"), "the whole app's key sees it");
}

#[tokio::test]
async fn each_call_of_a_turn_has_the_answer_that_was_logged_after_it() {
    let world = World::new();
    let answer = |byte, seconds, text| said(None, Some(text), record(byte, 1, seconds, "assistant_response"));
    let turn = Span { kind: Kind::new(Kind::AGENT), ..span(1, 1, 0) };
    let rows = [turn, call(2, 1, 1), call(3, 1, 5), answer(21, 3, "first"), answer(22, 7, "second")];
    world.file(tenant(1), 1, &rows, &[]).await;
    let face = face(&world);
    assert_eq!(content(&world, &face, 2).await.1, json!("first"));
    assert_eq!(content(&world, &face, 3).await.1, json!("second"));
    assert_eq!(content(&world, &face, 1).await.1, json!("second"), "what came of the turn");
}

#[tokio::test]
async fn a_call_that_answered_without_text_has_no_answer_of_the_next_call() {
    let world = World::new();
    let mark = |byte, seconds| record(byte, 1, seconds, "claude_code.api_request");
    let turn = Span { kind: Kind::new(Kind::AGENT), ..span(1, 1, 0) };
    let answer = said(None, Some("done"), record(24, 1, 6, "claude_code.assistant_response"));
    let calls = [call(2, 1, 1), call(3, 1, 5)];
    let ends = calls.each_ref().map(|call| call.end.unwrap());
    // A mark is written some milliseconds before its span ends.
    let marks = [mark(21, 1), mark(22, 5)];
    let [first, second] = [0, 1].map(|one| Span { start: ends[one].minus(MILLISECOND * 3), ..marks[one].clone() });
    let [first_call, second_call] = calls;
    world.file(tenant(1), 1, &[turn, first_call, second_call, first, second, answer], &[]).await;
    let face = face(&world);
    assert_eq!(content(&world, &face, 2).await.1, Value::Null);
    assert_eq!(content(&world, &face, 3).await.1, json!("done"));
}

#[tokio::test]
async fn an_answer_that_has_its_own_span_is_not_the_roots() {
    let world = World::new();
    let of = |response: &str, span| Span { response_id: Some(response.into()), ..span };
    let answers = [
        of("r-1", said(None, Some("the call's"), record(21, 0, 2, "gen_ai.choice"))),
        of("r-2", said(None, Some("nobody's"), record(22, 0, 3, "gen_ai.choice"))),
    ];
    let [claimed, unclaimed] = answers;
    world.file(tenant(1), 1, &[span(1, 1, 0), of("r-1", call(2, 1, 1)), claimed.clone()], &[]).await;
    let face = face(&world);
    assert_eq!(content(&world, &face, 2).await.1, json!("the call's"));
    assert_eq!(content(&world, &face, 1).await.1, Value::Null);
    world.file(tenant(1), 2, &[unclaimed], &[]).await;
    assert_eq!(
        content(&world, &face, 1).await.1,
        json!("nobody's"),
        "one that no span claims says what came of the trace"
    );
}

#[tokio::test]
async fn records_without_a_trace_are_found_in_files_that_hold_nothing_of_it() {
    let world = World::new();
    let of = |response: &str, span| Span { response_id: Some(response.into()), ..span };
    let in_trace = |stray: TraceId, span: Span| Span { trace_id: stray, ..span };
    let root = Span { session_id: Some("s-1".into()), ..span(1, 1, 10) };
    world.file(tenant(1), 1, &[root, of("r-1", call(2, 1, 11))], &[]).await;
    let answer = of("r-1", said(None, Some("by id"), record(21, 0, 30, "gen_ai.choice")));
    let prompt = |byte, seconds, text| said(Some(text), None, record(byte, 0, seconds, "gemini_cli.user_prompt"));
    let of_session = |span| in_trace(Stray::Session.trace("s-1"), span);
    let strays = [
        in_trace(Stray::Response.trace("r-1"), answer),
        of_session(prompt(22, 5, "before")),
        of_session(prompt(23, 10, "during")),
        of_session(prompt(24, 20, "after")),
    ];
    world.file(tenant(1), 2, &strays, &[]).await;
    let face = face(&world);
    assert_eq!(content(&world, &face, 2).await.1, json!("by id"));
    assert_eq!(content(&world, &face, 1).await.0, json!("during"));
}

#[tokio::test]
async fn a_preview_is_what_was_asked_and_not_the_instructions() {
    let world = World::new();
    let records = [
        said(Some(SYSTEM), None, record(21, 2, 2, "gen_ai.system.message")),
        said(Some(USER), None, record(22, 2, 3, "gen_ai.user.message")),
    ];
    world.file(tenant(1), 1, &[span(1, 1, 0), call(2, 1, 1)], &[]).await;
    world.file(tenant(1), 2, &records, &[]).await;
    let row = face(&world).ok("/v1/traces").await["data"][0].clone();
    assert_eq!(row["input_preview"], json!(USER));
}

#[tokio::test]
async fn the_list_shows_what_was_logged_when_no_span_says_anything() {
    let world = World::new();
    let asked = said(Some("what is it?"), None, record(21, 2, 2, "user_prompt"));
    let answered = said(None, Some("this"), record(22, 2, 3, "assistant_response"));
    world.file(tenant(1), 1, &[span(1, 1, 0), call(2, 1, 1), asked, answered], &[]).await;
    let row = face(&world).ok("/v1/traces").await["data"][0].clone();
    assert_eq!((&row["input_preview"], &row["output_preview"]), (&json!("what is it?"), &json!("this")));
}
