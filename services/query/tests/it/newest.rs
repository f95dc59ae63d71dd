//! The newest and the oldest traces come from parts of the range, and are the same as if all had been looked at.

use std::collections::BTreeMap;

use serde_json::Value;
use spanlake_model::{Span, SpanId, SpanKey, Status, TraceId};

use crate::face::{Face, face};
use crate::world::{World, app, at, fresh, span, tenant};

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn trace_id(number: u64) -> TraceId {
    TraceId::from_bytes((u128::from(number) + 1).to_be_bytes()).unwrap()
}

/// Traces of one to 25 spans; some go on hours later, with a second root or without any.
fn spans(dice: &mut Dice, traces: u64) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for number in 0..traces {
        let start = 60 + dice.roll(30_000);
        for place in 0..=dice.roll(25) {
            let later = if dice.roll(8) == 0 { dice.roll(10_000) } else { dice.roll(20) };
            let key = SpanKey {
                app_id: app(1),
                trace_id: trace_id(number),
                span_id: SpanId::from_bytes((number * 32 + place + 1).to_be_bytes()).unwrap(),
            };
            let parent = (dice.roll(3) > 0).then(|| SpanId::from_bytes([7; 8]).unwrap());
            let seconds = start + later;
            spans.push(Span {
                parent_span_id: parent,
                end: Some(at(seconds + 1)),
                user_id: (dice.roll(120) == 0).then(|| format!("user {}", dice.roll(3))),
                status: if dice.roll(60) == 0 { Status::Error } else { Status::Ok },
                ..Span { trace_id: key.trace_id, span_id: key.span_id, ..span(1, 1, seconds) }
            });
        }
    }
    spans
}

/// Trace ids, newest first, of traces with a span that `is_like` it and all of whose spans are fit.
fn expected(spans: &[Span], is_like: impl Fn(&Span) -> bool, has_failed: Option<bool>) -> Vec<String> {
    let mut traces: BTreeMap<TraceId, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        traces.entry(span.trace_id).or_default().push(span);
    }
    let fits = |of: &[&Span]| {
        let failed = of.iter().any(|span| span.status == Status::Error);
        of.iter().any(|span| is_like(span)) && has_failed.is_none_or(|wanted| wanted == failed)
    };
    let mut listed: Vec<_> = traces
        .into_iter()
        .filter(|(_, of)| fits(of))
        .map(|(trace, of)| (of.iter().map(|span| span.start).min(), trace))
        .collect();
    listed.sort_by(|one, other| other.cmp(one));
    listed.into_iter().map(|(_, trace)| trace.to_string()).collect()
}

async fn walk(face: &Face, path: &str, pages_max: usize) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..pages_max {
        let page: Value = face.ok(&format!("{path}{cursor}")).await;
        seen.extend(page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    seen
}

#[tokio::test]
async fn pages_from_parts_are_those_of_all_traces_at_once() {
    for seed in 0..2 {
        let dice = &mut Dice(seed);
        let spans = spans(dice, 36);
        let world = World::new();
        // Files of hours and days, and some rows in memory, as they come.
        let (in_files, in_memory) = spans.split_at(spans.len() - 50);
        let mut version = 0;
        for some in in_files.chunks(150) {
            version += 1;
            world.file(tenant(1), version, some, &[]).await;
        }
        world.writer(0, vec![fresh(tenant(1), in_memory, &[])]);
        let face = face(&world);

        let all = walk(&face, "/v1/traces?limit=4", 1_000).await;
        assert_eq!(all, expected(&spans, |_| true, None), "seed {seed}");
        let users = walk(&face, "/v1/traces?limit=1&user_id=user%201", 1_000).await;
        let of_user = |span: &Span| span.user_id.as_deref() == Some("user 1");
        assert_eq!(users, expected(&spans, of_user, None), "seed {seed}");
        let failed = walk(&face, "/v1/traces?limit=4&status=ERROR", 1_000).await;
        assert_eq!(failed, expected(&spans, |_| true, Some(true)), "seed {seed}");
        for (query, mut expected) in [
            ("limit=4", expected(&spans, |_| true, None)),
            ("limit=1&user_id=user%201", expected(&spans, of_user, None)),
            ("limit=4&status=ERROR", expected(&spans, |_| true, Some(true))),
        ] {
            expected.reverse();
            assert_eq!(walk(&face, &format!("/v1/traces?sort_order=asc&{query}"), 1_000).await, expected, "{query}");
        }
    }
}
