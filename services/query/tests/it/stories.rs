//! Random spans, and what they mean by the plainest code that can say it: what sessions, metrics and facets are held against.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use spanlake_model::{AgentId, Cost, Kind, Money, Span, Status, Timestamp, TraceId, Usage};
use spanlake_testkit::Dice;

use crate::world::{World, at, fresh, id, span, tenant, trace};

/// Names that appear together seldom enough to tell groups apart and often enough to make some.
fn one_of(dice: &Dice, words: &[&str]) -> Option<String> {
    let place = dice.below(words.len() + 1);
    words.get(place).map(|word| (*word).to_owned())
}

/// Spans of some traces over the last two and a half days before [`crate::face`]'s noon, of tenant 1, app 1.
pub fn spans(dice: &Dice) -> Vec<Span> {
    (1..=6 + u8::try_from(dice.below(14)).unwrap()).flat_map(|number| one_trace(dice, number)).collect()
}

fn one_trace(dice: &Dice, number: u8) -> Vec<Span> {
    let count = 1 + u8::try_from(dice.below(9)).unwrap();
    // Half of the time on a full second, so that many begin together.
    let first = 36 * 3_600 + u64::try_from(dice.below(12 * 3_600)).unwrap() / 600 * 600;
    let first = at(0).as_nanos() - 60 * 3_600 * 1_000_000_000 + i64::try_from(first * 1_000_000_000).unwrap();
    let session = one_of(dice, &["alpha", "beta", "gamma/δ"]);
    (1..=count).map(|place| one_span(dice, number, place, first, session.as_deref())).collect()
}

fn one_span(dice: &Dice, number: u8, place: u8, first: i64, session: Option<&str>) -> Span {
    let nanos = |most: usize| i64::try_from(dice.below(most)).unwrap();
    let start = first + nanos(8) * 500_000_000 + if dice.chance(30) { nanos(1_000) } else { 0 };
    let parent = match dice.below(10) {
        0 => Some(id(200)),
        1 => Some(id(place)),
        2 => None,
        _ => (place > 1).then(|| id(1 + u8::try_from(dice.below(usize::from(place) - 1)).unwrap())),
    };
    let kind = [Kind::LLM, Kind::LLM, Kind::TOOL, Kind::AGENT, Kind::CHAIN, Kind::EMBEDDING][dice.below(6)];
    let is_known = |percent: usize| dice.chance(percent);
    let reports = is_known(if kind == Kind::LLM { 80 } else { 30 });
    // Large and never twice, so that of two reports of one call it is clear which says more.
    let total = (dice.number() >> 20).cast_signed();
    let usage = Usage {
        input: is_known(80).then(|| nanos(1_000)),
        output: is_known(80).then(|| nanos(1_000)),
        total: Some(total),
        cache_read: is_known(30).then(|| nanos(100)),
        cache_write: is_known(20).then(|| nanos(100)),
        reasoning: is_known(20).then(|| nanos(100)),
    };
    let money = |is_known: bool| is_known.then(|| Money::from_pico(i128::from(nanos(1 << 40))));
    // Parts without a whole would be added up by the price book.
    let (has_total, has_parts) = (is_known(60), is_known(50));
    let cost =
        Cost { total: money(has_total), input: money(has_total && has_parts), output: money(has_total && has_parts) };
    let is_root = parent.is_none();
    Span {
        parent_span_id: parent,
        kind: Kind::new(kind),
        name: format!("step {}", dice.below(3)),
        status: [Status::Unset, Status::Ok, Status::Error][dice.below(3)],
        start: Timestamp::from_nanos(start),
        end: is_known(85).then(|| Timestamp::from_nanos(start + nanos(3_000_000_000))),
        time_to_first_token_ns: (kind == Kind::LLM && is_known(50)).then(|| nanos(900_000_000)),
        provider: one_of(dice, &["acme", "umbrella"]),
        // No prices are known of these.
        model: one_of(dice, &["m-one", "m-two", "m-three"]),
        response_id: is_known(40).then(|| format!("r{}", dice.below(12))),
        usage: if reports { usage } else { Usage::default() },
        cost: if reports { cost } else { Cost::default() },
        session_id: session.filter(|_| is_root || is_known(15)).map(str::to_owned),
        session_name: session.filter(|_| is_known(10)).map(|name| format!("{name} {}", dice.below(3))),
        user_id: if is_root || is_known(10) { one_of(dice, &["ada", "bob", "eve"]) } else { None },
        environment: one_of(dice, &["prod", "dev"]),
        agent_id: is_known(30).then(|| AgentId::from_bytes([1 + u8::try_from(dice.below(2)).unwrap(); 16])),
        tags: ["red", "green", "blue"].iter().filter(|_| is_known(20)).map(|tag| (*tag).to_owned()).collect(),
        metadata: [
            "{}",
            r#"{"plan":"pro","seats":3}"#,
            r#"{"plan":"free","team":{"name":"a.b","size":2.5}}"#,
            r#"{"seats":"3","flag":true,"list":[1,2],"none":null}"#,
        ][dice.below(4)]
        .into(),
        ..span(number, place, 0)
    }
}

