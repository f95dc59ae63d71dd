//! What a trace says of its spans.

use axum::http::StatusCode;
use serde_json::{Value, json};
use spanlake_model::{Cost, Kind, Money, Receipt, Span, Status, Usage};

use crate::face::face;
use crate::world::{WRITER, World, at, fresh, id, span, tenant, trace};

fn child(trace_byte: u8, span_byte: u8, parent: u8, seconds: u64) -> Span {
    Span { parent_span_id: Some(id(parent)), ..span(trace_byte, span_byte, seconds) }
}

fn call(trace_byte: u8, span_byte: u8, parent: u8, seconds: u64, tokens: i64, dollars: f64) -> Span {
    let money = Money::from_dollars(dollars);
    Span {
        kind: Kind::new(Kind::LLM),
        model: Some("gpt-4o".into()),
        usage: Usage { input: Some(tokens), output: Some(1), total: Some(tokens + 1), ..Usage::default() },
        cost: Cost { total: money, ..Cost::default() },
        ..child(trace_byte, span_byte, parent, seconds)
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|row| &row["id"].as_str().unwrap()[..2]).collect()
}

#[tokio::test]
async fn a_trace_is_the_sum_of_its_spans_in_files_and_in_memory() {
    let world = World::new();
    let root = Span {
        kind: Kind::new(Kind::AGENT),
        name: "agent".into(),
        status: Status::Ok,
        user_id: Some("u".into()),
        tags: vec!["b".into()],
        // An agent repeats what its calls used.
        usage: Usage { total: Some(999), ..Usage::default() },
        metadata: r#"{"plan":"pro"}"#.into(),
        ..span(1, 1, 0)
    };
    let mut first = call(1, 2, 1, 1, 10, 0.25);
    (first.session_id, first.tags, first.input) = (Some("s".into()), vec!["a".into(), "b".into()], Some("hi".into()));
    let mut last = call(1, 3, 1, 3, 20, 0.5);
    (last.output, last.environment) = (Some("bye".into()), Some("prod".into()));
    world.file(tenant(1), 1, &[root, first], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &[last], &[])]);
    let face = face(&world);

    let mut row = json!({
        "id": trace(1).to_string(), "app_id": "01010101-0101-0101-0101-010101010101", "agent_id": null,
        "name": "agent", "status": "OK", "start": "2026-01-02T00:00:00Z", "end": "2026-01-02T00:00:04Z",
        "latency_ms": 4000.0, "cost": 0.75, "tokens": 32, "input_tokens": 30, "output_tokens": 2, "span_count": 3,
        "error_count": 0, "models": ["gpt-4o"], "session_id": "s", "user_id": "u", "environment": "prod",
        "tags": ["a", "b"], "input_preview": "hi", "output_preview": "bye", "scores": {},
    });
    assert_eq!(
        face.ok("/v1/traces").await,
        json!({"data": [row.clone()], "pagination": {"limit": 50, "next_cursor": null}})
    );

    let detail = face.ok(&format!("/v1/traces/{}", trace(1))).await;
    let mut head = detail["data"].clone();
    let spans = head.as_object_mut().unwrap().remove("spans").unwrap();
    assert_eq!(head.as_object_mut().unwrap().remove("metadata"), Some(json!({"plan": "pro"})));
    // A list has the mean of each name, a trace all its scores.
    row["scores"] = json!([]);
    assert_eq!(head, row);
    let tree: Vec<_> = spans.as_array().unwrap().iter().map(|span| (&span["name"], &span["parent_id"])).collect();
    let root_id = json!(id(1).to_string());
    assert_eq!(tree, [(&json!("agent"), &Value::Null), (&json!("span 2"), &root_id), (&json!("span 3"), &root_id),]);
    assert!(spans[1].get("input").is_none());
    let with_io = face.ok(&format!("/v1/traces/{}?fields=io", trace(1))).await;
    assert_eq!(with_io["data"]["spans"][1]["input"], json!("hi"));
    assert_eq!(with_io["data"]["spans"][1]["output"], Value::Null);
}

#[tokio::test]
async fn a_zero_below_an_agent_does_not_hide_what_the_agent_used() {
    let world = World::new();
    let used = Usage { input: Some(1_000), output: Some(200), ..Usage::default() };
    let agent = Span { kind: Kind::new(Kind::AGENT), usage: used, ..span(1, 1, 0) };
    let free = Cost { total: Money::from_dollars(0.0), ..Cost::default() };
    let framework = Span { cost: free, ..child(1, 2, 1, 1) };
    world.file(tenant(1), 1, &[agent, framework], &[]).await;
    let row = face(&world).ok("/v1/traces").await["data"][0].clone();
    assert_eq!((&row["input_tokens"], &row["output_tokens"]), (&json!(1_000), &json!(200)));
}

