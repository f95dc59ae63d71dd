//! Sessions: whole, each trace in one, in pages that lose none.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use serde_json::{Value, json};
use spanlake_model::{Cost, Kind, Money, Receipt, Score, Span, Status, Timestamp, Usage};
use spanlake_testkit::Dice;

use crate::face::{Face, face};
use crate::pages::{score, walk};
use crate::stories::{by_trace, counted, near, of_trace, spans, sums, world_of};
use crate::world::{WRITER, World, fresh, id, span, tenant, trace};

fn of_session(name: &str, span: Span) -> Span {
    Span { session_id: Some(name.into()), ..span }
}

fn child(trace_byte: u8, span_byte: u8, seconds: u64) -> Span {
    Span { parent_span_id: Some(id(1)), ..span(trace_byte, span_byte, seconds) }
}

fn call(tokens: i64, span: Span) -> Span {
    Span {
        kind: Kind::new(Kind::LLM),
        model: Some("m".into()),
        usage: Usage { input: Some(tokens), output: Some(1), total: Some(tokens + 1), ..Usage::default() },
        cost: Cost { total: Money::from_dollars(0.5), ..Cost::default() },
        ..span
    }
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_session_is_the_sum_of_its_traces_in_files_and_in_memory() {
    let world = World::new();
    let first = Span { user_id: Some("u".into()), session_name: Some("old".into()), ..of_session("s", span(1, 1, 0)) };
    let last = Span { session_name: Some("new".into()), tags: vec!["t".into()], ..of_session("s", span(2, 1, 60)) };
    let failed = Span { status: Status::Error, ..call(20, child(2, 2, 61)) };
    world.file(tenant(1), 1, &[first, call(10, child(1, 2, 1)), span(3, 1, 5)], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &[last, failed], &[])]);
    let face = face(&world);
    let row = json!({
        "id": "s", "name": "new", "start": "2026-01-02T00:00:00Z", "end": "2026-01-02T00:01:02Z", "latency_ms": 62_000.0,
        "trace_count": 2, "span_count": 4, "error_count": 1, "total_cost": 1.0, "total_tokens": 32, "input_tokens": 30,
        "output_tokens": 2, "user_ids": ["u"], "models": ["m"], "environments": [], "tags": ["t"],
    });
    assert_eq!(face.ok("/v1/sessions").await, json!({"data": [row], "pagination": {"limit": 50, "next_cursor": null}}));
    let mut detail = face.ok("/v1/sessions/s?limit=1").await;
    let traces = detail["data"].as_object_mut().unwrap().remove("traces").unwrap();
    assert_eq!(detail["data"], row);
    assert_eq!(traces[0], face.ok("/v1/traces?session_id=s").await["data"][1]);
    let seen = walk(&face, "/v1/sessions/s?", |page| ids(&json!({"data": page["data"]["traces"]}))).await;
    assert_eq!(seen, [1, 2].map(|byte| trace(byte).to_string()));
}

#[tokio::test]
async fn a_call_that_two_traces_of_a_session_report_is_one() {
    let world = World::new();
    let reported = |trace| Span { response_id: Some("r".into()), ..call(10, of_session("s", span(trace, 1, 0))) };
    world.file(tenant(1), 1, &[reported(1), reported(2)], &[]).await;
    assert_eq!(face(&world).ok("/v1/sessions/s").await["data"]["input_tokens"], json!(10));
}

#[tokio::test]
async fn a_session_that_reaches_out_of_the_range_is_listed_and_whole() {
    let world = World::new();
    let day = 86_400;
    let early = Span { start: Timestamp::from_secs(1_767_312_000 - 20 * day), ..of_session("long", span(1, 1, 0)) };
    let early = Span { end: Some(early.start), ..call(10, early) };
    world.file(tenant(1), 1, std::slice::from_ref(&early), &[]).await;
    world
        .file(tenant(1), 2, &[call(5, of_session("long", span(2, 1, 0))), of_session("other", span(3, 1, 9))], &[])
        .await;
    let face = face(&world);
    let page = face.ok("/v1/sessions?start_date=2026-01-01&end_date=2026-01-02T00:00:05Z").await;
    assert_eq!(ids(&page), ["long"]);
    assert_eq!((&page["data"][0]["trace_count"], &page["data"][0]["input_tokens"]), (&json!(2), &json!(15)));
    assert_eq!(ids(&face.ok("/v1/sessions?start_date=2025-12-20&end_date=2025-12-30").await), [""; 0]);
}

