//! What became of the items of a request.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use spanlake_model::Span;

use crate::otlp::Signal;

/// Further reasons of a refusal are counted in its summary, not told.
const REASONS_TOLD_MAX: usize = 8;
/// Further reasons are not told apart.
const REASONS_KEPT_MAX: usize = 256;

/// A span or log record that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its position in the request, from zero.
    pub ordinal: u32,
    /// What must be different.
    pub reason: String,
}

/// A request, span by span or record by record. Each is in exactly one of the lists, both in the order of the request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Normalised {
    /// What the request held.
    pub signal: Signal,
    /// The good ones, each with its position in the request, from zero.
    pub spans: Vec<(u32, Span)>,
    /// The others.
    pub rejected: Vec<Rejected>,
}

impl Normalised {
    /// Of a request of this signal, before its items.
    pub(crate) fn of(signal: Signal) -> Self {
        Self { signal, ..Self::default() }
    }

    /// Takes the next item of the request in, or why it is refused.
    pub(crate) fn take(&mut self, ordinal: u32, outcome: Result<Span, String>) {
        match outcome {
            Ok(span) => self.spans.push((ordinal, span)),
            Err(reason) => self.rejected.push(Rejected { ordinal, reason }),
        }
    }

    /// One sentence about all that was refused, the most frequent reason first; `None` when nothing was.
    pub fn summary(&self) -> Option<String> {
        let mut refusals = Refusals::default();
        for rejected in &self.rejected {
            refusals.add(rejected.ordinal, rejected.reason.clone());
        }
        refusals.summary(self.signal, self.spans.len())
    }
}

/// Which items of a request were refused, and how often for which reason: a few bytes for each, however many they are.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    ordinals: Vec<u32>,
    reasons: BTreeMap<String, usize>,
    /// For reasons beyond those that are told apart.
    others: usize,
}

impl Refusals {
    /// Adds one, by its place in the request.
    pub fn add(&mut self, ordinal: u32, reason: String) {
        self.ordinals.push(ordinal);
        let is_room = self.reasons.len() < REASONS_KEPT_MAX;
        match self.reasons.get_mut(&reason) {
            Some(count) => *count += 1,
            None if is_room => _ = self.reasons.insert(reason, 1),
            None => self.others += 1,
        }
    }

    /// The places of all, in the order in which they were added.
    pub fn ordinals(&self) -> &[u32] {
        &self.ordinals
    }

    /// One sentence about all of them, of a request of which so many were `kept`, the most frequent reason first; `None` when there
    /// are none.
    pub fn summary(&self, signal: Signal, kept: usize) -> Option<String> {
        if self.ordinals.is_empty() {
            return None;
        }
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let (rejected, all) = (self.ordinals.len(), self.ordinals.len() + kept);
        let mut summary = format!("{rejected} of {all} {} rejected", signal.items());
        for (position, (reason, count)) in reasons.iter().take(REASONS_TOLD_MAX).enumerate() {
            let separator = if position == 0 { ":" } else { ";" };
            // Writing to a String cannot fail.
            let _ = write!(summary, "{separator} {count} × {reason}");
        }
        match reasons.len().saturating_sub(REASONS_TOLD_MAX) {
            0 => {}
            more if self.others == 0 => _ = write!(summary, "; and {more} more reasons"),
            more => _ = write!(summary, "; and more than {more} more reasons"),
        }
        Some(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_without_end_are_counted_and_not_kept() {
        let mut refusals = Refusals::default();
        for ordinal in 0..10_000 {
            refusals.add(ordinal, if ordinal % 2 == 0 { "frequent".to_owned() } else { format!("reason {ordinal}") });
        }
        assert_eq!(refusals.ordinals().len(), 10_000);
        assert!(refusals.reasons.len() <= REASONS_KEPT_MAX);
        let summary = refusals.summary(Signal::Traces, 5).unwrap();
        assert!(summary.starts_with("10000 of 10005 spans rejected: 5000 × frequent; 1 × reason "), "{summary}");
        assert!(summary.ends_with("; and more than 248 more reasons"), "{summary}");
    }
}
