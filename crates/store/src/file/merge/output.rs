//! The file that a merge writes.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use tokio::runtime::Handle;

use super::{Error, Merged};
use crate::file::upload::Upload;
use crate::file::{Config, Name, missing, properties, written};
use crate::schema;

/// Rows put together before they are encoded.
const PENDING_ROWS_MAX: usize = 4_096;
/// Rows in one piece that are encoded from where they lie. Shorter runs are put together first.
const RUN_ROWS: usize = 512;

/// Takes rows by where they lie, and writes them on.
pub(super) struct Output<'a> {
    runtime: Handle,
    store: Arc<dyn ObjectStore>,
    name: &'a Name,
    config: &'a Config,
    /// At most.
    rows: u64,
    /// Input and rows of its batch.
    pending: Vec<(usize, Range<usize>)>,
    pending_rows: usize,
    /// From the first row on.
    file: Option<File>,
    starts: Option<(i64, i64)>,
    written_rows: u64,
    /// Bytes it held while it wrote, since this was last asked for.
    held_writing: usize,
    held_max: usize,
}

struct File {
    writer: ArrowWriter<Tap>,
    upload: Arc<Mutex<Upload>>,
}

impl File {
    fn held(&self) -> usize {
        self.writer.memory_size() + locked(&self.upload).held()
    }
}

/// Where the writer writes. It does not give it back when it fails, and then the upload must still be aborted.
struct Tap(Arc<Mutex<Upload>>);

fn locked(upload: &Mutex<Upload>) -> MutexGuard<'_, Upload> {
    upload.lock().unwrap_or_else(PoisonError::into_inner)
}

impl io::Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        locked(&self.0).write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> Output<'a> {
    pub(super) fn new(
        runtime: Handle,
        store: Arc<dyn ObjectStore>,
        name: &'a Name,
        config: &'a Config,
        rows: u64,
    ) -> Self {
        let (pending, starts) = (Vec::new(), None);
        Self {
            runtime,
            store,
            name,
            config,
            rows,
            pending,
            pending_rows: 0,
            file: None,
            starts,
            written_rows: 0,
            held_writing: 0,
            held_max: 0,
        }
    }

    /// Takes these rows of the input's present batch next; true when it is time to write.
    pub(super) fn take(&mut self, input: usize, rows: Range<usize>) -> bool {
        self.pending_rows += rows.len();
        self.pending.push((input, rows));
        self.pending_rows >= PENDING_ROWS_MAX
    }

    /// Encodes what was taken, out of the inputs' present batches. `held` are the bytes in memory beside the output's own.
    pub(super) fn write(&mut self, batches: &[&RecordBatch], held: usize) -> Result<(), Error> {
        self.pending_rows = 0;
        let pending = std::mem::take(&mut self.pending);
        let mut short = Vec::new();
        for (input, rows) in pending {
            if rows.len() < RUN_ROWS {
                short.extend(rows.map(|row| (input, row)));
                continue;
            }
            self.put_together(batches, &mut short)?;
            self.encode(&batches[input].slice(rows.start, rows.len()))?;
        }
        self.put_together(batches, &mut short)?;
        self.held_max = self.held_max.max(held + std::mem::take(&mut self.held_writing));
        Ok(())
    }

    fn put_together(&mut self, batches: &[&RecordBatch], rows: &mut Vec<(usize, usize)>) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let batch = interleave_record_batch(batches, rows)?;
        rows.clear();
        self.encode(&batch)
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let starts = batch.column_by_name("start_time").ok_or_else(missing)?.as_primitive::<TimestampMicrosecondType>();
        let first = arrow::compute::min(starts).ok_or_else(missing)?;
        let last = arrow::compute::max(starts).ok_or_else(missing)?;
        self.starts = Some(self.starts.map_or((first, last), |(min, max)| (min.min(first), max.max(last))));
        self.written_rows += batch.num_rows() as u64;
        let file = self.file()?;
        // What is written is there twice until its pages are full; a row group that gets full goes at once.
        let held = file.held() + batch.get_array_memory_size();
        file.writer.write(batch)?;
        self.held_writing = self.held_writing.max(held).max(self.held());
        Ok(())
    }

    fn file(&mut self) -> Result<&mut File, Error> {
        let file = match self.file.take() {
            Some(file) => file,
            None => self.begin()?,
        };
        Ok(self.file.insert(file))
    }

    fn begin(&self) -> Result<File, Error> {
        let path = Path::from(self.name.path());
        let upload = Arc::new(Mutex::new(Upload::new(self.runtime.clone(), self.store.clone(), path)));
        let rows = usize::try_from(self.rows).unwrap_or(usize::MAX);
        let properties = properties(self.name, rows, self.config);
        let writer = ArrowWriter::try_new(Tap(upload.clone()), schema::of(self.name.table), Some(properties))?;
        Ok(File { writer, upload })
    }

    fn held(&self) -> usize {
        self.file.as_ref().map_or(0, File::held)
    }

    /// Writes the rest; durable when it returns.
    pub(super) fn finish(mut self) -> Result<Merged, Error> {
        let held_bytes_max = self.held_max as u64;
        let (Some(file), Some((first, last))) = (self.file.take(), self.starts) else {
            return Ok(Merged { written: None, held_bytes_max });
        };
        let closed = file.writer.close();
        let Some(upload) =
            Arc::into_inner(file.upload).map(|upload| upload.into_inner().unwrap_or_else(PoisonError::into_inner))
        else {
            return Err(Error::Stopped);
        };
        if let Err(error) = closed {
            upload.abort();
            return Err(error.into());
        }
        let bytes = upload.finish().map_err(crate::file::Error::from)?;
        let written = written(self.written_rows, bytes, first, last);
        Ok(Merged { written: Some(written), held_bytes_max })
    }

    /// Gives up: nothing of it stays.
    pub(super) fn abort(self) {
        let Some(file) = self.file else { return };
        drop(file.writer);
        if let Some(upload) = Arc::into_inner(file.upload) {
            upload.into_inner().unwrap_or_else(PoisonError::into_inner).abort();
        }
    }
}
