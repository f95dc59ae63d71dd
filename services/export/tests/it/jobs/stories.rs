//! Scheduled exports over many windows, with a service that is killed at random.

use std::time::Duration;

use serde_json::{Value, json};
use spanlake_catalog::{Erasures as _, NewErasure, Subject};
use spanlake_model::{Clock as _, Entropy as _, Erasure, ErasureId, ErasureScope, Kind, Span, SpanId, TraceId};
use spanlake_testkit::{Dice, SeededEntropy};

use super::bench::{Bench, TENANT};
use super::faulty::Trouble;
use super::history::Warehouse;
use super::model::{Version, is_wanted};
use crate::world::{APP, span};

const WINDOW: Duration = Duration::from_secs(300);

fn every_five_minutes(filter: Option<&str>) -> Value {
    let mut body = json!({
        "format": "jsonl", "compression": "none", "schedule": "*/5 * * * *", "destination": {"type": "file"},
    });
    if let Some(filter) = filter {
        body["filter"] = filter.into();
    }
    body
}

/// What the warehouse should know.
fn expected(bench: &Bench, has_filter: bool) -> Vec<(String, String, String)> {
    let wanted = bench.model.spans().into_iter().filter(|span| is_wanted(has_filter, span));
    let mut rows: Vec<_> =
        wanted.map(|span| (span.trace_id.to_string(), span.span_id.to_string(), span.name)).collect();
    rows.sort();
    rows
}

fn known(warehouse: &Warehouse) -> Vec<(String, String, String)> {
    let name = |line: &String| serde_json::from_str::<Value>(line).unwrap()["span_name"].as_str().unwrap().to_owned();
    warehouse.rows.iter().map(|((trace, span), line)| (trace.clone(), span.clone(), name(line))).collect()
}

/// One of a few spans of a few traces, on one of three days, new or again.
fn some_span(dice: &Dice, step: usize) -> Span {
    let day = ["2026-04-08T10:00:00Z", "2026-04-09T10:00:00Z", "2026-04-10T10:00:00Z"][dice.below(3)];
    let kind = if dice.chance(50) { "llm" } else { "tool" };
    Span {
        span_id: SpanId::from_bytes([1 + u8::try_from(dice.below(5)).unwrap(); 8]).unwrap(),
        name: format!("step {step}"),
        kind: Kind::new(kind),
        ..span(1 + dice.below(8) as u128, day)
    }
}

/// An erasure that has been asked for and is not stored yet: runs may come in between.
struct Pending {
    scope: ErasureScope,
    covered: Vec<Version>,
}

fn some_erasure(bench: &Bench, dice: &Dice) -> Pending {
    if dice.chance(20) {
        return Pending { scope: ErasureScope::App(APP), covered: bench.model.covered(None) };
    }
    let trace = TraceId::from_bytes((1 + dice.below(8) as u128).to_be_bytes()).unwrap();
    let scope = ErasureScope::Traces(APP, [trace].into_iter().collect());
    Pending { scope, covered: bench.model.covered(Some(trace)) }
}

async fn store(bench: &Bench, dice: &Dice, Pending { scope, covered }: Pending) {
    let mut id = [0; 16];
    SeededEntropy::new(dice.number()).fill(&mut id);
    let erasure = Erasure { id: ErasureId::from_bytes(id), tenant: TENANT, scope, bounds: Vec::new() };
    let new = NewErasure::new(erasure, Subject::Traces, bench.clock.now());
    bench.catalog.add_erasure(new).await.unwrap();
    bench.model.erase(&covered);
}

async fn some_life(bench: &Bench, dice: &Dice, pending: &mut Option<Pending>, step: usize) {
    if let Some(stored) = pending.take_if(|_| dice.chance(60)) {
        store(bench, dice, stored).await;
    }
    if pending.is_none() && dice.chance(30) {
        *pending = Some(some_erasure(bench, dice));
    }
    for _ in 0..dice.below(12) {
        bench.model.write(1 + u8::try_from(dice.below(2)).unwrap(), some_span(dice, step));
    }
}

/// Many windows; in most of them the process dies or the destination fails, now here, now there.
async fn story(seed: u64, filter: Option<&str>) {
    let (dice, bench) = (Dice::new(seed), Bench::new(700).await);
    let id = bench.ask(&every_five_minutes(filter)).await;
    let (mut warehouse, mut pending) = (Warehouse::default(), None);
    for step in 0..40 {
        some_life(&bench, &dice, &mut pending, step).await;
        if dice.chance(70) {
            let trouble = [Trouble::Fails, Trouble::DiesBefore, Trouble::DiesAfter][dice.below(3)];
            bench.objects.trouble(dice.below(12), trouble);
        }
        bench.clock.advance(WINDOW);
        // Sometimes life goes on between an attempt and the next.
        if !bench.work().await && dice.chance(50) {
            some_life(&bench, &dice, &mut pending, step).await;
        }
        if dice.chance(60) {
            bench.objects.heal();
            bench.clock.advance(WINDOW);
            bench.work_until_done(&id).await;
            warehouse.catch_up(&bench, &id).await;
            // What was stored while the last run was under way is the next one's.
            bench.clock.advance(2 * WINDOW);
            assert!(bench.work().await);
            warehouse.catch_up(&bench, &id).await;
            assert_eq!(known(&warehouse), expected(&bench, filter.is_some()), "seed {seed}, step {step}");
        }
    }
    assert!(bench.export(&id).await["run"]["number"].as_u64().unwrap() > 10, "seed {seed}: a story of some length");
}

