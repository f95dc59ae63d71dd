//! Paging: nothing lost, nothing twice.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use spanlake_model::{Cost, Kind, Money, Score, Span, Status, Usage};

use crate::face::{Face, face};
use crate::world::{World, app, at, id, span, tenant, trace};

/// All rows' ids over all pages of two.
pub async fn walk(face: &Face, path: &str, rows: impl Fn(&Value) -> Vec<String>) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = face.ok(&format!("{path}limit=2{cursor}")).await;
        let found = rows(&page);
        assert!(!found.is_empty() && found.len() <= 2, "{page}");
        seen.extend(found);
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

/// A score of app 1, about nothing and without a number yet.
pub fn score(id: &str) -> Score {
    Score {
        id: id.into(),
        app_id: app(1),
        agent_id: None,
        trace_id: None,
        span_id: None,
        session_id: None,
        name: "quality".into(),
        value: None,
        label: None,
        comment: None,
        source: "api".into(),
        author: None,
        created_at: at(60),
        metadata: "{}".into(),
    }
}

fn ids(rows: &Value) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_string()).collect()
}

fn list(page: &Value) -> Vec<String> {
    ids(&page["data"])
}

#[tokio::test]
async fn pages_over_traces_that_began_together_lose_and_repeat_none_in_any_order() {
    let world = World::new();
    let cost = |cents: u8| Cost { total: Money::from_dollars(f64::from(cents) / 100.0), ..Cost::default() };
    let spans: Vec<_> = (1..=7)
        .map(|byte| Span {
            kind: Kind::new(Kind::LLM),
            // Two have no tokens and no cost at all, and ties abound.
            usage: Usage { total: (byte > 2).then_some(i64::from(byte / 3)), ..Usage::default() },
            cost: if byte > 2 { cost(byte / 3) } else { Cost::default() },
            name: format!("n{}", byte % 2),
            ..span(byte, byte, 0)
        })
        .collect();
    world.file(tenant(1), 1, &spans[..4], &[]).await;
    world.file(tenant(1), 2, &spans[4..], &[]).await;
    let face = face(&world);
    let all: BTreeSet<_> = (1..=7).map(|byte| trace(byte).to_string()).collect();
    for sort in ["start_time", "latency", "cost", "tokens", "name", "status"] {
        let down = walk(&face, &format!("/v1/traces?sort_by={sort}&"), list).await;
        let mut up = walk(&face, &format!("/v1/traces?sort_by={sort}&sort_order=asc&"), list).await;
        assert_eq!(down.len(), 7, "{sort}");
        assert_eq!(BTreeSet::from_iter(down.clone()), all, "{sort}");
        up.reverse();
        assert_eq!(up, down, "{sort}");
    }
    let dearest = face.ok("/v1/traces?sort_by=cost&limit=1").await;
    assert_eq!(dearest["data"][0]["cost"], json!(0.02));
}

#[tokio::test]
async fn pages_over_spans_lose_and_repeat_none() {
    let world = World::new();
    let cost = |cents: u8| Cost { total: Money::from_dollars(f64::from(cents) / 100.0), ..Cost::default() };
    let spans: Vec<_> = (1..=7)
        .map(|byte| Span {
            usage: Usage { total: (byte > 2).then_some(i64::from(byte / 3)), ..Usage::default() },
            cost: if byte > 2 { cost(byte / 3) } else { Cost::default() },
            name: format!("n{}", byte % 2),
            end: (byte != 4).then(|| at(u64::from(byte % 3))),
            status: [Status::Ok, Status::Unset, Status::Error][usize::from(byte % 3)],
            ..span(1 + byte % 2, byte, 0)
        })
        .collect();
    world.file(tenant(1), 1, &spans[..4], &[]).await;
    world.file(tenant(1), 2, &spans[4..], &[]).await;
    let face = face(&world);
    for sort in ["start_time", "latency", "cost", "tokens", "name", "status"] {
        let down = walk(&face, &format!("/v1/spans?sort_by={sort}&"), list).await;
        let mut up = walk(&face, &format!("/v1/spans?sort_by={sort}&sort_order=asc&"), list).await;
        up.reverse();
        assert_eq!((down.len(), BTreeSet::from_iter(&down).len()), (7, 7), "{sort}");
        assert_eq!(up, down, "{sort}");
        if sort != "start_time" {
            let of = |span: &&Span| match sort {
                "latency" => span.end.map(|end| i128::from(end.as_nanos())),
                "cost" => span.cost.total.map(Money::as_pico),
                "tokens" => span.usage.total.map(i128::from),
                "name" => Some(i128::from(span.name == "n1")),
                _ => Some(i128::from(span.status.as_i8())),
            };
            let found = |id: &String| of(&spans.iter().find(|span| span.span_id.to_string() == *id).unwrap());
            assert!(up.iter().map(found).is_sorted_by(|one, other| one >= other), "{sort}: {up:?}");
        }
    }
}

#[tokio::test]
async fn a_huge_trace_comes_in_pages_of_spans() {
    let world = World::new();
    let spans: Vec<_> = (1..=7).map(|byte| span(1, byte, u64::from(byte / 4))).collect();
    world.file(tenant(1), 1, &spans, &[]).await;
    let path = format!("/v1/traces/{}?", trace(1));
    let seen = walk(&face(&world), &path, |page| ids(&page["data"]["spans"])).await;
    assert_eq!(seen, (1..=7).map(|byte| id(byte).to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_query_and_caller_only() {
    let world = World::new();
    let spans: Vec<_> = (1..=3).map(|byte| span(byte, byte, 0)).collect();
    world.file(tenant(1), 1, &spans, &[]).await;
    let face = face(&world);
    let page = face.ok("/v1/traces?limit=1&user_id=").await;
    assert_eq!(page["data"], json!([]));
    let page = face.ok("/v1/traces?limit=1").await;
    let cursor = page["pagination"]["next_cursor"].as_str().unwrap().to_string();
    assert_eq!(face.ok(&format!("/v1/traces?limit=2&cursor={cursor}")).await["data"].as_array().unwrap().len(), 2);
    let (own, other) = ([1, 1, 0], [[2, 1, 0], [1, 2, 0], [1, 1, 7]]);
    let refused = [
        (own, format!("/v1/traces?name=x&cursor={cursor}")),
        (own, format!("/v1/traces?sort_by=cost&cursor={cursor}")),
        (own, format!("/v1/spans?cursor={cursor}")),
        (own, "/v1/traces?cursor=AAAA".into()),
    ];
    let foreign = other.map(|holder| (holder, format!("/v1/traces?cursor={cursor}")));
    for (holder, path) in refused.into_iter().chain(foreign) {
        let (status, body) = face.get_as(holder, &path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(body["error"]["details"]["cursor"].is_string(), "{body}");
    }
}
