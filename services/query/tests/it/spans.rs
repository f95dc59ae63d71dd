//! Single spans.

use serde_json::{Value, json};
use spanlake_model::{Event, Kind, Link, Span, Status, Timestamp, Usage};

use crate::face::face;
use crate::pages::walk;
use crate::world::{World, at, fresh, id, span, tenant, trace};

#[tokio::test]
async fn a_span_is_shown_whole() {
    let world = World::new();
    let start = Timestamp::from_nanos(at(0).as_nanos() + 1_234_567);
    let full = Span {
        parent_span_id: Some(id(9)),
        kind: Kind::new(Kind::LLM),
        status: Status::Error,
        status_message: Some("429".into()),
        start,
        end: Some(Timestamp::from_nanos(start.as_nanos() + 1_500_000)),
        time_to_first_token_ns: Some(250_000),
        model: Some("gpt-4o".into()),
        usage: Usage { input: Some(3), cache_read: Some(1), ..Usage::default() },
        metadata: r#"{"plan":"pro"}"#.into(),
        attributes: r#"{"gen_ai.request.model":"gpt-4o"}"#.into(),
        events: vec![Event { name: "e".into(), time: at(1), attributes: r#"{"x":1}"#.into() }],
        links: vec![Link { trace_id: trace(5), span_id: id(5), attributes: "{}".into() }],
        input: Some(r#"[{"role":"user","content":"hi"}]"#.into()),
        output: Some("plain text".into()),
        ..span(1, 1, 0)
    };
    world.file(tenant(1), 1, &[full], &[]).await;
    let body = face(&world).ok(&format!("/v1/traces/{}/spans/{}", trace(1), id(1))).await;
    assert_eq!(
        body["data"],
        json!({
            "id": id(1).to_string(), "trace_id": trace(1).to_string(), "parent_id": id(9).to_string(), "name": "span 1",
            "kind": "llm", "operation": null, "type": "GENERATION", "status": "ERROR", "status_message": "429",
            "level": null, "start": "2026-01-02T00:00:00.001234567Z", "end": "2026-01-02T00:00:00.002734567Z", "latency_ms": 1.5,
            "time_to_first_token_ms": 0.25, "tokens_per_second": null, "provider": null, "model": "gpt-4o",
            "request_model": null, "input_tokens": 3,
            "output_tokens": null, "total_tokens": null, "cached_input_tokens": 1, "cache_write_tokens": null,
            "reasoning_tokens": null, "usage_details": null, "cost": null, "input_cost": 0.00000625, "output_cost": null,
            "cost_source": "standard", "finish_reason": null, "model_parameters": null, "tool_name": null,
            "agent_name": null, "session_id": null, "session_name": null, "user_id": null, "agent_id": null, "app_id": "01010101-0101-0101-0101-010101010101",
            "environment": null, "release": null, "version": null, "tags": [], "metadata": {"plan": "pro"}, "prompt_name": null,
            "prompt_version": null, "attributes": {"gen_ai.request.model": "gpt-4o"},
            "events": [{"name": "e", "time": "2026-01-02T00:00:01Z", "attributes": {"x": 1}}],
            "links": [{"trace_id": trace(5).to_string(), "span_id": id(5).to_string(), "attributes": {}}],
            "input": [{"role": "user", "content": "hi"}], "output": "plain text",
            "input_messages": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}], "output_messages": null,
            "scores": [],
        })
    );
}

#[tokio::test]
async fn the_span_list_is_filtered_and_leaves_input_and_output_out() {
    let world = World::new();
    let llm = Span { kind: Kind::new(Kind::LLM), input: Some("secret".into()), ..span(1, 2, 1) };
    let event = Span { kind: Kind::new(Kind::EVENT), tags: vec!["x".into()], ..span(2, 3, 2) };
    world.file(tenant(1), 1, &[span(1, 1, 0), llm, event], &[]).await;
    let face = face(&world);
    for (filter, found) in [
        ("", vec!["span 3", "span 2", "span 1"]),
        ("sort_order=asc", vec!["span 1", "span 2", "span 3"]),
        ("type=GENERATION", vec!["span 2"]),
        ("type=SPAN", vec!["span 1"]),
        ("type=EVENT", vec!["span 3"]),
        ("kind=llm", vec!["span 2"]),
        ("name=span%201", vec!["span 1"]),
        ("tag=x", vec!["span 3"]),
        (&format!("trace_id={}", trace(1)), vec!["span 2", "span 1"]),
    ] {
        let list = face.ok(&format!("/v1/spans?{filter}")).await;
        let names: Vec<_> = list["data"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(names, found, "{filter}");
        assert!(!list.to_string().contains("secret"));
    }
    let (_, refused) = face.get("/v1/spans?type=LLM").await;
    assert_eq!(refused["error"]["details"]["type"], json!("'LLM' is not one of GENERATION, SPAN, EVENT"));
    assert_ne!(refused, Value::Null);
}

/// Six files, an hour each, of a span a minute, some of which say the word; and one in memory. As the list has them, newest first.
async fn with_a_rare_word(world: &World) -> Vec<String> {
    let says = |number: u64| [3, 64, 65, 170, 290, 355].contains(&number);
    let one = |number: u64| {
        let (trace_byte, span_byte) = (1 + (number / 5) as u8, 1 + (number % 250) as u8);
        let text = if says(number) { "a Needle in it" } else { "nothing" };
        Span { input: Some(text.into()), ..span(trace_byte, span_byte, number * 60) }
    };
    for hour in 0..6 {
        let spans: Vec<_> = (hour * 60..(hour + 1) * 60).map(one).collect();
        world.file(tenant(1), 1 + hour, &spans, &[]).await;
    }
    let last = Span { output: Some("NEEDLE".into()), ..span(100, 9, 359 * 60 + 30) };
    world.writer(0, vec![fresh(tenant(1), std::slice::from_ref(&last), &[])]);
    // So many that a part of the range is a small part of a file.
    world.claim(1_000_000);
    let found = (0..360).filter(|number| says(*number)).map(one).chain([last]);
    let mut found: Vec<_> = found.map(|span| span.span_id.to_string()).collect();
    found.reverse();
    found
}

#[tokio::test]
async fn a_rare_word_is_found_wherever_it_stands_and_again_by_what_is_remembered() {
    let world = World::new();
    let newest_first = with_a_rare_word(&world).await;
    let face = face(&world);
    let ids = |page: &Value| {
        page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        assert_eq!(walk(&face, "/v1/spans?search=needle&", ids).await, newest_first);
        let mut oldest_first = walk(&face, "/v1/spans?search=needle&sort_order=asc&", ids).await;
        oldest_first.reverse();
        assert_eq!(oldest_first, newest_first);
        let some = "/v1/spans?search=needle&start_date=2026-01-02T01:04:30Z&end_date=2026-01-02T05:00:00Z";
        assert_eq!(ids(&face.ok(some).await), newest_first[2..5]);
    }
    assert!(ids(&face.ok("/v1/spans?search=haystack").await).is_empty());
}
