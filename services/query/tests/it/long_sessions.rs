//! Sessions that go on for days, in parts of which each page reads as few as it can; and traces whose spans do not agree whose they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::Value;
use spanlake_engine::Config as EngineConfig;
use spanlake_model::{Cost, Kind, Money, Score, Span, SpanId, Timestamp, TraceId, Usage};
use spanlake_testkit::Dice;

use crate::face::{Face, face, face_over};
use crate::pages::score;
use crate::stories::{by_trace, counted, of_trace, sums};
use crate::world::{World, at, fresh, span, tenant};

const HOUR: i64 = 3_600_000_000_000;

fn trace_id(number: usize) -> TraceId {
    TraceId::from_bytes((number as u128 + 1).to_be_bytes()).unwrap()
}

fn span_id(number: usize) -> SpanId {
    SpanId::from_bytes((number as u64 + 1).to_be_bytes()).unwrap()
}

/// Traces of up to six spans over the three days before midnight. Some have no session, some two; roots come late and name nothing.
fn story(dice: &Dice) -> Vec<Span> {
    let session = || (!dice.chance(10)).then(|| format!("s{}", dice.below(14)));
    let mut spans = Vec::new();
    for number in 0..60 {
        let (own, other) = (session(), session());
        let first = at(0).as_nanos() - i64::try_from(dice.below(72)).unwrap() * HOUR;
        for place in 0..=dice.below(6) {
            let start = Timestamp::from_nanos(first + i64::try_from(dice.below(4)).unwrap() * HOUR / 60);
            let is_call = dice.chance(40);
            let named = if dice.chance(85) { &own } else { &other };
            let tokens = i64::try_from(dice.below(1 << 20)).unwrap();
            spans.push(Span {
                trace_id: trace_id(number),
                span_id: span_id(number * 8 + place),
                // The first one's is missing.
                parent_span_id: dice
                    .chance(60)
                    .then(|| span_id(number * 8 + if place > 0 { dice.below(place) } else { 7 })),
                start,
                end: dice.chance(80).then(|| start.plus(std::time::Duration::from_secs(dice.below(90) as u64))),
                kind: Kind::new(if is_call { Kind::LLM } else { Kind::CHAIN }),
                session_id: named.clone().filter(|_| dice.chance(50)),
                user_id: dice.chance(8).then(|| "ada".to_owned()),
                usage: if is_call { Usage { total: Some(tokens), ..Usage::default() } } else { Usage::default() },
                cost: Cost {
                    total: is_call
                        .then(|| Money::from_pico(i128::from(tokens) % 7 * 1_000))
                        .filter(|_| dice.chance(80)),
                    ..Cost::default()
                },
                ..span(1, 1, 0)
            });
        }
    }
    spans
}

async fn world_of(dice: &Dice, spans: &[Span]) -> Arc<World> {
    let world = World::new();
    let mut parts = vec![Vec::new(); 7];
    let (first, is_by_time) = (at(0).as_nanos() - 72 * HOUR, dice.chance(50));
    for span in spans {
        let by_time = usize::try_from((span.start.as_nanos() - first) / (11 * HOUR)).unwrap().min(6);
        parts[if is_by_time { by_time } else { dice.below(7) }].push(span.clone());
    }
    for (version, part) in parts.iter().enumerate().take(6) {
        world.file(tenant(1), 1 + version as u64, part, &[]).await;
    }
    world.writer(0, vec![fresh(tenant(1), &parts[6], &[])]);
    world
}

/// By id, all spans of all traces of a session that a span in this range names.
fn listed(all: &[Span], first: i64, end: i64) -> BTreeMap<String, Vec<Span>> {
    let mut sessions: BTreeMap<String, (bool, Vec<Span>)> = BTreeMap::new();
    for (_, spans) in by_trace(all) {
        let Some(name) = of_trace(&spans, |span| span.session_id.clone()) else { continue };
        let in_range = |span: &&Span| (first..end).contains(&span.start.as_nanos());
        let names_it = |span: &&Span| span.session_id.as_ref() == Some(&name) && in_range(span);
        let is_listed = spans.iter().any(names_it);
        let session = sessions.entry(name).or_default();
        session.0 |= is_listed;
        session.1.extend(spans.into_iter().cloned());
    }
    sessions.into_iter().filter(|(_, (is_listed, _))| *is_listed).map(|(id, (_, spans))| (id, spans)).collect()
}

fn key(sort: &str, spans: &[Span]) -> Option<i128> {
    let start = spans.iter().map(|span| span.start.as_nanos()).min().map(i128::from);
    let end = spans.iter().filter_map(|span| span.end).map(|end| i128::from(end.as_nanos())).max();
    let traces: BTreeSet<_> = spans.iter().map(|span| span.trace_id).collect();
    match sort {
        "start_time" => start,
        "end_time" => end,
        "latency" => Some(end? - start?),
        "trace_count" => Some(traces.len() as i128),
        "cost" => sums(counted(spans, |_, _| true).into_iter()).numbers[6],
        "tokens" => sums(counted(spans, |_, _| true).into_iter()).numbers[2],
        other => unreachable!("{other}"),
    }
}

