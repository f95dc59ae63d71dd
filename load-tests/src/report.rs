//! What a run measured.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::Result;
use serde::Serialize;

/// Times of many events, in milliseconds.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Percentiles {
    /// By nearest rank: the smallest value that at least that share of all values do not exceed. All 0 without values.
    pub(crate) fn of_micros(mut micros: Vec<u32>) -> Self {
        micros.sort_unstable();
        let at = |per_mille: usize| {
            let rank = (micros.len() * per_mille).div_ceil(1_000).max(1);
            micros.get(rank - 1).map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
        };
        Self { p50: at(500), p95: at(950), p99: at(990), max: at(1_000) }
    }
}

/// What one connection, or all together, did. `micros` holds one entry per acknowledged batch.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) spans: u64,
    pub(crate) body_bytes: u64,
    pub(crate) micros: Vec<u32>,
    pub(crate) statuses: BTreeMap<String, u64>,
    pub(crate) retries: u64,
    pub(crate) rejected_spans: u64,
    /// Batches given up.
    pub(crate) errors: u64,
    pub(crate) starved_seconds: f64,
    pub(crate) messages: Vec<String>,
}

/// So many distinct messages are kept.
const MESSAGES_MAX: usize = 5;

impl Tally {
    pub(crate) fn count(&mut self, status: &str) {
        *self.statuses.entry(status.to_owned()).or_default() += 1;
    }

    pub(crate) fn say(&mut self, message: String) {
        if self.messages.len() < MESSAGES_MAX && !self.messages.contains(&message) {
            self.messages.push(message);
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.spans += other.spans;
        self.body_bytes += other.body_bytes;
        self.micros.extend(other.micros);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.retries += other.retries;
        self.rejected_spans += other.rejected_spans;
        self.errors += other.errors;
        self.starved_seconds += other.starved_seconds;
        other.messages.into_iter().for_each(|message| self.say(message));
    }
}

/// One JSON document on standard output, and nothing else.
pub(crate) fn print(report: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, report)?;
    writeln!(out)?;
    Ok(())
}

/// Three digits behind the point are enough for a reader.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank_whatever_the_order() {
        let micros: Vec<u32> = (1..=1_000).rev().map(|n| n * 1_000).collect();
        assert_eq!(Percentiles::of_micros(micros), Percentiles { p50: 500.0, p95: 950.0, p99: 990.0, max: 1_000.0 });
    }

    #[test]
    fn percentiles_of_one_value_are_that_value_and_of_none_zero() {
        let one = Percentiles { p50: 2.5, p95: 2.5, p99: 2.5, max: 2.5 };
        assert_eq!(Percentiles::of_micros(vec![2_500]), one);
        assert_eq!(Percentiles::of_micros(Vec::new()), Percentiles::default());
    }

    #[test]
    fn one_slow_batch_in_fifty_shows_in_p99_and_not_in_p95() {
        let mut micros = vec![1_000; 49];
        micros.push(80_000);
        let percentiles = Percentiles::of_micros(micros);
        assert_eq!((percentiles.p50, percentiles.p95, percentiles.p99), (1.0, 1.0, 80.0));
    }

    #[test]
    fn tallies_add_up_and_messages_stay_bounded() {
        let mut all = Tally::default();
        for number in 0..20 {
            let mut one = Tally { spans: 10, errors: 1, micros: vec![number], ..Tally::default() };
            one.count("200");
            one.say(format!("message {number}"));
            all.add(one);
        }
        assert_eq!((all.spans, all.errors, all.micros.len(), all.statuses["200"]), (200, 20, 20, 20));
        assert_eq!(all.messages.len(), MESSAGES_MAX);
    }
}
