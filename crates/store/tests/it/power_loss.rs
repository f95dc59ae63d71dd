//! The power goes at any moment.

use crate::ledger::Broken;
use crate::{log_life, put_life, quarantine, seeds};

const USUAL_SEEDS: u64 = 60;

#[tokio::test]
async fn the_log_keeps_every_acknowledged_frame_once_and_in_order() {
    for seed in seeds(USUAL_SEEDS) {
        report(seed, log_life::live(seed, |_| false).await);
    }
}

#[tokio::test]
async fn the_folder_keeps_every_answered_object_whole() {
    for seed in seeds(USUAL_SEEDS) {
        report(seed, put_life::live(seed, |_| false).await);
    }
}

fn report(seed: u64, outcome: Result<(), Broken>) {
    assert_eq!(outcome, Ok(()), "again with SPANLAKE_TEST_SEED={seed}");
}

#[tokio::test]
async fn a_copy_that_was_put_aside_and_a_writer_that_was_told_stay() {
    for seed in seeds(USUAL_SEEDS) {
        report(seed, quarantine::keep_copy(seed, |_| false).await);
        report(seed, quarantine::tell_writer(seed, |_| false).await);
    }
}