/// A world that holds them, dealt out over files and a writer's memory: span by span, or trace by trace but for a few that stray.
pub async fn world_of(dice: &Dice, spans: &[Span]) -> Arc<World> {
    let world = World::new();
    let mut parts = vec![Vec::new(); 4];
    let strays = [100, 4][dice.below(2)];
    for span in spans {
        let home = usize::from(span.trace_id.as_bytes()[0]) % 4;
        parts[if dice.chance(strays) { dice.below(4) } else { home }].push(span.clone());
    }
    for (version, part) in parts.iter().enumerate().take(3).filter(|(_, part)| !part.is_empty()) {
        world.file(tenant(1), 1 + version as u64, part, &[]).await;
    }
    if !parts[3].is_empty() {
        world.writer(0, vec![fresh(tenant(1), &parts[3], &[])]);
    }
    world
}

/// The sums of some calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    pub numbers: [Option<i128>; 9],
    pub calls: i64,
}

/// Input, output, total, cached, written, reasoning; then money, total, input, output.
pub fn numbers(span: &Span) -> [Option<i128>; 9] {
    let Usage { input, output, total, cache_read, cache_write, reasoning, .. } = &span.usage;
    let [a, b, c, d, e, f] =
        [input, output, total, cache_read, cache_write, reasoning].map(|count| count.map(i128::from));
    let [g, h, i] = [span.cost.total, span.cost.input, span.cost.output].map(|money| money.map(Money::as_pico));
    [a, b, c, d, e, f, g, h, i]
}

pub fn sums<'s>(counted: impl Iterator<Item = &'s Span>) -> Sums {
    let mut sums = Sums::default();
    for span in counted {
        sums.calls += 1;
        for (sum, number) in sums.numbers.iter_mut().zip(numbers(span)) {
            *sum = number.map(|number| sum.unwrap_or(0) + number).or(*sum);
        }
    }
    sums
}

fn does_report(span: &Span) -> bool {
    numbers(span).iter().flatten().any(|number| *number > 0)
}

/// The spans above one, nearest first. A span that is its own parent has none.
fn above<'s>(span: &'s Span, all: &'s [Span]) -> Vec<&'s Span> {
    let parent = |span: &'s Span| {
        let parent = span.parent_span_id.filter(|parent| *parent != span.span_id)?;
        all.iter().find(|other| (other.trace_id, other.span_id) == (span.trace_id, parent))
    };
    std::iter::successors(parent(span), |span| parent(span)).collect()
}

/// The spans whose usage counts; reports with one response id are one call, when `same_call` says that they may be.
pub fn counted(all: &[Span], same_call: impl Fn(&Span, &Span) -> bool) -> Vec<&Span> {
    let asks = |span: &Span| [Kind::TOOL, Kind::AGENT].contains(&span.kind.as_str());
    let mut repeated = BTreeSet::new();
    for span in all.iter().filter(|span| does_report(span)) {
        let mut is_asked_for = asks(span);
        for ancestor in above(span, all) {
            if !(ancestor.kind.as_str() == Kind::LLM && is_asked_for) {
                repeated.insert((ancestor.trace_id, ancestor.span_id));
            }
            is_asked_for |= asks(ancestor);
        }
    }
    let left: Vec<_> =
        all.iter().filter(|span| does_report(span) && !repeated.contains(&(span.trace_id, span.span_id))).collect();
    let says = |span: &Span| {
        let numbers = numbers(span);
        (numbers[6].is_some(), numbers.iter().flatten().count(), numbers[2])
    };
    let is_beaten = |span: &Span| {
        let same = |other: &&Span| {
            span.response_id.is_some() && span.response_id == other.response_id && same_call(span, other)
        };
        left.iter().any(|other| same(other) && says(other) > says(span))
    };
    left.iter().copied().filter(|span| !is_beaten(span)).collect()
}

/// What belongs to the whole trace: the root's, else that of its earliest span that has any.
pub fn of_trace<T: Clone>(spans: &[&Span], value: impl Fn(&Span) -> Option<T>) -> Option<T> {
    let mut with: Vec<_> = spans.iter().filter_map(|span| Some((span, value(span)?))).collect();
    with.sort_by_key(|(span, _)| (span.parent_span_id.is_some(), span.start, span.span_id));
    with.into_iter().next().map(|(_, value)| value)
}

pub fn by_trace(spans: &[Span]) -> BTreeMap<TraceId, Vec<&Span>> {
    let mut traces: BTreeMap<_, Vec<_>> = BTreeMap::new();
    spans.iter().for_each(|span| traces.entry(span.trace_id).or_default().push(span));
    traces
}

/// Equal but for the rounding of a floating point number.
pub fn near(one: &serde_json::Value, other: Option<f64>) -> bool {
    match (one.as_f64(), other) {
        (Some(one), Some(other)) => (one - other).abs() <= other.abs() * 1e-9,
        (one, other) => one.is_none() == other.is_none(),
    }
}

/// Traces by their first byte, as the world names them.
pub fn first_byte(id: &serde_json::Value) -> u8 {
    (0..=255).find(|byte| *byte > 0 && id.as_str() == Some(&trace(*byte).to_string())).unwrap()
}
