//! Data files: immutable Parquet, one tenant, one table, one UTC day.
//!
//! Rows are sorted by app, start minute, and the rest of their key (a span's trace id and span id), so that time prunes, a trace lies together and a resent span
//! lies beside itself. Input and output are the last columns: a list that does not ask for them never reads them.

mod found;
mod key;
pub mod merge;
mod properties;
mod reader;
mod upload;

pub use found::draft_of;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use futures::FutureExt;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::errors::ParquetError;
use spanlake_model::{Day, FileId, SpanKey, Table, TenantId, Timestamp};

pub use properties::Config;
use properties::properties;

use crate::rows::{Rank, row_keys, version_columns, versions as versions_of};
use crate::schema;

/// Why a data file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Rows that do not fit together: a mistake of ours.
    #[error("rows could not be sorted")]
    Rows(#[from] ArrowError),
    /// The file is broken, or could not be made.
    #[error("a data file could not be encoded or decoded")]
    Parquet(#[from] ParquetError),
    /// It does not hold what its table has.
    #[error("a data file does not hold its table's rows")]
    Columns(#[from] crate::rows::DecodeError),
    /// The file is broken in a way that its decoder did not expect.
    #[error("a data file is broken: decoding it panicked")]
    Panicked,
    /// The store refuses or is away.
    #[error("the store failed")]
    Store(#[from] object_store::Error),
}

impl Error {
    /// Whether the file is gone or broken, so that reading it again is no use; otherwise the store may answer next time.
    pub fn is_lasting(&self) -> bool {
        let is_gone = |error: &object_store::Error| matches!(error, object_store::Error::NotFound { .. });
        match self {
            Self::Rows(_) | Self::Columns(_) | Self::Panicked => true,
            Self::Parquet(ParquetError::External(cause)) => cause.downcast_ref().is_none_or(is_gone),
            Self::Parquet(_) => true,
            Self::Store(error) => is_gone(error),
        }
    }
}

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Whose.
    pub tenant: TenantId,
    /// Of which table.
    pub table: Table,
    /// The day all rows start on.
    pub day: Day,
    /// Never used twice.
    pub file: FileId,
}

impl Name {
    /// `t/<tenant>/<table>/<day>/<file>.parquet`.
    pub fn path(&self) -> String {
        format!("t/{}/{}/{}/{}.parquet", self.tenant, self.table.as_str(), self.day, self.file)
    }
}

/// A file as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Size.
    pub bytes: u64,
    /// Start of the first row in time.
    pub min_start: Timestamp,
    /// Start of the last row in time.
    pub max_start: Timestamp,
}

/// Rows sorted as data files have them, apart by day.
///
/// # Errors
/// When the batches do not have the table's columns.
pub fn sort(table: Table, batches: &[RecordBatch]) -> Result<Vec<(Day, RecordBatch)>, Error> {
    let all = concat_batches(&schema::of(table), batches)?;
    let minutes = all.column_by_name("start_minute").ok_or_else(missing)?.as_primitive::<Int32Type>();
    let day = |row: u32| Day(minutes.value(row as usize).div_euclid(24 * 60));
    let order = order(table, &all)?;
    let mut days: Vec<_> = order.iter().map(|row| day(*row)).collect();
    days.sort_unstable();
    days.dedup();
    days.into_iter()
        .map(|wanted| {
            let rows: UInt32Array = order.iter().copied().filter(|row| day(*row) == wanted).collect();
            Ok((wanted, take_record_batch(&all, &rows)?))
        })
        .collect()
}

fn missing() -> Error {
    Error::Rows(ArrowError::SchemaError("a sort column is missing".into()))
}

/// Row numbers in the order of the sort key.
fn order(table: Table, batch: &RecordBatch) -> Result<Vec<u32>, Error> {
    let [high, low] = schema::key_columns(table);
    let keys = ["app_id", "start_minute", high, low]
        .map(|name| batch.column_by_name(name).cloned().ok_or_else(missing))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let fields = keys.iter().map(|key| SortField::new(key.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(&keys)?;
    let mut order: Vec<u32> = (0..u32::try_from(batch.num_rows()).unwrap_or(u32::MAX)).collect();
    order.sort_unstable_by_key(|row| rows.row(*row as usize));
    Ok(order)
}

/// Encodes one day's sorted rows. Takes a while: keep it off the async threads.
///
/// # Errors
/// When the rows do not have the table's columns, or there are none.
pub fn encode(name: &Name, rows: &RecordBatch, config: &Config) -> Result<(Vec<u8>, Written), Error> {
    let starts = rows.column_by_name("start_time").ok_or_else(missing)?.as_primitive::<TimestampMicrosecondType>();
    let min = arrow::compute::min(starts).ok_or_else(missing)?;
    let max = arrow::compute::max(starts).ok_or_else(missing)?;
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties(name, rows.num_rows(), config)))?;
    writer.write(rows)?;
    let bytes = writer.into_inner()?;
    let written = written(rows.num_rows() as u64, bytes.len() as u64, min, max);
    Ok((bytes, written))
}

/// A file whose starts lie between these microseconds.
fn written(rows: u64, bytes: u64, min_start: i64, max_start: i64) -> Written {
    Written {
        rows,
        bytes,
        min_start: Timestamp::from_micros(min_start),
        // The column is cut to microseconds; the row may begin up to 999 ns later.
        max_start: Timestamp::from_nanos(Timestamp::from_micros(max_start).as_nanos().saturating_add(999)),
    }
}

/// Puts an encoded file into its tenant's store; durable when it answers.
///
/// # Errors
/// When the store refuses, or a file of that name is there already.
pub async fn put(store: &dyn ObjectStore, name: &Name, bytes: Vec<u8>) -> Result<(), Error> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    store.put_opts(&Path::from(name.path()), PutPayload::from(bytes), options).await?;
    Ok(())
}

