//! Which rows of which files have been replaced.

use std::collections::HashMap;

use spanlake_catalog::DataFile;
use spanlake_model::SpanKey;

/// For each replaced key the version below which its rows are dead. Rows of memory replace those of every file.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    below: HashMap<SpanKey, u64>,
}

/// Higher than the version of any file.
const FRESH: u64 = u64::MAX;

impl Hidden {
    /// From the lists that travel with files and with fresh rows.
    pub(crate) fn of<'a>(files: &[DataFile], fresh: impl IntoIterator<Item = &'a SpanKey>) -> Self {
        let from_files = files.iter().flat_map(|file| file.superseded.iter().map(|key| (*key, file.version)));
        let from_memory = fresh.into_iter().map(|key| (*key, FRESH));
        let mut below = HashMap::new();
        for (key, version) in from_files.chain(from_memory) {
            let highest = below.entry(key).or_insert(version);
            *highest = version.max(*highest);
        }
        Self { below }
    }

    /// All of them.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &SpanKey> {
        self.below.keys()
    }

    /// Whether a row with this key, in a file of this version, has been replaced.
    pub(crate) fn hides(&self, key: &SpanKey, version: u64) -> bool {
        self.below.get(key).is_some_and(|below| *below > version)
    }

    /// Splits the files (lowest version first) into runs within which the same keys are hidden: with each run its
    /// lowest version, or `None` when nothing can be hidden in it.
    pub(crate) fn runs<'a>(&self, files: &'a [DataFile]) -> Vec<(Option<u64>, Vec<&'a DataFile>)> {
        let mut cuts: Vec<_> = self.below.values().copied().collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut runs: Vec<(usize, Option<u64>, Vec<&DataFile>)> = Vec::new();
        for file in files {
            let passed = cuts.partition_point(|cut| *cut <= file.version);
            match runs.last_mut() {
                Some((same, _, run)) if *same == passed => run.push(file),
                _ => runs.push((passed, (passed < cuts.len()).then_some(file.version), vec![file])),
            }
        }
        runs.into_iter().map(|(_, version, run)| (version, run)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spanlake_model::{AppId, Day, FileId, SpanId, Table, TenantId, Timestamp, TraceId};

    fn key(byte: u8) -> SpanKey {
        SpanKey {
            app_id: AppId::from_bytes([byte; 16]),
            trace_id: TraceId::from_bytes([byte; 16]).unwrap(),
            span_id: SpanId::from_bytes([byte; 8]).unwrap(),
        }
    }

    fn file(version: u64, superseded: &[SpanKey]) -> DataFile {
        DataFile {
            id: FileId::from_bytes([0; 16]),
            tenant: TenantId::from_bytes([0; 16]),
            table: Table::Spans,
            day: Day(0),
            path: String::new(),
            rows: 1,
            bytes: 1,
            min_start: Timestamp::from_secs(0),
            max_start: Timestamp::from_secs(0),
            version,
            superseded: superseded.to_vec(),
        }
    }

    fn shape(runs: &[(Option<u64>, Vec<&DataFile>)]) -> Vec<(Option<u64>, usize)> {
        runs.iter().map(|(version, files)| (*version, files.len())).collect()
    }

    #[test]
    fn without_replaced_keys_all_files_are_plain() {
        let files = [file(1, &[]), file(2, &[]), file(3, &[])];
        assert_eq!(shape(&Hidden::of(&files, []).runs(&files)), [(None, 3)]);
    }

    #[test]
    fn a_key_is_hidden_below_the_version_that_replaced_it_and_not_in_it() {
        let files = [file(1, &[]), file(2, &[]), file(3, &[key(1)]), file(4, &[])];
        let hidden = Hidden::of(&files, []);
        assert_eq!(shape(&hidden.runs(&files)), [(Some(1), 2), (None, 2)]);
        assert!(hidden.hides(&key(1), 2) && !hidden.hides(&key(1), 3) && !hidden.hides(&key(2), 1));
    }

    #[test]
    fn what_is_in_memory_replaces_every_file() {
        let files = [file(1, &[]), file(9, &[key(2)])];
        let hidden = Hidden::of(&files, &[key(1)]);
        assert_eq!(shape(&hidden.runs(&files)), [(Some(1), 1), (Some(9), 1)]);
        assert!(hidden.hides(&key(1), 9) && hidden.hides(&key(2), 1) && !hidden.hides(&key(2), 9));
    }
}
