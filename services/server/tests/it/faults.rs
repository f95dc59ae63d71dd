//! One fault at every call that the ways of a span make: each is refused, done without an answer, held up, or the end of
//! its process, before or after it; and several at random. Afterwards everything acknowledged is there once, nothing else
//! is, nothing is left lying about, and the next request is taken without anybody's help.
//!
//! `make test` meets each kind of call with one fault; `SPANLAKE_FAULTS=all` meets every call with every fault, and
//! `SPANLAKE_SEED=7 SPANLAKE_STORIES=1000` runs as many stories of several faults. A failure prints its plan.

mod catalog;
mod disk;
mod objects;
mod plan;
mod run;
mod takeover;

use std::collections::BTreeSet;

use spanlake_model::Entropy as _;
use spanlake_testkit::SeededEntropy;

use crate::oracle::number;
use crate::world::Keep;
use plan::{Call, Fault, Plan, Point};
use run::run;

/// Stories of several faults in `make test`.
const STORIES: u64 = 3;
/// Of the names of calls that read, every such one is met in `make test`.
const READS_BETWEEN: usize = 3;
/// Faults of such a story, at most.
const FAULTS_MAX: u64 = 4;

#[test]
fn a_fault_at_any_call_loses_nothing_doubles_nothing_and_leaves_nothing_over_objects() {
    meet_every_call(Keep::Memory, |_| true);
}

#[test]
fn a_fault_at_any_call_loses_nothing_doubles_nothing_and_leaves_nothing_over_a_folder() {
    // What is no call of the disk is the same over objects.
    meet_every_call(Keep::Folder, |call| call.name.starts_with("disk."));
}

#[test]
fn several_faults_lose_nothing_double_nothing_and_leave_nothing() {
    let points = run(Keep::Memory, Plan::new());
    let first = number("SPANLAKE_SEED", 1);
    for seed in first..first + number("SPANLAKE_STORIES", STORIES) {
        println!("SPANLAKE_SEED={seed} SPANLAKE_STORIES=1");
        run(Keep::Memory, several(&points, seed));
    }
}

fn meet_every_call(keep: Keep, is_wanted: fn(Call) -> bool) {
    let mut points = run(keep, Plan::new());
    points.retain(|point| is_wanted(point.call));
    let plans = if everything() { every_fault(&points) } else { one_of_each_name(&points) };
    println!("{} calls; {} plans", points.len(), plans.len());
    for plan in plans {
        run(keep, plan);
    }
}

fn every_fault(points: &[Point]) -> Vec<Plan> {
    let with_faults =
        |point: &Point| Fault::of(point.call).iter().map(|fault| vec![(*point, *fault)]).collect::<Vec<_>>();
    points.iter().flat_map(with_faults).collect()
}

/// Each name of a call that changes something once, and some that read: each time another call of that name and another
/// fault.
fn one_of_each_name(points: &[Point]) -> Vec<Plan> {
    let names = |changes| -> BTreeSet<&str> {
        points.iter().filter(|point| point.call.changes == changes).map(|point| point.call.name).collect()
    };
    let wanted = names(true).into_iter().chain(names(false).into_iter().step_by(READS_BETWEEN));
    let plan = |(number, name): (usize, &str)| {
        let own: Vec<_> = points.iter().filter(|point| point.call.name == name).collect();
        let point = *own[number * 7 % own.len()];
        let faults = Fault::of(point.call);
        vec![(point, faults[number % faults.len()])]
    };
    wanted.enumerate().map(plan).collect()
}

fn several(points: &[Point], seed: u64) -> Plan {
    let entropy = SeededEntropy::new(seed);
    let below = |bound: usize| {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % bound as u64) as usize
    };
    let count = 2 + below(FAULTS_MAX as usize - 1);
    let mut plan = Plan::new();
    for _ in 0..count {
        let point = points[below(points.len())];
        let faults = Fault::of(point.call);
        let fault = faults[below(faults.len())];
        if fault != Fault::Stall && plan.iter().all(|(planned, _)| *planned != point) {
            plan.push((point, fault));
        }
    }
    plan
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration; this is how it is run for longer")]
fn everything() -> bool {
    std::env::var("SPANLAKE_FAULTS").is_ok_and(|which| which == "all")
}
