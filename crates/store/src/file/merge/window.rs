//! A row group, read through windows: a part of it at a time.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;

/// A request for less than this costs as much as one for this.
const WINDOW_BYTES_MIN: u64 = 64 << 10;

/// Where the windows look.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) runtime: Handle,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
}

/// The row group's bytes. One window over all of it when it is small enough; else one for each column, by its size, since
/// columns are read side by side and each from front to back. A page that is larger than its window is read whole. Reading blocks.
pub(super) struct WindowedGroup {
    object: Object,
    windows: Mutex<Vec<Window>>,
    end: u64,
    held: Arc<AtomicUsize>,
}

struct Window {
    over: Range<u64>,
    bytes_max: u64,
    start: u64,
    bytes: Bytes,
}

impl Window {
    fn over(over: Range<u64>, bytes_max: u64) -> Self {
        Self { start: over.start, over, bytes_max, bytes: Bytes::new() }
    }

    fn slice(&self, wanted: &Range<u64>) -> Option<Bytes> {
        let offset = usize::try_from(wanted.start.checked_sub(self.start)?).ok()?;
        let length = usize::try_from(wanted.end - wanted.start).ok()?;
        let end = offset.checked_add(length)?;
        (end <= self.bytes.len()).then(|| self.bytes.slice(offset..end))
    }
}

impl WindowedGroup {
    /// The windows hold `bytes_max` together, give or take the least size of each. `held` counts what they hold.
    pub(super) fn new(object: Object, group: &RowGroupMetaData, bytes_max: u64, held: Arc<AtomicUsize>) -> Self {
        let mut columns: Vec<Range<u64>> = group.columns().iter().map(|column| range(column.byte_range())).collect();
        columns.sort_unstable_by_key(|range| range.start);
        let start = columns.first().map_or(0, |range| range.start);
        let end = columns.last().map_or(0, |range| range.end);
        let whole = end - start;
        let windows = if whole <= bytes_max {
            vec![Window::over(start..end, whole)]
        } else {
            let part =
                |column: &Range<u64>| u128::from(bytes_max) * u128::from(column.end - column.start) / u128::from(whole);
            let bytes = |column: &Range<u64>| u64::try_from(part(column)).unwrap_or(bytes_max).max(WINDOW_BYTES_MIN);
            columns.into_iter().map(|column| Window::over(column.clone(), bytes(&column))).collect()
        };
        held.store(0, Ordering::Relaxed);
        Self { object, windows: Mutex::new(windows), end, held }
    }

    fn fetch(&self, range: Range<u64>) -> Result<Bytes> {
        let fetched = self.object.store.get_range(&self.object.path, range);
        self.object.runtime.block_on(fetched).map_err(|error| ParquetError::External(Box::new(error)))
    }

    fn read(&self, wanted: Range<u64>) -> Result<Bytes> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = windows.partition_point(|window| window.over.end <= wanted.start);
        let Some(window) = windows.get_mut(behind).filter(|window| window.over.contains(&wanted.start)) else {
            return self.fetch(wanted);
        };
        if let Some(bytes) = window.slice(&wanted) {
            return Ok(bytes);
        }
        let end = wanted.start.saturating_add(window.bytes_max).clamp(wanted.end, wanted.end.max(window.over.end));
        // First, so that the old bytes and the new are not held together.
        self.held.fetch_sub(std::mem::take(&mut window.bytes).len(), Ordering::Relaxed);
        window.bytes = self.fetch(wanted.start..end)?;
        window.start = wanted.start;
        self.held.fetch_add(window.bytes.len(), Ordering::Relaxed);
        window.slice(&wanted).ok_or_else(|| ParquetError::EOF("a data file is cut short".into()))
    }
}

fn range((start, length): (u64, u64)) -> Range<u64> {
    start..start + length
}

impl Length for WindowedGroup {
    fn len(&self) -> u64 {
        self.end
    }
}

impl ChunkReader for WindowedGroup {
    type T = Reader<Bytes>;

    /// Of what is read like this only the head of a page is used, when a file has no page index; and that is short.
    fn get_read(&self, start: u64) -> Result<Self::T> {
        let end = self.end.min(start + WINDOW_BYTES_MIN).max(start);
        Ok(self.read(start..end)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.read(start..start + length as u64)
    }
}
