//! Which rows have been erased: told from each row alone.
//!
//! A score goes with the trace it names; and it can be named itself, by the sixteen bytes of its key in a trace id's place:
//! both are random, so neither is ever taken for the other.

use arrow::array::{Array, AsArray, BooleanArray, FixedSizeBinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use spanlake_model::{AppId, Erasure, RowPlace, Table, TraceId, WriterId};

use crate::rows::DecodeError;

/// The columns that tell.
pub const fn columns(table: Table) -> &'static [&'static str] {
    match table {
        Table::Spans => &["app_id", "trace_id", "sequence", "writer_id"],
        Table::Scores => &["app_id", "key_high", "trace_id", "sequence", "writer_id"],
    }
}

/// For each row of a batch that has [`columns`], whether this erasure covers it.
///
/// # Errors
/// When a column is missing, of another type, or holds what we never write.
pub fn covered(table: Table, batch: &RecordBatch, erasure: &Erasure) -> Result<BooleanArray, DecodeError> {
    let places = Places::of(table, batch)?;
    (0..batch.num_rows()).map(|row| Ok(Some(places.at(row)?.any(|place| erasure.covers(place))))).collect()
}

/// For each row of a batch that has [`columns`], whether it stays: no erasure covers it.
///
/// # Errors
/// As [`covered`].
pub fn kept(table: Table, batch: &RecordBatch, erasures: &[Erasure]) -> Result<BooleanArray, DecodeError> {
    let places = Places::of(table, batch)?;
    let is_erased = |place| erasures.iter().any(|erasure| erasure.covers(place));
    (0..batch.num_rows()).map(|row| Ok(Some(!places.at(row)?.any(is_erased)))).collect()
}

struct Places<'a> {
    apps: &'a FixedSizeBinaryArray,
    traces: &'a FixedSizeBinaryArray,
    /// Of scores.
    keys: Option<&'a FixedSizeBinaryArray>,
    sequences: &'a Int64Array,
    writers: &'a FixedSizeBinaryArray,
}

impl<'a> Places<'a> {
    fn of(table: Table, batch: &'a RecordBatch) -> Result<Self, DecodeError> {
        let keys = match table {
            Table::Spans => None,
            Table::Scores => Some(ids(batch, "key_high")?),
        };
        let sequences = column(batch, "sequence")?.as_primitive_opt::<Int64Type>();
        Ok(Self {
            apps: ids(batch, "app_id")?,
            traces: ids(batch, "trace_id")?,
            keys,
            sequences: sequences.ok_or_else(|| DecodeError::new("sequence", "it is no number"))?,
            writers: ids(batch, "writer_id")?,
        })
    }

    /// By its trace, and by its own key.
    fn at(&self, row: usize) -> Result<impl Iterator<Item = RowPlace>, DecodeError> {
        let sequence = u64::try_from(self.sequences.value(row)).map_err(|why| DecodeError::new("sequence", why))?;
        let app = AppId::from_bytes(id("app_id", self.apps, row)?);
        let writer = WriterId::from_bytes(id("writer_id", self.writers, row)?);
        let named = |name, ids: &FixedSizeBinaryArray| {
            TraceId::from_slice(ids.value(row)).map_err(|why| DecodeError::new(name, why))
        };
        let trace = self.traces.is_valid(row).then(|| named("trace_id", self.traces)).transpose()?;
        let key = self.keys.map(|keys| named("key_high", keys)).transpose()?;
        Ok(trace.into_iter().chain(key).map(move |trace| RowPlace { app, trace, writer, sequence }))
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a dyn Array, DecodeError> {
    batch.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| DecodeError::new(name, "it is missing"))
}

fn ids<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a FixedSizeBinaryArray, DecodeError> {
    column(batch, name)?.as_fixed_size_binary_opt().ok_or_else(|| DecodeError::new(name, "it is no id"))
}

fn id(name: &'static str, ids: &FixedSizeBinaryArray, row: usize) -> Result<[u8; 16], DecodeError> {
    ids.value(row).try_into().map_err(|_| DecodeError::new(name, "it is not 16 bytes"))
}
