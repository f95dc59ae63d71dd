//! A time range as a filter on the columns that hold a span's start.

use datafusion::prelude::{Expr, col, lit};
use datafusion::scalar::ScalarValue;
use spanlake_model::{TimeRange, Timestamp};

/// Rows that start in the range, to the nanosecond: `start_time` holds microseconds, `start_nanos` the rest.
pub fn starts_in(range: TimeRange) -> Expr {
    at_or_after(range.start()).and(before(range.end()))
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