#[tokio::test]
async fn a_warehouse_that_merges_every_run_is_exact_whenever_the_service_dies() {
    for seed in 0..12 {
        story(seed, None).await;
    }
}

#[tokio::test]
async fn so_is_one_that_wants_only_some_rows() {
    for seed in 100..112 {
        story(seed, Some("kind = llm")).await;
    }
}

#[tokio::test]
async fn each_row_is_told_once_and_a_window_without_changes_is_no_run() {
    let bench = Bench::new(700).await;
    let id = bench.ask(&every_five_minutes(None)).await;
    let mut warehouse = Warehouse::default();
    assert!(bench.work().await);
    assert_eq!(bench.export(&id).await["status"], "waiting");
    for round in 0..6_u128 {
        for number in 1..=10 {
            bench.model.write(1 + u8::try_from(number % 2).unwrap(), span(round * 10 + number, "2026-04-08T10:00:00Z"));
        }
        for _ in 0..3 {
            bench.clock.advance(WINDOW);
            assert!(bench.work().await);
        }
        warehouse.catch_up(&bench, &id).await;
        let export = bench.export(&id).await;
        assert_eq!(
            export["last_manifest"]["run"].as_u64().unwrap() as u128,
            round + 1,
            "three looks, one with changes"
        );
        assert_eq!(
            (export["last_manifest"]["rows"].as_u64(), export["last_manifest"]["deletes"].as_u64()),
            (Some(10), Some(0))
        );
    }
    assert_eq!((warehouse.rows.len(), warehouse.repeated), (60, 0));
    let manifest = bench.get(&format!("/v1/exports/{id}/manifest?run=2")).await["data"].clone();
    let first = bench.get(&format!("/v1/exports/{id}/manifest?run=1")).await["data"].clone();
    assert_eq!(manifest["window"]["after"], first["through"], "a window begins where the one before ended");
}

/// Until the schedule is paused, which takes a week; answers how many days it took.
async fn until_paused(bench: &Bench, id: &str) -> u32 {
    for hours in 1..24 * 14 {
        bench.clock.advance(Duration::from_secs(3_601));
        bench.work().await;
        if bench.export(id).await["status"] == "paused" {
            return hours / 24;
        }
    }
    panic!("a destination that is gone is tried for ever: {}", bench.export(id).await);
}

#[tokio::test]
async fn a_schedule_whose_destination_is_gone_is_paused_and_begins_anew_where_it_missed_an_erasure() {
    for erases in [None, Some(1), Some(2)] {
        let bench = Bench::new(700).await;
        for number in 1..=6 {
            bench.model.write(1, span(number, "2026-04-08T10:00:00Z"));
        }
        let id = bench.ask(&every_five_minutes(None)).await;
        let mut warehouse = Warehouse::default();
        bench.clock.advance(WINDOW);
        bench.work().await;
        warehouse.catch_up(&bench, &id).await;
        bench.objects.vanish(true);
        bench.model.write(1, span(7, "2026-04-08T10:00:00Z"));
        let erase = async || {
            let dice = Dice::new(1);
            let trace = TraceId::from_bytes(2_u128.to_be_bytes()).unwrap();
            let scope = ErasureScope::Traces(APP, [trace].into_iter().collect());
            store(&bench, &dice, Pending { scope, covered: bench.model.covered(Some(trace)) }).await;
        };
        // On its list when it is paused, or while it is.
        if erases == Some(1) {
            erase().await;
        }
        assert_eq!(until_paused(&bench, &id).await, 7);
        if erases == Some(2) {
            erase().await;
        }
        let paused = bench.export(&id).await;
        assert_eq!((&paused["next_run_at"], &paused["error"]["code"]), (&Value::Null, &json!("service_unavailable")));
        assert!(paused["failing_since"].is_string(), "{paused}");
        bench.objects.vanish(false);
        bench.clock.advance(2 * WINDOW);
        bench.work().await;
        assert_eq!(bench.export(&id).await["status"], "paused", "nobody tries before it is resumed");
        let path = format!("/v1/exports/{id}/resume");
        let (status, resumed) = bench.send("POST", &path, &bench.key, None).await;
        assert_eq!((status.as_u16(), &resumed["data"]["status"]), (200, &json!("waiting")), "{resumed}");
        assert_eq!((&resumed["data"]["failing_since"], &resumed["data"]["error"]), (&Value::Null, &Value::Null));
        bench.clock.advance(WINDOW);
        assert!(bench.work().await);
        warehouse.catch_up(&bench, &id).await;
        assert_eq!(known(&warehouse), expected(&bench, false), "{erases:?}");
        let manifest = bench.get(&format!("/v1/exports/{id}/manifest?run=2")).await["data"].clone();
        let told = (manifest["rows"].as_u64().unwrap(), manifest["window"].is_null());
        assert_eq!(
            told,
            if erases.is_some() { (6, true) } else { (1, false) },
            "all of it only where something was missed"
        );
        let again = bench.send("POST", &path, &bench.key, None).await;
        assert_eq!((again.0.as_u16(), &again.1["data"]["status"]), (200, &json!("waiting")), "twice is once");
    }
}
