//! Metrics: sums that add up, buckets of a calendar, groups of every kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use spanlake_model::{Kind, Span, Status, Timestamp, TraceId, Usage};
use spanlake_testkit::Dice;

use crate::face::face;
use crate::stories::{by_trace, counted, near, of_trace, spans, sums, world_of};
use crate::world::{World, at, fresh, id, span, tenant};

fn call(trace_byte: u8, span_byte: u8, seconds: u64, tokens: i64) -> Span {
    Span {
        kind: Kind::new(Kind::LLM),
        usage: Usage { input: Some(tokens), output: Some(10), total: Some(tokens + 10), ..Usage::default() },
        ..span(trace_byte, span_byte, seconds)
    }
}

#[tokio::test]
async fn a_summary_says_what_the_spans_did_and_no_usage_twice() {
    let world = World::new();
    let agent = Span { kind: Kind::new(Kind::AGENT), user_id: Some("u".into()), ..call(1, 1, 0, 100) };
    let inner = Span {
        parent_span_id: Some(id(1)),
        model: Some("m".into()),
        time_to_first_token_ns: Some(500_000_000),
        ..call(1, 2, 0, 60)
    };
    let failed = Span { status: Status::Error, usage: Usage::default(), ..call(2, 1, 60, 0) };
    world.file(tenant(1), 1, &[agent, inner], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &[failed], &[])]);
    let face = face(&world);
    let data =
        face.ok("/v1/metrics?extended=true&start_date=2026-01-02&end_date=2026-01-03&granularity=day").await["data"]
            .clone();
    let latency = json!({"avg": 1000.0, "p50": 1000.0, "p90": 1000.0, "p95": 1000.0, "p99": 1000.0});
    let first = json!({"avg": 500.0, "p50": 500.0, "p90": 500.0, "p95": 500.0, "p99": 500.0});
    let summary = json!({
        "total_requests": 2, "success_count": 1, "error_count": 1, "total_cost": 0.0, "total_tokens": 70, "input_tokens": 60,
        "output_tokens": 10, "avg_latency_ms": 1000.0, "unique_users": 1, "avg_cost_per_request": 0.0,
        "avg_input_tokens_per_request": 30.0, "avg_output_tokens_per_request": 5.0, "avg_total_tokens_per_request": 35.0,
        "model_count": 1, "span_count": 3, "error_span_count": 1, "error_rate": 1.0 / 3.0, "trace_count": 2, "usage_count": 1,
        "unpriced_count": 1, "cached_input_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "input_cost": 0.0,
        "output_cost": 0.0, "latency_ms": latency, "time_to_first_token_ms": first, "tokens_per_second": 20.0,
    });
    assert_eq!(data["summary"], summary);
    let point = &data["time_series"][0];
    let shown = ["date", "hour", "start", "end", "requests", "errors", "tokens"].map(|field| point[field].clone());
    let expected = json!(["2026-01-02", 0, "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", 2, 1, 70]);
    assert_eq!(json!(shown), expected);
    assert_eq!((&data["groups"], &data["other"], &data["granularity"]), (&json!([]), &Value::Null, &json!("day")));
}

#[tokio::test]
async fn nothing_is_zeros_and_not_missing() {
    let data =
        face(&World::new()).ok("/v1/metrics?start_date=2026-01-01&end_date=2026-01-02&group_by=model").await["data"]
            .clone();
    assert_eq!(data["time_series"].as_array().unwrap().len(), 24);
    assert_eq!(data["granularity"], json!("hour"));
    for place in [&data["summary"], &data["time_series"][7]] {
        assert_eq!(
            (&place["span_count"], &place["error_rate"], &place["latency_ms"]["p99"]),
            (&json!(0), &Value::Null, &Value::Null)
        );
    }
}

