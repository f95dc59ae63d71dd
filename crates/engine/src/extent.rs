//! How much lies when, as far as is known without opening files.

use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use spanlake_catalog::DataFile;
use spanlake_model::{TimeRange, Timestamp};

/// A number of rows that start between two instants, both included, about evenly.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    first: Timestamp,
    last: Timestamp,
    rows: u64,
}

/// Where the rows of a snapshot lie in time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extent(Vec<Stretch>);

impl Extent {
    pub(crate) fn of(files: &[DataFile], fresh: &[RecordBatch]) -> Self {
        let in_file = |file: &DataFile| Stretch { first: file.min_start, last: file.max_start, rows: file.rows };
        Self(files.iter().map(in_file).chain(fresh.iter().filter_map(Stretch::of)).collect())
    }

    /// The first instant at which a row may start.
    pub(crate) fn first(&self) -> Option<Timestamp> {
        self.0.iter().map(|stretch| stretch.first).min()
    }

    /// The range that ends at `end`, begins at `floor` or later, and holds about so many rows; `floor..end` when it holds fewer.
    pub(crate) fn before(&self, end: Timestamp, floor: Timestamp, rows: u64) -> Option<TimeRange> {
        let (mut enough, mut little) = (floor, end);
        if self.rows(floor, end) <= rows {
            return TimeRange::new(floor, end).ok();
        }
        // Halving stops at a millisecond: a burst of rows in one instant cannot be split.
        while little.since(enough) > Duration::from_millis(1) {
            let middle = enough.plus(little.since(enough) / 2);
            if self.rows(middle, end) > rows { enough = middle } else { little = middle }
        }
        TimeRange::new(enough, end).ok()
    }

    /// The range that begins at `start`, ends at `ceiling` or earlier, and holds about so many rows; `start..ceiling` when it holds fewer.
    pub(crate) fn after(&self, start: Timestamp, ceiling: Timestamp, rows: u64) -> Option<TimeRange> {
        let (mut little, mut enough) = (start, ceiling);
        if self.rows(start, ceiling) <= rows {
            return TimeRange::new(start, ceiling).ok();
        }
        // As above.
        while enough.since(little) > Duration::from_millis(1) {
            let middle = little.plus(enough.since(little) / 2);
            // A range does not hold its end.
            let held = self.rows(start, middle.minus(Duration::from_nanos(1)));
            if held > rows { enough = middle } else { little = middle }
        }
        TimeRange::new(start, enough).ok()
    }

    fn rows(&self, from: Timestamp, to: Timestamp) -> u64 {
        self.0.iter().map(|stretch| stretch.within(from, to)).sum()
    }
}

impl Stretch {
    /// Of rows in memory.
    fn of(batch: &RecordBatch) -> Option<Self> {
        let starts = batch.column_by_name("start_time")?.as_primitive_opt::<TimestampMicrosecondType>()?;
        Some(Self {
            first: Timestamp::from_micros(arrow::compute::min(starts)?),
            last: Timestamp::from_micros(arrow::compute::max(starts)?),
            rows: batch.num_rows() as u64,
        })
    }

    fn within(&self, from: Timestamp, to: Timestamp) -> u64 {
        let (first, last) = (self.first.max(from), self.last.min(to));
        if first > last {
            return 0;
        }
        let length = self.last.since(self.first).as_secs_f64();
        let share = if length > 0.0 { last.since(first).as_secs_f64() / length } else { 1.0 };
        (self.rows as f64 * share).ceil() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_767_312_000 + seconds as i64)
    }

    fn extent(stretches: &[(u64, u64, u64)]) -> Extent {
        let stretch =
            |(first, last, rows): &(u64, u64, u64)| Stretch { first: at(*first), last: at(*last), rows: *rows };
        Extent(stretches.iter().map(stretch).collect())
    }

    #[test]
    fn a_range_reaches_back_until_it_holds_enough() {
        let extent = extent(&[(0, 1_000, 1_000), (1_000, 2_000, 10_000)]);
        let near = extent.before(at(2_000), at(0), 1_000).unwrap();
        assert!((near.end().since(near.start()).as_secs_f64() - 100.0).abs() < 1.0, "{near:?}");
        let further = extent.before(at(2_000), at(0), 10_500).unwrap();
        assert!((further.start().since(at(0)).as_secs_f64() - 500.0).abs() < 1.0, "{further:?}");
    }

    #[test]
    fn a_range_reaches_on_until_it_holds_enough() {
        let extent = extent(&[(0, 1_000, 1_000), (1_000, 2_000, 10_000)]);
        let near = extent.after(at(0), at(2_000), 500).unwrap();
        assert!((near.end().since(near.start()).as_secs_f64() - 500.0).abs() < 1.0, "{near:?}");
        let further = extent.after(at(0), at(2_000), 6_000).unwrap();
        assert!((further.end().since(at(0)).as_secs_f64() - 1_500.0).abs() < 1.0, "{further:?}");
        assert_eq!(extent.after(at(1_990), at(2_000), 10_000), TimeRange::new(at(1_990), at(2_000)).ok());
        assert_eq!(extent.after(at(2_000), at(2_000), 1), None);
    }

    #[test]
    fn where_little_lies_the_range_reaches_to_the_floor() {
        let extent = extent(&[(0, 1_000, 10)]);
        assert_eq!(extent.before(at(2_000), at(500), 100), TimeRange::new(at(500), at(2_000)).ok());
        assert_eq!(Extent::default().before(at(2_000), at(0), 1), TimeRange::new(at(0), at(2_000)).ok());
    }

    #[test]
    fn a_burst_in_one_instant_is_taken_whole() {
        let extent = extent(&[(1_000, 1_000, 1_000_000)]);
        let range = extent.before(at(2_000), at(0), 10).unwrap();
        assert!(range.contains(at(1_000)), "{range:?}");
        let range = extent.after(at(0), at(2_000), 10).unwrap();
        assert!(range.contains(at(1_000)), "{range:?}");
    }
}
