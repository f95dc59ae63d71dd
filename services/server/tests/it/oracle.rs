//! Whatever is sent, sent again, flushed, merged, swept and crashed in whatever order, through either of two writers: a
//! tenant sees the winning version of each of its spans, once, and nothing of anybody else.
//!
//! A failure prints the shortest story that fails, and the seed. `SPANLAKE_STORIES=1000 SPANLAKE_SEED=7` runs as many
//! stories, of the seeds from there on.

pub(crate) mod reader;
mod story;
pub(crate) mod truth;

use proptest::prelude::prop;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

use crate::world::WRITERS;
use story::{Step, Story};

/// In `make test`.
const STORIES: u64 = 6;
const STEPS: std::ops::Range<usize> = 12..36;

/// Panics inside are failures of the story, so that it is shortened.
#[test]
fn whatever_happens_each_span_is_seen_once_in_its_winning_version() {
    let seed = number("SPANLAKE_SEED", 1);
    for seed in seed..seed + number("SPANLAKE_STORIES", STORIES) {
        let config = Config {
            cases: 1,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(seed),
            max_shrink_iters: 60,
            ..Config::default()
        };
        let steps = prop::collection::vec(story::step(WRITERS), STEPS);
        let told = TestRunner::new(config).run(&(steps, prop::bool::ANY), |(steps, forgetful)| {
            tell(seed, steps, forgetful);
            Ok(())
        });
        match told {
            Ok(()) => {}
            Err(TestError::Fail(why, (steps, forgetful))) => {
                panic!("SPANLAKE_SEED={seed} SPANLAKE_STORIES=1: {why}\nforgetful: {forgetful}\n{steps:#?}")
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// With a `forgetful` writer the keys of files do not stay in memory.
fn tell(seed: u64, steps: Vec<Step>, forgetful: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut story = Story::begin(seed, WRITERS, forgetful).await;
        for (at, step) in steps.iter().enumerate() {
            story.take(step).await;
            story.look(at).await;
        }
        story.end().await;
    });
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration; this is how it is run for longer")]
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}
