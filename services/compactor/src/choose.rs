//! Which files of a day to merge.

use std::ops::Range;

use spanlake_catalog::DataFile;

use crate::config::Config;

/// The files to merge next, out of a day's live files in the order of their versions: neighbours, at least two, within the
/// bound on bytes; oldest first. `None` when the day is as it should be.
///
/// Files of more than half the bound stay as they are: merging them again would write much and save little. What lies
/// between them is merged once it fills the bound (the outcome is then one that stays), or once it is many files.
pub(crate) fn choose(files: &[DataFile], config: &Config) -> Option<Range<usize>> {
    let (max, least) = (config.input_bytes_max, config.least_files());
    let many = |run: &Range<usize>| run.len() as u64 >= least;
    let (mut start, mut bytes) = (0, 0);
    for (at, file) in files.iter().enumerate() {
        let run = start..at;
        if file.bytes > max / 2 {
            if many(&run) {
                return Some(run);
            }
            (start, bytes) = (at + 1, 0);
        } else if bytes + file.bytes > max {
            // More than half the bound, of files that are at most half of it: two at least.
            return Some(run);
        } else {
            bytes += file.bytes;
        }
    }
    Some(start..files.len()).filter(many)
}

#[cfg(test)]
mod tests {
    use super::*;
    use spanlake_model::{Day, FileId, Table, TenantId, Timestamp};

    fn chosen(least_files: u64, sizes: &[u64]) -> Option<Range<usize>> {
        let file = |(version, bytes): (usize, &u64)| DataFile {
            id: FileId::from_bytes([0; 16]),
            tenant: TenantId::from_bytes([0; 16]),
            table: Table::Spans,
            day: Day(0),
            path: String::new(),
            rows: 1,
            bytes: *bytes,
            min_start: Timestamp::from_secs(0),
            max_start: Timestamp::from_secs(0),
            version: version as u64,
            superseded: Vec::new(),
        };
        let files: Vec<_> = sizes.iter().enumerate().map(file).collect();
        choose(&files, &Config { least_files, input_bytes_max: 100, ..Config::default() })
    }

    #[test]
    fn few_files_wait_for_more() {
        assert_eq!(chosen(4, &[1, 1, 1]), None);
        assert_eq!(chosen(4, &[1, 1, 1, 1]), Some(0..4));
    }

    #[test]
    fn no_merge_reads_more_than_its_bound() {
        assert_eq!(chosen(4, &[40, 40, 20, 1, 1]), Some(0..3));
        assert_eq!(chosen(99, &[50, 50, 1]), Some(0..2), "full: no need to wait for more");
    }

    #[test]
    fn a_file_of_its_final_size_is_left_alone() {
        assert_eq!(chosen(2, &[51, 99, 1_000, 60]), None);
        assert_eq!(chosen(2, &[51, 1, 1]), Some(1..3));
    }

    #[test]
    fn only_neighbours_are_merged() {
        assert_eq!(chosen(2, &[1, 60, 1]), None);
        assert_eq!(chosen(2, &[1, 60, 1, 1, 60, 1]), Some(2..4));
    }

    #[test]
    fn a_single_file_is_never_merged_whatever_is_configured() {
        assert_eq!(chosen(0, &[1]), None);
        assert_eq!(chosen(1, &[]), None);
    }

    #[test]
    fn merging_ends_with_few_files_between_those_of_final_size() {
        let mut sizes: Vec<u64> = (0..500).map(|number| number * 37 % 61).collect();
        while let Some(run) = chosen(8, &sizes) {
            let bytes: u64 = sizes[run.clone()].iter().sum();
            assert!(run.len() >= 2 && bytes <= 100, "{run:?} of {bytes}");
            sizes.splice(run, [bytes]);
        }
        for between in sizes.split(|size| *size > 50) {
            assert!(between.len() < 8 && between.iter().sum::<u64>() <= 100, "{between:?} stay");
        }
    }
}