/// Deletes a file from its tenant's store; one that is gone already is fine.
///
/// # Errors
/// When the store refuses or is away.
pub async fn delete(store: &dyn ObjectStore, path: &str) -> Result<(), Error> {
    match store.delete(&Path::from(path)).await {
        Err(object_store::Error::NotFound { .. }) => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// What reading a broken file comes to: some flipped bits make its decoder panic (`arrow-ipc` 59.3, `convert.rs`).
///
/// # Errors
/// Those of `reading`; [`Error::Panicked`].
pub async fn caught<T, E: From<Error>>(reading: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    AssertUnwindSafe(reading).catch_unwind().await.unwrap_or_else(|_| Err(Error::Panicked.into()))
}

/// How long the file is in its tenant's store.
///
/// # Errors
/// When it is gone, or the store refuses or is away.
pub async fn size(store: &dyn ObjectStore, path: &str) -> Result<u64, Error> {
    Ok(store.head(&Path::from(path)).await?.size)
}

/// Each row's key, and what decides between it and other versions of it; a few thousand at a time.
///
/// # Errors
/// When the file is gone, broken, or of another table.
pub async fn versions(
    store: Arc<dyn ObjectStore>,
    table: Table,
    path: &str,
) -> Result<BoxStream<'static, Result<Vec<(SpanKey, Rank)>, Error>>, Error> {
    let batches = read(store, path, Some(version_columns(table))).await?;
    Ok(batches.map(move |batch| Ok(versions_of(table, &batch?)?)).boxed())
}

/// Each row's key; a few thousand at a time.
///
/// # Errors
/// When the file is gone, broken, or of another table.
pub async fn keys(
    store: Arc<dyn ObjectStore>,
    table: Table,
    path: &str,
) -> Result<BoxStream<'static, Result<Vec<SpanKey>, Error>>, Error> {
    let [high, low] = schema::key_columns(table);
    let batches = read(store, path, Some(&["app_id", high, low])).await?;
    Ok(batches.map(move |batch| Ok(row_keys(table, &batch?)?)).boxed())
}

/// The rows of a file in their order, all columns or those named.
///
/// # Errors
/// When the file is gone or broken.
pub async fn read(
    store: Arc<dyn ObjectStore>,
    path: &str,
    columns: Option<&[&str]>,
) -> Result<BoxStream<'static, Result<RecordBatch, Error>>, Error> {
    let reader = reader::ObjectReader { store, path: Path::from(path) };
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await?;
    let mask = match columns {
        Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
        None => ProjectionMask::all(),
    };
    Ok(builder.with_projection(mask).with_batch_size(8_192).build()?.map_err(Error::from).boxed())
}
