//! Which spans' usage counts in a sum: each call of a provider once.
//!
//! The same tokens are reported more than once when an agent repeats what its calls used, when two instrumentations see one
//! call, or one of them inside the other. So:
//!
//! 1. A span counts when no span below it reports usage. Below a call of a model, what lies under a tool or an agent is not
//!    looked at: some senders put the tool under the call that asked for it, and both calls are real.
//! 2. Of spans with the same response id that are left, one counts: the one that says most.
//!
//! Whatever kind a span is of: an agent whose calls are not instrumented counts. Of spans that are each other's parents one is
//! taken for the topmost ([`crate::tree::cuts`]).

mod aggregate;
mod state;
mod uncounted;

use spanlake_model::Kind;

use crate::columns::SPENT;
use crate::tree::{HashedMap, HashedSet, cuts};

pub(crate) use aggregate::call_totals;
pub use uncounted::{Uncounted, reports};

/// What a span is, as far as counting is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A call of a language model.
    Call,
    /// What a call may have asked for: calls below it are its own.
    AskedFor,
    Other,
}

impl Role {
    fn of(kind: &str) -> Self {
        match kind {
            Kind::LLM => Self::Call,
            Kind::TOOL | Kind::AGENT => Self::AskedFor,
            _ => Self::Other,
        }
    }
}

/// A span's place in its tree. Ids are made of trace and span id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    id: u64,
    parent: Option<u64>,
    role: Role,
}

/// How many numbers a report has: those of [`SPENT`], in their order; money in units of 10⁻¹² dollars.
const NUMBERS: usize = SPENT.len();
/// How many of them are tokens; the rest is money.
const COUNTS: usize = 6;

/// What a span reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Report {
    node: u64,
    /// Of the provider's answer; 0 for none.
    response: u64,
    numbers: [Option<i64>; NUMBERS],
}

impl Report {
    /// How much it says, to choose between two of one call.
    fn weight(&self) -> (bool, usize, i64, std::cmp::Reverse<u64>) {
        let is_priced = self.numbers[COUNTS].is_some();
        let told = self.numbers.iter().flatten().count();
        (is_priced, told, self.numbers[2].unwrap_or(0), std::cmp::Reverse(self.node))
    }
}

/// Sums over the calls of some spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    calls: i64,
    /// As in a report; `None` where no call says it.
    numbers: [Option<i128>; NUMBERS],
}

/// The spans of some traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Forest {
    nodes: Vec<Node>,
    reports: Vec<Report>,
}

impl Forest {
    /// In bytes, beside itself.
    fn held(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.reports.capacity() * size_of::<Report>()
    }

    fn extend(&mut self, other: Self) {
        self.nodes.extend(other.nodes);
        self.reports.extend(other.reports);
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.counted(|report| totals.add(report));
        totals
    }

    /// Tells of each report that counts.
    fn counted<'f>(&'f self, mut tell: impl FnMut(&'f Report)) {
        let repeated = self.repeated();
        let mut calls: HashedMap<&Report> = HashedMap::default();
        for report in self.reports.iter().filter(|report| !repeated.contains(&report.node)) {
            if report.response == 0 {
                tell(report);
                continue;
            }
            let kept = calls.entry(report.response).or_insert(report);
            if report.weight() > kept.weight() {
                *kept = report;
            }
        }
        calls.into_values().for_each(tell);
    }

    /// Spans with a report below them that is theirs. Every node is passed at most twice.
    fn repeated(&self) -> HashedSet {
        let tree: HashedMap<&Node> = self.nodes.iter().map(|node| (node.id, node)).collect();
        let cuts = cuts(self.reports.iter().map(|report| report.node), |id| tree.get(&id)?.parent);
        let mut repeated = HashedSet::default();
        // Without and with something that was asked for.
        let mut passed = [HashedSet::default(), HashedSet::default()];
        for report in &self.reports {
            let mut at = tree.get(&report.node).copied();
            let mut is_asked_for = false;
            while let Some(node) = at {
                is_asked_for |= node.role == Role::AskedFor;
                let parent = node.parent.filter(|_| !cuts.contains(&node.id));
                let Some(above) = parent.and_then(|parent| tree.get(&parent).copied()) else { break };
                if !passed[usize::from(is_asked_for)].insert(above.id) {
                    break;
                }
                if !(above.role == Role::Call && is_asked_for) {
                    repeated.insert(above.id);
                }
                at = Some(above);
            }
        }
        repeated
    }
}

impl Totals {
    fn add(&mut self, report: &Report) {
        self.calls += 1;
        for (sum, number) in self.numbers.iter_mut().zip(report.numbers) {
            if let Some(number) = number {
                *sum = Some(sum.unwrap_or(0) + i128::from(number));
            }
        }
    }
}

#[cfg(test)]
mod tests;