#[tokio::test]
async fn what_one_span_of_a_trace_says_counts_for_all_of_them() {
    let world = World::new();
    let root = Span {
        user_id: Some("u".into()),
        session_id: Some("s".into()),
        tags: vec!["a".into(), "b".into()],
        metadata: r#"{"plan":"pro"}"#.into(),
        ..span(1, 1, 0)
    };
    let inner = Span { parent_span_id: Some(id(1)), environment: Some("prod".into()), ..call(1, 2, 1, 5) };
    world.file(tenant(1), 1, &[root, inner, call(2, 1, 2, 7)], &[]).await;
    let face = face(&world);
    for (field, values) in [
        ("user_id", json!([["u", 5], [null, 7]])),
        ("session_id", json!([["s", 5], [null, 7]])),
        ("environment", json!([["prod", 5], [null, 7]])),
        ("tag", json!([["a", 5], ["b", 5], [null, 7]])),
        ("metadata.plan", json!([["pro", 5], [null, 7]])),
    ] {
        let data = face.ok(&format!("/v1/metrics?group_by={field}")).await["data"].clone();
        let groups = data["groups"].as_array().unwrap().iter();
        let shown: Vec<_> =
            groups.map(|group| json!([group["group"][field], group["summary"]["input_tokens"]])).collect();
        assert_eq!(json!(shown), values, "{field}");
        assert_eq!((&data["summary"]["input_tokens"], &data["other"]), (&json!(12), &Value::Null));
    }
    for filter in [
        "user_id=u",
        "session_id=s",
        "environment=prod",
        "tag=b",
        "user_id=u&kind=llm",
        "filter=user_id%20%3D%20%22u%22",
        "filter=latency_ms%20%3E%3D%201000&user_id=u",
    ] {
        let data = face.ok(&format!("/v1/metrics?{filter}")).await["data"].clone();
        assert_eq!(
            (&data["summary"]["input_tokens"], &data["summary"]["unique_users"]),
            (&json!(5), &json!(1)),
            "{filter}"
        );
    }
}

#[tokio::test]
async fn a_span_with_two_tags_of_the_others_is_there_once() {
    let world = World::new();
    let tagged =
        |byte, tags: &[&str]| Span { tags: tags.iter().map(|tag| (*tag).into()).collect(), ..call(byte, 1, 0, 1) };
    world.file(tenant(1), 1, &[tagged(1, &["x"]), tagged(2, &["x", "y", "z"]), tagged(3, &["y", "z"])], &[]).await;
    let data = face(&world).ok("/v1/metrics?group_by=tag&limit=1").await["data"].clone();
    assert_eq!(
        (&data["groups"][0]["group"]["tag"], &data["groups"][0]["summary"]["span_count"]),
        (&json!("x"), &json!(2))
    );
    assert_eq!(data["other"]["summary"]["span_count"], json!(2));
}

