//! One file of a merge, as a stream of small batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::PageIndexPolicy;
use tokio::runtime::Handle;

use super::Error;
use super::need::Need;
use super::window::{Object, WindowedGroup};
use crate::file::key::SortKey;
use crate::file::reader::ObjectReader;
use crate::file::{Name, missing};
use crate::schema;

/// Rows in a batch, where they are small.
const BATCH_ROWS_MAX: u64 = 8_192;

pub(super) struct Input {
    object: Object,
    metadata: ArrowReaderMetadata,
    /// Bytes that its windows may hold, and its batch.
    window_bytes: u64,
    batch_bytes: u64,
    next_group: usize,
    group: Option<ParquetRecordBatchReader>,
    last: Option<SortKey>,
    held: Arc<AtomicUsize>,
}

impl Input {
    /// Reads its end, no rows.
    pub(super) async fn open(store: Arc<dyn ObjectStore>, path: &str) -> Result<Self, Error> {
        let path = Path::from(path);
        let mut reader = ObjectReader { store: store.clone(), path: path.clone() };
        let options = ArrowReaderOptions::new()
            .with_offset_index_policy(PageIndexPolicy::Optional)
            .with_column_index_policy(PageIndexPolicy::Skip);
        let metadata = ArrowReaderMetadata::load_async(&mut reader, options).await?;
        let object = Object { runtime: Handle::current(), store, path };
        let held = Arc::default();
        Ok(Self { object, metadata, window_bytes: 0, batch_bytes: 0, next_group: 0, group: None, last: None, held })
    }

    pub(super) fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// What its largest pages take.
    pub(super) fn pages_bytes(&self) -> u64 {
        let metadata = self.metadata.metadata();
        (0..metadata.num_row_groups()).map(|group| Need::of(metadata, group).pages).max().unwrap_or(0)
    }

    /// Gives it memory beside that.
    pub(super) fn give(&mut self, bytes: u64) {
        (self.window_bytes, self.batch_bytes) = (bytes / 2, bytes / 2);
    }

    /// Bytes in its windows.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// The next rows, checked to be in order, of the day, and as the table has them; `None` after the last.
    pub(super) fn next(&mut self, name: &Name) -> Result<Option<RecordBatch>, Error> {
        loop {
            if let Some(group) = &mut self.group
                && let Some(batch) = group.next()
            {
                let batch = schema::adapt(name.table, &batch?)?;
                self.check(name, &batch)?;
                return Ok(Some(batch));
            }
            self.group = None;
            if self.next_group == self.metadata.metadata().num_row_groups() {
                self.held.store(0, Ordering::Relaxed);
                return Ok(None);
            }
            self.group = Some(self.open_group(self.next_group)?);
            self.next_group += 1;
        }
    }

    fn open_group(&self, group: usize) -> Result<ParquetRecordBatchReader, Error> {
        let metadata = self.metadata.metadata();
        let rows = (self.batch_bytes / Need::of(metadata, group).row.max(1)).clamp(1, BATCH_ROWS_MAX);
        let windows =
            WindowedGroup::new(self.object.clone(), metadata.row_group(group), self.window_bytes, self.held.clone());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(windows, self.metadata.clone())
            .with_row_groups(vec![group])
            .with_batch_size(usize::try_from(rows).unwrap_or(usize::MAX));
        Ok(reader.build()?)
    }

    fn check(&mut self, name: &Name, batch: &RecordBatch) -> Result<(), Error> {
        let keys = SortKey::of(name.table, batch)?;
        if self.last.iter().chain(&keys).is_sorted() {
            self.last = keys.last().copied().or(self.last);
        } else {
            return Err(Error::Unsorted { path: self.object.path.to_string() });
        }
        let minutes = batch.column_by_name("start_minute").ok_or_else(missing)?.as_primitive::<Int32Type>();
        let is_of_day = |minute: &i32| minute.div_euclid(24 * 60) == name.day.0;
        if !minutes.values().iter().all(is_of_day) {
            return Err(Error::Stray { path: self.object.path.to_string(), day: name.day });
        }
        Ok(())
    }
}
