//! Which of two versions of a span is seen.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use spanlake_model::{SpanKey, Table, Timestamp, WriterId};

use super::decode::{DecodeError, broken, column, row_keys};

/// Decides between two versions of a span that came through different writers: the greater is seen. A finished span is never
/// replaced by an unfinished one; else the one received later is seen, to the microsecond; else the greater writer's, so that
/// everyone decides alike. Within one writer, whose time of receipt never goes back, the later frame decides among equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Whether it has ended.
    pub finished: bool,
    /// When it was received, in whole microseconds.
    pub received_at: Timestamp,
    /// Through which writer.
    pub writer: WriterId,
}

/// The columns that [`versions`] reads.
pub const fn version_columns(table: Table) -> &'static [&'static str] {
    match table {
        Table::Spans => &["app_id", "trace_id", "span_id", "end_time", "received_at", "writer_id"],
        Table::Scores => &["app_id", "key_high", "key_low", "received_at", "writer_id"],
    }
}

/// Each row's key and rank, in the order of the rows. A score has always ended: it takes no time.
///
/// # Errors
/// When one of [`version_columns`] is missing or of another type.
pub fn versions(table: Table, batch: &RecordBatch) -> Result<Vec<(SpanKey, Rank)>, DecodeError> {
    let ended = match table {
        Table::Spans => Some(column(batch, "end_time")?),
        Table::Scores => None,
    };
    let received = column(batch, "received_at")?
        .as_primitive_opt::<TimestampMicrosecondType>()
        .ok_or_else(|| broken("received_at", "it is no time"))?;
    let writers =
        column(batch, "writer_id")?.as_fixed_size_binary_opt().ok_or_else(|| broken("writer_id", "it is no id"))?;
    let rank = |row: usize| {
        let writer = writers.value(row).try_into().map_err(|_| broken("writer_id", "it is not 16 bytes"))?;
        Ok(Rank {
            finished: ended.is_none_or(|ended| ended.is_valid(row)),
            received_at: Timestamp::from_micros(received.value(row)),
            writer: WriterId::from_bytes(writer),
        })
    };
    row_keys(table, batch)?.into_iter().enumerate().map(|(row, key)| Ok((key, rank(row)?))).collect()
}