#[tokio::test]
async fn a_day_is_one_of_the_zone() {
    let world = World::new();
    let night = Span { start: Timestamp::parse("2025-10-25T22:30:00Z").unwrap(), ..call(1, 1, 0, 1) };
    let late = Span { start: Timestamp::parse("2025-10-26T22:59:59.999999999Z").unwrap(), ..call(2, 1, 0, 1) };
    let next = Span { start: Timestamp::parse("2025-10-26T23:00:00Z").unwrap(), ..call(3, 1, 0, 1) };
    let ended = [night, late, next].map(|span| Span { end: Some(span.start.plus(Duration::from_secs(1))), ..span });
    world.file(tenant(1), 1, &ended, &[]).await;
    let path = "/v1/metrics?timezone=Europe/Berlin&granularity=day&start_date=2025-10-25T22:00:00Z&end_date=2025-10-27T23:00:00Z";
    let data = face(&world).ok(path).await["data"].clone();
    let points = data["time_series"].as_array().unwrap().iter();
    let days: Vec<_> = points.map(|point| json!([point["date"], point["start"], point["span_count"]])).collect();
    // The day on which the clocks go back has 25 hours.
    assert_eq!(
        json!(days),
        json!([["2025-10-26", "2025-10-25T22:00:00Z", 2], ["2025-10-27", "2025-10-26T23:00:00Z", 1]])
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let face = face(&World::new());
    for (query, name) in [
        ("group_by=colour", "group_by"),
        ("group_by=model,model", "group_by"),
        ("group_by=model,kind,name,tag", "group_by"),
        ("granularity=second", "granularity"),
        ("granularity=minute", "granularity"),
        ("granularity=hour&group_by=model&limit=100", "granularity"),
        ("timezone=Berlin", "timezone"),
        ("limit=0", "limit"),
        ("sort_by=latency", "sort_by"),
        ("type=LLM", "type"),
        ("filter=model%20is%20good", "filter"),
    ] {
        let (status, body) = face.get(&format!("/v1/metrics?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert!(body["error"]["details"][name].is_string(), "{query}: {body}");
    }
}

/// What the plainest code says of these spans, of which those in `calls` count.
fn check(shown: &Value, spans: &[&Span], calls: &[&Span], users: &BTreeMap<(TraceId, u64), String>) {
    let sums = sums(calls.iter().copied());
    let whole = |place: usize| sums.numbers[place].unwrap_or(0);
    let failed = |span: &&&Span| span.status == Status::Error;
    let (tokens, cost) =
        if shown.get("total_tokens").is_some() { ("total_tokens", "total_cost") } else { ("tokens", "cost") };
    for (field, place) in [
        ("input_tokens", 0),
        ("output_tokens", 1),
        (tokens, 2),
        ("cached_input_tokens", 3),
        ("cache_write_tokens", 4),
        ("reasoning_tokens", 5),
    ] {
        assert_eq!(shown[field].as_i64().map(i128::from), Some(whole(place)), "{field}");
    }
    for (field, place) in [(cost, 6), ("input_cost", 7), ("output_cost", 8)] {
        assert!(near(&shown[field], Some(whole(place) as f64 / 1e12)), "{field} {shown}");
    }
    assert_eq!(shown["span_count"], json!(spans.len()));
    assert_eq!(shown["error_span_count"], json!(spans.iter().filter(failed).count()));
    assert_eq!(shown["usage_count"], json!(calls.len()));
    assert_eq!(shown["unpriced_count"], json!(calls.iter().filter(|span| span.cost.total.is_none()).count()));
    assert_eq!(shown["trace_count"], json!(spans.iter().map(|span| span.trace_id).collect::<BTreeSet<_>>().len()));
    let named = spans.iter().filter_map(|span| users.get(&key(span)));
    assert_eq!(shown["unique_users"], json!(named.collect::<BTreeSet<_>>().len()));
    let lasted = |span: &&&Span| Some(span.end?.as_nanos() - span.start.as_nanos());
    check_durations(&shown["latency_ms"], spans.iter().filter_map(|span| lasted(&span)).collect());
    check_durations(
        &shown["time_to_first_token_ms"],
        spans.iter().filter_map(|span| span.time_to_first_token_ns).collect(),
    );
    let wrote = |span: &&&Span| {
        let took = lasted(span)? - span.time_to_first_token_ns.unwrap_or(0);
        span.usage.output.filter(|output| *output > 0 && took > 0).map(|output| (output, took))
    };
    let (written, took) =
        calls.iter().filter_map(|span| wrote(&span)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(near(&shown["tokens_per_second"], (took > 0).then(|| written as f64 * 1e9 / took as f64)), "{shown}");
}

fn check_durations(shown: &Value, mut nanos: Vec<i64>) {
    nanos.sort_unstable();
    let count = nanos.len();
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)] {
        let at_rank = (count > 0).then(|| nanos[(count as f64 * share).ceil() as usize - 1] as f64 / 1e6);
        assert!(near(&shown[name], at_rank), "{name}: {shown} for {at_rank:?}");
    }
    let mean = (count > 0).then(|| nanos.iter().sum::<i64>() as f64 / count as f64 / 1e6);
    assert!(near(&shown["avg"], mean));
}

fn key(span: &Span) -> (TraceId, u64) {
    (span.trace_id, u64::from_be_bytes(*span.span_id.as_bytes()))
}

type Value1 = Box<dyn Fn(&Span, &[&Span]) -> Vec<Option<String>>>;

fn own_or_traces(value: fn(&Span) -> Option<String>) -> Value1 {
    Box::new(move |span, trace| vec![value(span).or_else(|| of_trace(trace, value))])
}

fn one(value: fn(&Span) -> Option<String>) -> Value1 {
    Box::new(move |span, _| vec![value(span)])
}

fn plan(span: &Span) -> Option<String> {
    let object: Value = serde_json::from_str(&span.metadata).unwrap();
    object["plan"].as_str().map(str::to_owned)
}

fn seats(span: &Span) -> Option<String> {
    let object: Value = serde_json::from_str(&span.metadata).unwrap();
    object.get("seats").map(|seats| seats.as_str().map_or_else(|| seats.to_string(), str::to_owned))
}

fn tags_of_trace() -> Value1 {
    Box::new(|_, trace| {
        let tags: BTreeSet<_> = trace.iter().flat_map(|span| span.tags.iter().cloned()).collect();
        if tags.is_empty() { vec![None] } else { tags.into_iter().map(Some).collect() }
    })
}

fn dimensions() -> Vec<(&'static str, Value1)> {
    vec![
        ("model", one(|span| span.model.clone())),
        ("name", one(|span| Some(span.name.clone()))),
        ("status", one(|span| Some(span.status.as_str().to_owned()))),
        ("provider", one(|span| span.provider.clone())),
        ("session_id", Box::new(|_, trace| vec![of_trace(trace, |span| span.session_id.clone())])),
        ("user_id", own_or_traces(|span| span.user_id.clone())),
        ("environment", own_or_traces(|span| span.environment.clone())),
        ("agent_id", own_or_traces(|span| span.agent_id.map(|agent| agent.to_string()))),
        ("metadata.plan", own_or_traces(plan)),
        ("metadata.seats", own_or_traces(seats)),
        ("tag", tags_of_trace()),
    ]
}

#[tokio::test]
async fn metrics_of_random_spans_are_what_the_plainest_code_says() {
    for (seed, (field, value)) in dimensions().into_iter().enumerate() {
        let dice = Dice::new(1_000 + seed as u64);
        let all = spans(&dice);
        eprintln!("seed {} by {field}", 1_000 + seed);
        let face = face(&world_of(&dice, &all).await);
        let traces = by_trace(&all);
        let user = own_or_traces(|span| span.user_id.clone());
        let users =
            all.iter().filter_map(|span| Some((key(span), user(span, &traces[&span.trace_id])[0].clone()?))).collect();
        let calls: BTreeSet<_> =
            counted(&all, |one, other| one.trace_id == other.trace_id).into_iter().map(key).collect();
        // From within the data to within it: what lies around still decides what counts.
        let (start, end) = (at(0).minus(Duration::from_secs(20 * 3_600)), at(0).minus(Duration::from_secs(14 * 3_600)));
        let is_in = |span: &&Span| (start..end).contains(&span.start);
        let of = |wanted: &dyn Fn(&Span) -> bool| {
            let spans: Vec<_> = all.iter().filter(is_in).filter(|span| wanted(span)).collect();
            let calls: Vec<_> = spans.iter().copied().filter(|span| calls.contains(&key(span))).collect();
            (spans, calls)
        };
        let second = if field == "name" { "kind" } else { "name" };
        let path =
            format!("/v1/metrics?start_date={start}&end_date={end}&granularity=hour&group_by={field},{second}&limit=4");
        let data = face.ok(&path).await["data"].clone();

        let no_filter_users = users;
        let (spans, counted) = of(&|_| true);
        check(&data["summary"], &spans, &counted, &no_filter_users);
        for point in data["time_series"].as_array().unwrap() {
            let bound = |field: &str| Timestamp::parse(point[field].as_str().unwrap()).unwrap();
            let (from, to) = (bound("start"), bound("end"));
            let (spans, counted) = of(&|span| (from..to).contains(&span.start));
            check(point, &spans, &counted, &no_filter_users);
        }

        let second_of = |span: &Span| if second == "kind" { span.kind.as_str().to_owned() } else { span.name.clone() };
        let groups_of = |span: &Span| -> BTreeSet<(Option<String>, String)> {
            value(span, &traces[&span.trace_id]).into_iter().map(|value| (value, second_of(span))).collect()
        };
        let mut sizes: BTreeMap<(Option<String>, String), usize> = BTreeMap::new();
        spans.iter().flat_map(|span| groups_of(span)).for_each(|group| *sizes.entry(group).or_default() += 1);
        let mut ranked: Vec<_> = sizes.into_iter().collect();
        // Nulls first, as the order of `Option` has it; a status by its number.
        let number = |value: &Option<String>| {
            ["UNSET", "OK", "ERROR"].iter().position(|status| Some(*status) == value.as_deref())
        };
        ranked.sort_by_key(|(group, count)| (std::cmp::Reverse(*count), number(&group.0), group.clone()));
        let top: Vec<_> = ranked.iter().take(4).map(|(group, _)| group.clone()).collect();
        let shown = data["groups"].as_array().unwrap();
        let named: Vec<_> =
            shown.iter().map(|group| (group["group"][field].clone(), group["group"][second].clone())).collect();
        assert_eq!(named, top.iter().map(|(one, two)| (json!(one), json!(two))).collect::<Vec<_>>(), "{ranked:?}");
        for (group, shown) in top.iter().zip(shown) {
            let (spans, counted) = of(&|span| groups_of(span).contains(group));
            check(&shown["summary"], &spans, &counted, &no_filter_users);
            let points = shown["time_series"].as_array().unwrap().iter();
            assert_eq!(points.map(|point| point["span_count"].as_u64().unwrap()).sum::<u64>(), spans.len() as u64);
        }
        let (spans, counted) = of(&|span| groups_of(span).iter().any(|group| !top.contains(group)));
        match spans.is_empty() {
            true => assert_eq!(data["other"], Value::Null),
            false => check(&data["other"]["summary"], &spans, &counted, &no_filter_users),
        }
    }
}
