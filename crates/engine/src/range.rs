//! A time range as a filter on the columns that hold a span's start.

use std::time::Duration;

use datafusion::prelude::{Expr, col, lit};
use datafusion::scalar::ScalarValue;
use spanlake_model::{TimeRange, Timestamp};

/// Rows that start in the range, to the nanosecond: `start_time` holds microseconds, `start_nanos` the rest.
pub fn starts_in(range: TimeRange) -> Expr {
    at_or_after(range.start()).and(before(range.end()))
}

/// Rows that start in any of these ranges.
pub fn starts_in_any(ranges: &[TimeRange]) -> Expr {
    ranges.iter().map(|range| starts_in(*range)).reduce(Expr::or).unwrap_or(lit(false))
}

/// Ranges in order, those that lie closer together than `gap` as one; no more than `most`, for which the gap grows.
pub fn joined(mut ranges: Vec<TimeRange>, gap: Duration, most: usize) -> Vec<TimeRange> {
    ranges.sort_unstable_by_key(|range| range.start());
    let (mut ranges, mut gap) = (closed(ranges, gap), gap.max(Duration::from_micros(1)));
    while ranges.len() > most.max(1) {
        gap = gap.saturating_mul(2);
        ranges = closed(ranges, gap);
    }
    ranges
}

/// Of ranges in order.
fn closed(ranges: Vec<TimeRange>, gap: Duration) -> Vec<TimeRange> {
    let mut joined: Vec<TimeRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start() <= last.end().plus(gap) => {
                *last = TimeRange::new(last.start(), last.end().max(range.end())).unwrap_or(*last);
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// The microsecond that a span begins in, which is what its column says.
pub fn microsecond(micros: i64) -> TimeRange {
    let start = Timestamp::from_micros(micros);
    TimeRange::new(start, start.plus(Duration::from_micros(1))).expect("a microsecond is not empty")
}

fn at_or_after(at: Timestamp) -> Expr {
    let coarse = col("start_time").gt_eq(micros(at));
    match rest(at) {
        0 => coarse,
        nanos => coarse.and(col("start_time").gt(micros(at)).or(col("start_nanos").gt_eq(lit(nanos)))),
    }
}

fn before(at: Timestamp) -> Expr {
    match rest(at) {
        0 => col("start_time").lt(micros(at)),
        nanos => (col("start_time").lt_eq(micros(at)))
            .and(col("start_time").lt(micros(at)).or(col("start_nanos").lt(lit(nanos)))),
    }
}

fn micros(at: Timestamp) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(at.as_micros()), Some("UTC".into())))
}

fn rest(at: Timestamp) -> i16 {
    i16::try_from(at.as_nanos().rem_euclid(1_000)).expect("below 1,000")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(most: usize) -> Vec<(i64, i64)> {
        let second = |second: i64| microsecond(second * 1_000_000);
        let ranges = vec![second(5_000), second(0), second(300), second(5_001), second(900), second(1_000_000)];
        let found = joined(ranges, Duration::from_secs(600), most);
        found.iter().map(|found| (found.start().as_micros(), found.end().as_micros())).collect()
    }

    #[test]
    fn ranges_that_lie_close_together_are_one_and_they_are_no_more_than_asked_for() {
        let apart = [(0, 900_000_001), (5_000_000_000, 5_001_000_001), (1_000_000_000_000, 1_000_000_000_001)];
        assert_eq!(bounds(3), apart);
        assert_eq!(bounds(2), [(0, 5_001_000_001), apart[2]]);
        assert_eq!(bounds(1), [(0, 1_000_000_000_001)]);
    }
}
