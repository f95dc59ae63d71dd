//! Which files of a day to merge.
//!
//! Each merge writes its inputs again, so a file is taken only where that pays:
//!
//! - A file of more than half the target has its final size and stays, and so do the two sides of it apart.
//! - Between such files, a run of neighbours is merged once it is [`Config::least_files`] of them and together
//!   [`growth`] times the largest; or once it fills the target, be it but two.
//! - A day that is over is packed once more, final sizes or not: neighbours, as many as the target takes; and what has no
//!   neighbour to go with is written again by itself, for while a day was written to it was not worth packing tightly.
//!
//! So a row moves into a file at least `growth` times as large as the one it was in, or into one of final size. It is
//! written `log(target / flushed size)` times to the base of `growth`, and at most three times more: the flush, the filling
//! of a target, the packing. With the defaults and flushes of 1 MB that is seven times at the worst, four as a rule; with flushes
//! of 8 MB six and three. Dead rows make outcomes smaller than that, and only by rows that are never written again.

use std::ops::Range;

use spanlake_catalog::DataFile;
use spanlake_model::Timestamp;

use crate::config::Config;

/// The files to merge next, out of a day's live files in the order of their versions: neighbours, within the bounds on bytes and
/// files, oldest first; a single one only to be packed. `over_since` is set when the day is over and was not finished.
/// `None` when the day is as it should be.
pub(crate) fn choose(files: &[DataFile], over_since: Option<Timestamp>, config: &Config) -> Option<Range<usize>> {
    let sizes: Vec<u64> = files.iter().map(|file| file.bytes).collect();
    let packed = |since| pack(&sizes, config).or_else(|| loose(files, since, config));
    grow(&sizes, config).or_else(|| over_since.and_then(packed))
}

/// A large file that was written while the day was not over.
fn loose(files: &[DataFile], over_since: Timestamp, config: &Config) -> Option<Range<usize>> {
    let is_early = |file: &DataFile| file.id.made_at().is_some_and(|made| made < over_since);
    let at = files.iter().position(|file| file.bytes >= config.alone_bytes_min && is_early(file))?;
    Some(at..at + 1)
}

/// How many times the size of the largest input an outcome must have, when it is not of final size. With less than four files
/// to a merge there is no such demand: whoever asks for that wants few files at any cost.
fn growth(config: &Config) -> u64 {
    (config.least_files() / 2).clamp(1, 4)
}

fn grow(sizes: &[u64], config: &Config) -> Option<Range<usize>> {
    (0..sizes.len()).map(|start| run(sizes, start, config, config.final_bytes())).find(|run| {
        let bytes: u64 = sizes[run.clone()].iter().sum();
        let largest = sizes[run.clone()].iter().copied().max().unwrap_or(0);
        let next = sizes.get(run.end).copied().filter(|next| *next <= config.final_bytes()).unwrap_or(0);
        let is_full = bytes + next > config.target_bytes;
        let is_many = run.len() as u64 >= config.least_files() && bytes >= largest.saturating_mul(growth(config));
        run.len() >= 2 && (is_full || is_many)
    })
}

fn pack(sizes: &[u64], config: &Config) -> Option<Range<usize>> {
    let mut start = 0;
    while start < sizes.len() {
        let run = run(sizes, start, config, config.target_bytes);
        if run.len() >= 2 {
            return Some(run);
        }
        start += 1;
    }
    None
}

