//! On which days rows start, as far as is known without opening files.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use spanlake_catalog::DataFile;
use spanlake_model::{Day, TimeRange};

const MINUTES: i32 = 24 * 60;

/// Of these files and of these rows in memory: those that touch the range, in order.
pub(crate) fn days_in(range: TimeRange, files: &[DataFile], fresh: &[RecordBatch]) -> Vec<Day> {
    let in_files = files.iter().map(|file| file.day);
    let days: BTreeSet<Day> = in_files.chain(fresh.iter().flat_map(days_of)).collect();
    let touches = |day: &Day| range.start() < day.range().end() && day.start() < range.end();
    days.into_iter().filter(touches).collect()
}

fn days_of(batch: &RecordBatch) -> BTreeSet<Day> {
    let minutes = batch.column_by_name("start_minute").and_then(|minutes| minutes.as_primitive_opt::<Int32Type>());
    minutes.into_iter().flat_map(|minutes| minutes.values()).map(|minute| Day(minute.div_euclid(MINUTES))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int32Array};
    use std::sync::Arc;

    #[test]
    fn rows_in_memory_lie_on_the_day_of_their_minute() {
        let minutes: ArrayRef = Arc::new(Int32Array::from(vec![3 * MINUTES, -1, 3 * MINUTES - 1, -MINUTES, 0]));
        let batch = RecordBatch::try_from_iter([("start_minute", minutes)]).unwrap();
        let days = |range| days_in(range, &[], std::slice::from_ref(&batch));
        assert_eq!(days(TimeRange::all()), [Day(-1), Day(0), Day(2), Day(3)]);
        let from_noon = TimeRange::new(Day(0).start().plus(std::time::Duration::from_hours(12)), Day(3).start());
        assert_eq!(days(from_noon.unwrap()), [Day(0), Day(2)]);
    }
}