#[tokio::test]
async fn a_failed_span_fails_its_trace_and_a_running_one_has_no_end() {
    let world = World::new();
    let failed = Span { status: Status::Error, ..child(1, 2, 1, 1) };
    let running = Span { end: None, ..span(2, 1, 2) };
    world.file(tenant(1), 1, &[Span { status: Status::Ok, ..span(1, 1, 0) }, failed, running], &[]).await;
    let list = face(&world).ok("/v1/traces").await;
    assert_eq!(ids(&list), ["02", "01"]);
    assert_eq!((&list["data"][1]["status"], &list["data"][1]["error_count"]), (&json!("ERROR"), &json!(1)));
    assert_eq!((&list["data"][0]["end"], &list["data"][0]["latency_ms"]), (&Value::Null, &Value::Null));
    assert_eq!(list["data"][0]["tokens"], Value::Null);
}

#[tokio::test]
async fn a_trace_without_its_root_is_listed_and_takes_the_roots_name_when_it_comes() {
    let world = World::new();
    world.file(tenant(1), 1, &[child(1, 2, 1, 5), child(1, 3, 2, 6)], &[]).await;
    let row = |list: Value| (list["data"][0]["name"].clone(), list["data"][0]["start"].clone());
    assert_eq!(row(face(&world).ok("/v1/traces").await), (json!("span 2"), json!("2026-01-02T00:00:05Z")));
    // The root comes late, and began after its child: clocks differ.
    world.file(tenant(1), 2, &[Span { name: "root".into(), ..span(1, 1, 7) }], &[]).await;
    assert_eq!(row(face(&world).ok("/v1/traces").await), (json!("root"), json!("2026-01-02T00:00:05Z")));
    // A name for the whole trace beats the root's own, wherever it stands.
    world.file(tenant(1), 3, &[Span { trace_name: Some("given".into()), ..child(1, 4, 1, 8) }], &[]).await;
    assert_eq!(face(&world).ok("/v1/traces").await["data"][0]["name"], json!("given"));
}

#[tokio::test]
async fn spans_that_are_each_others_parents_are_shown_all_the_same() {
    let world = World::new();
    let reports = |span: Span| Span { usage: Usage { input: Some(5), ..Usage::default() }, ..span };
    let (one, two) = (reports(child(1, 1, 2, 0)), reports(child(1, 2, 1, 0)));
    world
        .file(tenant(1), 1, &[one, two, child(1, 3, 3, 1), child(1, 4, 99, 2), child(1, 5, 4, 3), span(1, 6, 4)], &[])
        .await;
    let face = face(&world);
    assert_eq!(face.ok("/v1/traces").await["data"][0]["span_count"], json!(6));
    let detail = face.ok(&format!("/v1/traces/{}", trace(1))).await;
    // One of the circle is above the other, and its usage repeats the other's.
    assert_eq!(detail["data"]["input_tokens"], json!(5));
    let spans = detail["data"]["spans"].as_array().unwrap();
    let mut found: Vec<_> = spans.iter().map(|span| span["parent_status"].as_str().unwrap()).collect();
    found[..2].sort_unstable();
    assert_eq!(found, ["circular", "present", "circular", "missing", "present", "none"]);
    // On any page the same.
    let second = face.ok(&format!("/v1/traces/{}?limit=5", trace(1))).await;
    assert_eq!(second["data"]["spans"][4], spans[4]);
}

#[tokio::test]
async fn each_filter_finds_the_traces_it_names() {
    let world = World::new();
    let agent = spanlake_model::AgentId::from_bytes([7; 16]);
    let mut deep = call(1, 2, 1, 1, 1, 0.1);
    deep.request_model = Some("gpt-latest".into());
    (deep.user_id, deep.session_id, deep.environment) = (Some("u".into()), Some("s".into()), Some("prod".into()));
    (deep.tags, deep.agent_id) = (vec!["x".into(), "y".into()], Some(agent));
    let failed = Span { status: Status::Error, name: "other".into(), ..span(2, 1, 2) };
    world.file(tenant(1), 1, &[span(1, 1, 0), deep, failed], &[]).await;
    let face = face(&world);
    for (filter, found) in [
        ("user_id=u", vec!["01"]),
        ("session_id=s", vec!["01"]),
        ("model=gpt-4o", vec!["01"]),
        ("model=gpt-latest", vec!["01"]),
        ("environment=prod&tag=y", vec!["01"]),
        ("environment=prod&tag=z", vec![]),
        ("name=other", vec!["02"]),
        ("status=ERROR", vec!["02"]),
        ("status=UNSET", vec!["01"]),
        ("agent_id=07070707-0707-0707-0707-070707070707", vec!["01"]),
        ("start_date=2026-01-02T00:00:02Z", vec!["02"]),
        ("end_date=2026-01-02T00:00:02Z", vec!["01"]),
    ] {
        let list = face.ok(&format!("/v1/traces?{filter}")).await;
        assert_eq!(ids(&list), found, "{filter}");
    }
}