#[tokio::test]
async fn each_filter_finds_the_sessions_it_names() {
    let world = World::new();
    let agent = spanlake_model::AgentId::from_bytes([7; 16]);
    let mut deep = call(1, child(1, 2, 1));
    (deep.user_id, deep.environment, deep.tags) = (Some("u".into()), Some("prod".into()), vec!["x".into()]);
    deep.agent_id = Some(agent);
    world.file(tenant(1), 1, &[of_session("a", span(1, 1, 0)), deep, of_session("b", span(2, 1, 2))], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &[Span { input: Some("Guten Tag".into()), ..child(2, 3, 2) }], &[])]);
    world.scores.lock().unwrap().push(liked(2));
    let face = face(&world);
    for (filter, found) in [
        ("", vec!["b", "a"]),
        ("user_id=u&environment=prod", vec!["a"]),
        ("tag=x", vec!["a"]),
        ("tag=y", vec![]),
        ("tag=y&tag=x", vec!["a"]),
        ("filter=user_id%20%3D%20u%20and%20environment%20exists", vec!["a"]),
        // No span of it has.
        ("filter=tags%20!%3D%20x", vec!["b"]),
        // Its own, of all its spans together.
        ("filter=latency_ms%20%3E%3D%202000", vec!["a"]),
        ("filter=total_tokens%20%3E%201", vec!["a"]),
        ("filter=cost%20does%20not%20exist", vec!["b"]),
        ("filter=score__quality%20%3E%200.5", vec!["b"]),
        ("search=guten", vec!["b"]),
        ("filter=score__quality%20%3E%200.5&search=nothing", vec![]),
        ("model=m", vec!["a"]),
        ("agent_id=07070707-0707-0707-0707-070707070707", vec!["a"]),
        ("start_date=2026-01-02T00:00:01Z", vec!["b"]),
    ] {
        assert_eq!(ids(&face.ok(&format!("/v1/sessions?{filter}")).await), found, "{filter}");
    }
    let body = json!({"filter": [{"field": "cost", "operator": "gt", "value": 0.1}], "sort_by": "cost"});
    assert_eq!(ids(&face.post("/v1/sessions/search", &body).await.1), ["a"]);
    let (status, answer) = face.get("/v1/sessions?filter=colour%20%3D%20blue").await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_filter")));
}

fn liked(trace_byte: u8) -> Score {
    Score { trace_id: Some(trace(trace_byte)), value: Some(0.9), ..score("liked") }
}

#[tokio::test]
async fn a_session_is_found_by_its_own_scores_as_by_those_of_its_spans() {
    let world = World::new();
    let sessions = [("a", 1), ("b", 2), ("c", 3), ("d", 4)];
    let spans: Vec<_> =
        sessions.iter().map(|(name, byte)| of_session(name, span(*byte, 1, u64::from(*byte)))).collect();
    world.file(tenant(1), 1, &spans, &[]).await;
    world.writer(0, vec![fresh(tenant(1), &[], &[])]);
    let of = |name: &str, value: f64| Score {
        session_id: Some(name.into()),
        trace_id: None,
        span_id: None,
        name: "quality".into(),
        value: Some(value),
        ..score(&format!("{name} {value}"))
    };
    let of_trace = Score { trace_id: Some(trace(2)), session_id: None, ..of("trace", 0.9) };
    world.scores.lock().unwrap().extend([of("a", 0.95), of("c", 0.2), of("c", 0.4), of_trace]);
    let face = face(&world);
    for (filter, expected) in [
        ("score__quality > 0.8", vec!["b", "a"]),
        ("score__quality < 0.5", vec!["c"]),
        ("score__quality exists", vec!["c", "b", "a"]),
        ("score__quality does not exist", vec!["d"]),
        ("any_score > 0.92", vec!["a"]),
    ] {
        for sort in ["start_time", "latency"] {
            let (status, body) = face
                .get(&format!(
                    "/v1/sessions?sort_by={sort}&filter={}",
                    filter.replace(' ', "%20").replace('>', "%3E").replace('<', "%3C")
                ))
                .await;
            assert_eq!(status, StatusCode::OK, "{filter}: {body}");
            assert_eq!(ids(&body), expected, "{filter} by {sort}");
        }
    }
}