/// Newest, longest, most first.
fn ordered(sort: &str, sessions: &BTreeMap<String, Vec<Span>>) -> Vec<String> {
    let mut ids: Vec<_> = sessions.iter().map(|(id, spans)| (key(sort, spans), id.clone())).collect();
    ids.sort_by(|one, other| other.cmp(one));
    ids.into_iter().map(|(_, id)| id).collect()
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// All ids, page by page.
async fn walk(face: &Face, path: &str) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = face.ok(&format!("{path}{cursor}")).await;
        seen.extend(ids(&page));
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

async fn check(face: &Face, sort: &str, query: &str, sessions: &BTreeMap<String, Vec<Span>>) {
    let mut expected = ordered(sort, sessions);
    if expected.is_empty() {
        assert_eq!(ids(&face.ok(&format!("/v1/sessions?{query}")).await), [""; 0]);
        return;
    }
    for order in ["desc", "asc"] {
        let path = format!("/v1/sessions?sort_by={sort}&sort_order={order}&{query}limit=4");
        assert_eq!(walk(face, &path).await, expected, "{path}");
        expected.reverse();
    }
}

const SORTS: [&str; 6] = ["start_time", "end_time", "latency", "cost", "tokens", "trace_count"];

#[tokio::test]
async fn every_order_of_sessions_that_go_on_for_days_is_the_one_of_the_plainest_code() {
    for seed in 0..2 {
        let dice = Dice::new(seed);
        let all = story(&dice);
        let face = face(&world_of(&dice, &all).await);
        let sessions = listed(&all, i64::MIN, i64::MAX);
        assert!(sessions.len() > 8, "seed {seed} is no test");
        for sort in SORTS {
            check(&face, sort, "", &sessions).await;
        }
    }
}

#[tokio::test]
async fn a_range_lists_the_sessions_that_it_names_with_all_that_lies_outside() {
    for seed in 10..12 {
        let dice = Dice::new(seed);
        let all = story(&dice);
        let face = face(&world_of(&dice, &all).await);
        for (from, to) in [("2025-12-31T00:00:00Z", "2026-01-01T06:00:00Z"), ("2026-01-01T12:00:00Z", "2026-01-02")] {
            let [first, end] = [from, to].map(|at| {
                let at = if at.len() == 10 { format!("{at}T00:00:00Z") } else { at.to_owned() };
                Timestamp::parse(&at).unwrap().as_nanos()
            });
            for sort in ["start_time", "tokens"] {
                check(&face, sort, &format!("start_date={from}&end_date={to}&"), &listed(&all, first, end)).await;
            }
        }
    }
}

#[tokio::test]
async fn filters_find_the_sessions_of_a_long_story_in_every_order() {
    for seed in 20..22 {
        let dice = Dice::new(seed);
        let all = story(&dice);
        let face = face(&world_of(&dice, &all).await);
        let is_adas = |spans: &[Span]| spans.iter().any(|span| span.user_id.is_some());
        let tokens = |spans: &[Span]| key("tokens", spans).is_some_and(|tokens| tokens > 2_000_000);
        type Fits<'a> = &'a dyn Fn(&[Span]) -> bool;
        let cases: [(&str, Fits<'_>); 4] = [
            ("user_id=ada&", &is_adas),
            ("filter=user_id%20!%3D%20ada&", &|spans| !is_adas(spans)),
            ("filter=total_tokens%20%3E%202000000&", &tokens),
            ("user_id=ada&filter=total_tokens%20%3E%202000000&", &|spans| is_adas(spans) && tokens(spans)),
        ];
        for (query, fits) in cases {
            let mut sessions = listed(&all, i64::MIN, i64::MAX);
            sessions.retain(|_, spans| fits(spans));
            for sort in ["start_time", "cost"] {
                check(&face, sort, query, &sessions).await;
            }
        }
    }
}

/// A session with a trace of a hundred spans, an hour after the one before.
fn one_after_another(number: usize) -> Vec<Span> {
    let spans = (0..100).map(|place| Span {
        trace_id: trace_id(number),
        span_id: span_id(number * 100 + place),
        session_id: Some(format!("s{number:02}")),
        start: Timestamp::from_nanos(at(0).as_nanos() + i64::try_from(number).unwrap() * HOUR),
        ..span(1, 1, 0)
    });
    spans.collect()
}

#[tokio::test]
async fn a_page_and_a_session_open_the_files_that_they_need_and_no_other() {
    let world = World::new();
    for hour in 0..10 {
        world.file(tenant(1), hour as u64 + 1, &one_after_another(hour), &[]).await;
    }
    let face = face(&world);
    // Which files hold which traces and sessions is known from here on.
    assert_eq!(ids(&face.ok("/v1/sessions").await).len(), 10);
    for lost in [0, 1, 2, 4] {
        world.lose_file(lost).await;
    }
    assert_eq!(ids(&face.ok("/v1/sessions?limit=1").await), ["s09"]);
    assert_eq!(face.ok("/v1/sessions/s03").await["data"]["span_count"], 100);
    assert_eq!(ids(&face.ok("/v1/sessions?sort_by=latency&start_date=2026-01-02T08:30:00Z").await), ["s09"]);
    for path in ["/v1/sessions", "/v1/sessions/s04", "/v1/sessions?sort_by=latency"] {
        let (status, _) = face.get(path).await;
        assert!(status.is_server_error(), "{path} needs what is lost: {status}");
    }
}

/// Spans that are in no file yet.
fn in_memory(spans: &[Span], config: EngineConfig) -> Face {
    let world = World::new();
    world.writer(0, vec![fresh(tenant(1), spans, &[])]);
    face_over(world.engine(config), &world)
}

#[tokio::test]
async fn the_memory_of_a_page_does_not_grow_with_the_range() {
    let spans: Vec<_> = (0..60_000)
        .map(|number| Span {
            trace_id: trace_id(number),
            span_id: span_id(number),
            session_id: Some(format!("session {}", number / 4)),
            start: at(0).plus(std::time::Duration::from_millis(250 * number as u64)),
            ..span(1, 1, 0)
        })
        .collect();
    let config = EngineConfig { query_memory_bytes: 4 << 20, ..EngineConfig::default() };
    let face = in_memory(&spans, config);
    for (order, last) in [("desc", "session 14999"), ("asc", "session 0")] {
        assert_eq!(ids(&face.ok(&format!("/v1/sessions?limit=1&sort_order={order}")).await), [last]);
    }
    let (status, refused) = face.get("/v1/sessions?sort_by=latency").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "of all sessions something is held: {refused}");
}

#[tokio::test]
async fn sessions_that_all_began_long_ago_are_listed_by_one_look_at_all_of_them() {
    let spans: Vec<_> = (0..4_500)
        .flat_map(|number: usize| {
            [0, 100_000].map(|later| Span {
                trace_id: trace_id(number * 2 + later / 100_000),
                span_id: span_id(number),
                session_id: Some(format!("s{number:04}")),
                start: at(0).minus(std::time::Duration::from_secs(200_000 - (number + later) as u64)),
                ..span(1, 1, 0)
            })
        })
        .collect();
    // More than are looked at one by one.
    let face = in_memory(&spans, EngineConfig { deadline_ms: 600_000, ..EngineConfig::default() });
    let page = face.ok("/v1/sessions?limit=2").await;
    assert_eq!(ids(&page), ["s4499", "s4498"]);
    assert_eq!(page["data"][0]["trace_count"], 2);
    let cursor = page["pagination"]["next_cursor"].as_str().unwrap();
    assert_eq!(ids(&face.ok(&format!("/v1/sessions?limit=2&cursor={cursor}")).await), ["s4497", "s4496"]);
}

#[tokio::test]
async fn a_session_fits_a_condition_on_scores_by_its_own_or_by_one_of_its_spans() {
    let world = World::new();
    let spans: Vec<_> = (0..5).flat_map(one_after_another).collect();
    world.file(tenant(1), 1, &spans[..300], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &spans[300..], &[])]);
    let given = |id: &str, session: usize, value: f64| Score {
        session_id: Some(format!("s{session:02}")),
        value: Some(value),
        ..score(id)
    };
    let mut others = given("other name", 3, 0.9);
    others.name = "tone".into();
    let of_trace = Score { trace_id: Some(trace_id(2)), ..given("of a trace", 2, 0.9) };
    world.scores.lock().unwrap().extend([
        given("mean is low", 0, 0.9),
        given("and so it is", 0, 0.0),
        given("high", 1, 0.8),
        of_trace,
        others,
    ]);
    let face = face(&world);
    for (filter, found) in [
        ("score__quality%20%3E%200.5", vec!["s02", "s01"]),
        ("score__quality%20%3C%200.5", vec!["s00"]),
        ("score__quality%20exists", vec!["s02", "s01", "s00"]),
        ("score__quality%20does%20not%20exist", vec!["s04", "s03"]),
        ("any_score%20%3E%200.85", vec!["s03", "s02"]),
        ("%28score__tone%20%3E%200.5%20or%20score__quality%20%3C%200.5%29", vec!["s03", "s00"]),
    ] {
        for sort in ["start_time", "end_time"] {
            let path = format!("/v1/sessions?sort_by={sort}&filter={filter}");
            assert_eq!(ids(&face.ok(&path).await), found, "{path}");
        }
    }
}