/// As many neighbours from `start` on as one merge may take, none of them larger than `each_max`.
fn run(sizes: &[u64], start: usize, config: &Config, each_max: u64) -> Range<usize> {
    let mut bytes = 0;
    let fits = |size: &&u64| {
        bytes += **size;
        **size <= each_max && bytes <= config.target_bytes
    };
    start..start + sizes[start..].iter().take(config.merge.inputs_max.max(2)).take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use spanlake_store::file::merge::Bounds;

    fn config(least_files: u64) -> Config {
        Config { least_files, target_bytes: 100, ..Config::default() }
    }

    fn grown(least_files: u64, sizes: &[u64]) -> Option<Range<usize>> {
        grow(sizes, &config(least_files))
    }

    #[test]
    fn few_files_wait_for_more() {
        assert_eq!(grown(4, &[1, 1, 1]), None);
        assert_eq!(grown(4, &[1, 1, 1, 1]), Some(0..4));
    }

    #[test]
    fn no_merge_reads_more_than_its_bounds() {
        assert_eq!(grown(4, &[40, 40, 20, 1, 1]), Some(0..3));
        assert_eq!(grown(99, &[50, 50, 1]), Some(0..2), "full: no need to wait for more");
        let few = Config { merge: Bounds { inputs_max: 3, ..Bounds::default() }, ..config(2) };
        assert_eq!(grow(&[1; 9], &few), Some(0..3));
    }

    #[test]
    fn a_file_of_its_final_size_is_left_alone() {
        assert_eq!(grown(2, &[51, 99, 1_000, 60]), None);
        assert_eq!(grown(2, &[51, 1, 1]), Some(1..3));
    }

    #[test]
    fn a_large_file_waits_until_the_small_ones_beside_it_are_worth_it() {
        assert_eq!(grown(8, &[20, 1, 1, 1, 1, 1, 1, 1]), None);
        assert_eq!(grown(8, &[20, 1, 1, 1, 1, 1, 1, 1, 1]), Some(1..9));
        assert_eq!(grown(8, &[20, 8, 8, 8, 8, 8, 8, 8]), None, "seven of eight");
        assert_eq!(grown(8, &[10, 5, 5, 5, 5, 5, 4, 4]), Some(0..8));
    }

    #[test]
    fn only_neighbours_are_merged() {
        assert_eq!(grown(2, &[1, 60, 1]), None);
        assert_eq!(grown(2, &[1, 60, 1, 1, 60, 1]), Some(2..4));
    }

    #[test]
    fn a_single_file_is_never_merged_whatever_is_configured() {
        assert_eq!(grown(0, &[1]), None);
        assert_eq!(grown(1, &[]), None);
        assert_eq!(pack(&[1], &config(0)), None);
        assert_eq!(pack(&[], &config(0)), None);
    }

    #[test]
    fn a_day_that_is_over_is_packed_into_as_few_files_as_the_target_takes() {
        assert_eq!(pack(&[60, 30, 20, 1], &config(8)), Some(0..2));
        assert_eq!(pack(&[90, 21, 1], &config(8)), Some(1..3));
        assert_eq!(pack(&[90, 22], &config(8)), None);
    }

    /// Files arrive in this order and are merged whenever something is to merge; in the end the day is packed.
    /// Answers the bytes written by merges, and the files in the end before and after packing.
    fn simulate(arriving: &[u64], config: &Config) -> (u64, Vec<u64>, Vec<u64>) {
        let (mut sizes, mut written) = (Vec::new(), 0);
        let mut settle = |sizes: &mut Vec<u64>, choose: &dyn Fn(&[u64]) -> Option<Range<usize>>| {
            while let Some(run) = choose(sizes) {
                let bytes: u64 = sizes[run.clone()].iter().sum();
                assert!(
                    run.len() >= 2 && run.len() <= config.merge.inputs_max && bytes <= config.target_bytes,
                    "{run:?}"
                );
                written += bytes;
                sizes.splice(run, [bytes]);
            }
        };
        for size in arriving {
            sizes.push(*size);
            settle(&mut sizes, &|sizes| grow(sizes, config));
        }
        let grown = sizes.clone();
        settle(&mut sizes, &|sizes| pack(sizes, config));
        (written, grown, sizes)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn merging_ends_rewrites_each_row_a_few_times_and_leaves_few_files(
            sizes in prop::collection::vec(1..2_000_u64, 1..400),
            least_files in 4..12_u64,
        ) {
            let config = Config { least_files, target_bytes: 10_000, ..Config::default() };
            let (written, grown, packed) = simulate(&sizes, &config);
            let bytes: u64 = sizes.iter().sum();
            // Sizes rise at least twofold from 1 to 10,000; then come filling and packing.
            let steps = f64::from(10_000_u32).log(growth(&config) as f64).ceil() as u64;
            prop_assert!(written <= bytes * (steps + 2), "{written} for {bytes}");
            let small = |sizes: &[u64]| sizes.split(|size| *size > 5_000).map(<[u64]>::len).max().unwrap_or(0) as u64;
            prop_assert!(small(&grown) <= least_files * (steps + 1), "{grown:?}");
            // No two neighbours would fit into one file, so it is at most twice as many as there must be.
            prop_assert!(packed.windows(2).all(|two| two[0] + two[1] > 10_000), "{packed:?}");
        }
    }

    #[test]
    fn a_day_of_equal_flushes_is_written_less_than_four_times() {
        let config = Config { target_bytes: 256, ..Config::default() };
        let (written, grown, packed) = simulate(&[1; 2_560], &config);
        assert!(written <= 4 * 2_560, "{written}");
        assert!(grown.len() <= 40 && packed.len() <= 16, "{} and {}", grown.len(), packed.len());
    }
}