#[tokio::test]
async fn more_sessions_than_are_looked_up_by_id_are_listed_all_the_same() {
    let world = World::new();
    let spans: Vec<_> = (0..1_100_u32)
        .map(|number| {
            let mut bytes = [7; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            let trace_id = spanlake_model::TraceId::from_bytes(bytes).unwrap();
            Span { trace_id, ..of_session(&format!("s{number}"), call(1, span(1, 1, u64::from(number % 3)))) }
        })
        .collect();
    world.file(tenant(1), 1, &spans[..600], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &spans[600..], &[])]);
    let face = face(&world);
    let mut seen = ids(&face.ok("/v1/sessions?limit=1000").await);
    assert_eq!(seen.len(), 1_000);
    let cursor = face.ok("/v1/sessions?limit=1000").await["pagination"]["next_cursor"].clone();
    let last = face.ok(&format!("/v1/sessions?limit=1000&cursor={}", cursor.as_str().unwrap())).await;
    seen.extend(ids(&last));
    assert_eq!((seen.len(), BTreeSet::from_iter(&seen).len()), (1_100, 1_100));
    assert_eq!((&last["data"][0]["trace_count"], &last["data"][0]["input_tokens"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_makes_no_sense_is_refused() {
    let world = World::new();
    world.file(tenant(2), 1, &[of_session("theirs", span(1, 1, 0))], &[]).await;
    let face = face(&World::new());
    for (path, status) in [
        ("/v1/sessions/theirs", StatusCode::NOT_FOUND),
        ("/v1/sessions/a%2Fb?sort_order=desc", StatusCode::NOT_FOUND),
        ("/v1/sessions?sort_by=name", StatusCode::BAD_REQUEST),
        ("/v1/sessions?colour=red", StatusCode::BAD_REQUEST),
        ("/v1/sessions?limit=0", StatusCode::BAD_REQUEST),
        ("/v1/sessions?cursor=AAAA", StatusCode::BAD_REQUEST),
        ("/v1/sessions/a?sort_order=up", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(face.get(path).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn a_receipt_reaches_the_writer() {
    let world = World::new();
    world.writer(0, vec![fresh(tenant(1), &[of_session("s", span(1, 1, 0))], &[])]);
    let face = face(&world);
    for path in ["sessions", "sessions/s"] {
        face.ok(&format!("/v1/{path}?after={}", Receipt { writer: WRITER, sequence: 7 })).await;
        assert_eq!(world.asked.lock().unwrap().pop().unwrap().reach_sequence, 7, "{path}");
    }
}

/// A session as the oracle sees it.
#[derive(Debug, Default)]
struct Whole {
    spans: Vec<Span>,
    traces: BTreeSet<String>,
}

fn expected(all: &[Span]) -> BTreeMap<String, Whole> {
    let mut sessions: BTreeMap<String, Whole> = BTreeMap::new();
    for (trace, spans) in by_trace(all) {
        let Some(name) = of_trace(&spans, |span| span.session_id.clone()) else { continue };
        let session = sessions.entry(name).or_default();
        session.traces.insert(trace.to_string());
        session.spans.extend(spans.into_iter().cloned());
    }
    sessions
}

fn check(row: &Value, whole: &Whole) {
    let start = whole.spans.iter().map(|span| span.start).min().unwrap();
    let end = whole.spans.iter().filter_map(|span| span.end).max();
    let texts = |value: &dyn Fn(&Span) -> Vec<String>| {
        whole.spans.iter().flat_map(value).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let sums = sums(counted(&whole.spans, |_, _| true).into_iter());
    let failed = whole.spans.iter().filter(|span| span.status == Status::Error).count();
    assert_eq!(row["start"], json!(start.to_string()), "{row}");
    assert_eq!(row["end"], json!(end.map(|end| end.to_string())));
    assert_eq!(row["trace_count"], json!(whole.traces.len()));
    assert_eq!(row["span_count"], json!(whole.spans.len()));
    assert_eq!(row["error_count"], json!(failed));
    for (field, place) in [("input_tokens", 0), ("output_tokens", 1), ("total_tokens", 2)] {
        assert_eq!(row[field].as_i64().map(i128::from), sums.numbers[place], "{field} of {row}");
    }
    assert!(near(&row["total_cost"], sums.numbers[6].map(|pico| pico as f64 / 1e12)), "{row}: {sums:?}");
    assert_eq!(row["user_ids"], json!(texts(&|span| span.user_id.clone().into_iter().collect())));
    assert_eq!(row["models"], json!(texts(&|span| span.model.clone().into_iter().collect())));
    assert_eq!(row["tags"], json!(texts(&|span| span.tags.clone())));
}

const SORTS: [&str; 6] = ["start_time", "end_time", "latency", "cost", "tokens", "trace_count"];

async fn check_all(face: &Face, sort: &str, all: &[Span]) {
    let sessions = expected(all);
    let down = walk(face, &format!("/v1/sessions?sort_by={sort}&"), ids).await;
    let mut up = walk(face, &format!("/v1/sessions?sort_order=asc&sort_by={sort}&"), ids).await;
    up.reverse();
    assert_eq!(down, up, "{sort}");
    assert_eq!(BTreeSet::from_iter(&down), sessions.keys().collect(), "{sort}");
    let page = face.ok(&format!("/v1/sessions?sort_by={sort}")).await;
    assert_eq!(ids(&page), down);
    for row in page["data"].as_array().unwrap() {
        check(row, &sessions[row["id"].as_str().unwrap()]);
    }
    let path = format!("/v1/sessions/{}?limit=1000", down[0].replace('/', "%2F").replace('δ', "%CE%B4"));
    let detail = face.ok(&path).await;
    let seen = ids(&json!({"data": detail["data"]["traces"]}));
    assert_eq!(seen.len(), sessions[&down[0]].traces.len());
    assert_eq!(BTreeSet::from_iter(seen), sessions[&down[0]].traces);
}

#[tokio::test]
async fn sessions_of_random_spans_are_what_the_plainest_code_says() {
    for (seed, sort) in SORTS.into_iter().enumerate() {
        let dice = Dice::new(seed as u64);
        let all = spans(&dice);
        assert!(!expected(&all).is_empty(), "seed {seed} is no test");
        eprintln!("seed {seed}");
        check_all(&face(&world_of(&dice, &all).await), sort, &all).await;
    }
}
