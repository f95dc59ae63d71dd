//! What rows are sorted by, as bytes that compare alike.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use spanlake_model::Table;

use super::{Error, missing};

/// App, start minute and the key of one row, in the order of data files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SortKey([u8; SortKey::BYTES]);

impl SortKey {
    const BYTES: usize = 16 + 4 + 16 + 8;

    /// The key of each row.
    pub(super) fn of(table: Table, batch: &RecordBatch) -> Result<Vec<Self>, Error> {
        let [high, low] = crate::schema::key_columns(table);
        let column = |name| batch.column_by_name(name).ok_or_else(missing);
        let id = |name| column(name)?.as_fixed_size_binary_opt().ok_or_else(missing);
        let (apps, traces, spans) = (id("app_id")?, id(high)?, id(low)?);
        let minutes = column("start_minute")?.as_primitive_opt::<Int32Type>().ok_or_else(missing)?;
        if (apps.value_length(), traces.value_length(), spans.value_length()) != (16, 16, 8) || minutes.null_count() > 0
        {
            return Err(missing());
        }
        let key = |row| {
            let mut bytes = [0; Self::BYTES];
            bytes[..16].copy_from_slice(apps.value(row));
            bytes[16..20].copy_from_slice(&ordered(minutes.value(row)));
            bytes[20..36].copy_from_slice(traces.value(row));
            bytes[36..].copy_from_slice(spans.value(row));
            Self(bytes)
        };
        Ok((0..batch.num_rows()).map(key).collect())
    }
}

/// Big-endian with the sign turned over: bytes that compare as the numbers do.
const fn ordered(number: i32) -> [u8; 4] {
    (number ^ i32::MIN).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_before_and_after_the_epoch_compare_as_bytes() {
        let numbers = [i32::MIN, -1_440, -1, 0, 1, 29_395_000, i32::MAX];
        assert!(numbers.map(ordered).is_sorted());
    }
}
