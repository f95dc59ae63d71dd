//! Which rows have been erased: told from each row alone.

use arrow::array::{Array, AsArray, BooleanArray, FixedSizeBinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use spanlake_model::{AppId, Erasure, RowPlace, TraceId, WriterId};

use crate::rows::DecodeError;

/// The columns that tell.
pub const COLUMNS: [&str; 4] = ["app_id", "trace_id", "sequence", "writer_id"];

/// For each row of a batch that has [`COLUMNS`], whether this erasure covers it.
///
/// # Errors
/// When a column is missing, of another type, or holds what we never write.
pub fn covered(batch: &RecordBatch, erasure: &Erasure) -> Result<BooleanArray, DecodeError> {
    let places = Places::of(batch)?;
    (0..batch.num_rows()).map(|row| Ok(Some(erasure.covers(places.at(row)?)))).collect()
}

/// For each row of a batch that has [`COLUMNS`], whether it stays: no erasure covers it.
///
/// # Errors
/// As [`covered`].
pub fn kept(batch: &RecordBatch, erasures: &[Erasure]) -> Result<BooleanArray, DecodeError> {
    let places = Places::of(batch)?;
    let is_kept = |place| !erasures.iter().any(|erasure| erasure.covers(place));
    (0..batch.num_rows()).map(|row| Ok(Some(is_kept(places.at(row)?)))).collect()
}

struct Places<'a> {
    apps: &'a FixedSizeBinaryArray,
    traces: &'a FixedSizeBinaryArray,
    sequences: &'a Int64Array,
    writers: &'a FixedSizeBinaryArray,
}

impl<'a> Places<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, DecodeError> {
        let sequences = column(batch, "sequence")?.as_primitive_opt::<Int64Type>();
        Ok(Self {
            apps: ids(batch, "app_id")?,
            traces: ids(batch, "trace_id")?,
            sequences: sequences.ok_or_else(|| DecodeError::new("sequence", "it is no number"))?,
            writers: ids(batch, "writer_id")?,
        })
    }

    fn at(&self, row: usize) -> Result<RowPlace, DecodeError> {
        let sequence = u64::try_from(self.sequences.value(row));
        Ok(RowPlace {
            app: AppId::from_bytes(id("app_id", self.apps, row)?),
            trace: TraceId::from_slice(self.traces.value(row)).map_err(|why| DecodeError::new("trace_id", why))?,
            writer: WriterId::from_bytes(id("writer_id", self.writers, row)?),
            sequence: sequence.map_err(|why| DecodeError::new("sequence", why))?,
        })
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