#[tokio::test]
async fn a_trace_belongs_to_the_range_in_which_it_began_and_is_whole_there() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0), child(1, 2, 1, 100)], &[]).await;
    let face = face(&world);
    let before = face.ok("/v1/traces?end_date=2026-01-02T00:00:50Z").await;
    assert_eq!(before["data"][0]["span_count"], json!(2));
    assert_eq!(ids(&face.ok("/v1/traces?start_date=2026-01-02T00:00:50Z").await), [""; 0]);
}

#[tokio::test]
async fn an_unknown_trace_is_not_found_and_a_malformed_id_is_said_to_be_so() {
    let face = face(&World::new());
    for (path, status, code) in [
        (format!("/v1/traces/{}", trace(1)), StatusCode::NOT_FOUND, "not_found"),
        (format!("/v1/traces/{}/spans/{}", trace(1), id(1)), StatusCode::NOT_FOUND, "not_found"),
        ("/v1/traces/xyz".into(), StatusCode::BAD_REQUEST, "invalid_path_params"),
        (format!("/v1/traces/{}/spans/1", trace(1)), StatusCode::BAD_REQUEST, "invalid_path_params"),
        ("/v1/traces?colour=red".into(), StatusCode::BAD_REQUEST, "invalid_query_params"),
        ("/v1/traces?limit=1001".into(), StatusCode::BAD_REQUEST, "invalid_query_params"),
        ("/v1/traces?limit=0".into(), StatusCode::BAD_REQUEST, "invalid_query_params"),
        ("/v1/traces?status=BAD".into(), StatusCode::BAD_REQUEST, "invalid_query_params"),
        ("/v1/traces?after=nonsense".into(), StatusCode::BAD_REQUEST, "invalid_query_params"),
        ("/v1/traces?start_date=2020-01-01".into(), StatusCode::BAD_REQUEST, "invalid_query_params"),
        (format!("/v1/traces/{}?fields=all", trace(1)), StatusCode::BAD_REQUEST, "invalid_query_params"),
    ] {
        let (found, body) = face.get(&path).await;
        assert_eq!((found, &body["error"]["code"]), (status, &json!(code)), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_receipt_reaches_the_writer_on_every_route() {
    let world = World::new();
    world.writer(0, vec![fresh(tenant(1), &[span(1, 1, 0)], &[])]);
    let face = face(&world);
    let receipt = Receipt { writer: WRITER, sequence: 7 };
    for path in [
        "traces".into(),
        "spans".into(),
        format!("traces/{}", trace(1)),
        format!("traces/{}/spans/{}", trace(1), id(1)),
    ] {
        face.ok(&format!("/v1/{path}?after={receipt}")).await;
        assert_eq!(world.asked.lock().unwrap().pop().unwrap().reach_sequence, 7, "{path}");
    }
    assert_eq!(at(0), crate::world::MIDNIGHT);
}

#[tokio::test]
async fn traces_of_one_name_are_sorted_by_it_whatever_else_is_asked() {
    let world = World::new();
    let of = |trace_byte: u8, name: &str| Span {
        name: name.into(),
        user_id: Some("u".into()),
        ..span(trace_byte, 1, trace_byte.into())
    };
    world.file(tenant(1), 1, &[of(1, "same"), of(2, "other")], &[]).await;
    world.file(tenant(1), 2, &[of(3, "same")], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &[of(4, "same")], &[])]);
    let face = face(&world);
    for (order, wanted) in [("asc", ["01", "03", "04"]), ("desc", ["04", "03", "01"])] {
        for asked in ["name=same&user_id=u", "user_id=u&filter=name%20%3D%20'same'"] {
            let list = face.ok(&format!("/v1/traces?sort_by=name&sort_order={order}&{asked}")).await;
            assert_eq!(ids(&list), wanted, "{order} {asked}");
        }
    }
}
