//! What the store promises, whatever happens to the machine.

#![expect(clippy::unwrap_used, reason = "all of this is test code; clippy sees it only inside the test functions")]

mod batching;
mod conformance;
mod damage;
mod fsyncs;
mod full_disk;
mod ledger;
mod log_life;
mod outlet;
mod power_loss;
mod put_life;
mod quarantine;
mod samples;

use std::ops::Range;

/// Which seeds: `SPANLAKE_TEST_SEEDS=n` runs that many, `SPANLAKE_TEST_SEED=n` the one that failed.
fn seeds(usual: u64) -> Range<u64> {
    let number = |name: &str| std::env::var_os(name).map(|text| text.to_str().unwrap().parse::<u64>().unwrap());
    match (number("SPANLAKE_TEST_SEED"), number("SPANLAKE_TEST_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, many) => 0..many.unwrap_or(usual),
    }
}
