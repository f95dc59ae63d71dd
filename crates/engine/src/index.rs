//! Which data files may hold a trace, known without opening them.
//!
//! A file never changes, so what it holds is read once: its column of trace ids, of which 32 bits of each distinct id are kept.
//! Of a file with 100,000 traces, one foreign id in 40,000 is taken for one of its own; such a file is opened for nothing.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::error::ArrowError;
use futures::stream::{self, StreamExt, TryStreamExt};
use moka::future::Cache;
use object_store::ObjectStore;
use spanlake_catalog::DataFile;
use spanlake_model::{FileId, TraceId};
use spanlake_store::file;

use crate::error::Error;
use crate::tree::hash;

/// Files that are read at the same time.
const READ_AT_ONCE: usize = 4;
/// What an entry takes beside its prints.
const ENTRY_BYTES: usize = 128;

/// The traces of files, within a bound on memory; at the bound the least used files go, to be read again.
#[derive(Debug, Clone)]
pub(crate) struct TraceIndex {
    files: Cache<FileId, Arc<Prints>>,
}

impl TraceIndex {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let weight = |_: &FileId, prints: &Arc<Prints>| u32::try_from(prints.bytes()).unwrap_or(u32::MAX);
        Self { files: Cache::builder().max_capacity(bytes_max as u64).weigher(weight).build() }
    }

    /// Those of the files that may hold one of the traces, in their order.
    ///
    /// # Errors
    /// When a file cannot be read that was not looked at before.
    pub(crate) async fn holding(
        &self,
        store: &Arc<dyn ObjectStore>,
        files: &[DataFile],
        traces: &[TraceId],
    ) -> Result<Vec<DataFile>, Error> {
        let wanted: &Vec<u32> = &traces.iter().map(|trace| print(trace.as_bytes())).collect();
        // By place: a file's list of replaced keys may be long, so only those that hold a trace are copied.
        let looked = stream::iter(0..files.len()).map(|place| async move {
            let holds = self.prints(store, &files[place]).await?.any(wanted);
            Ok::<_, Error>(holds.then(|| files[place].clone()))
        });
        looked.buffered(READ_AT_ONCE).try_filter_map(|file| async { Ok(file) }).try_collect().await
    }

    async fn prints(&self, store: &Arc<dyn ObjectStore>, file: &DataFile) -> Result<Arc<Prints>, Error> {
        let read = Prints::read(store.clone(), file);
        self.files.try_get_with(file.id, read).await.map_err(Error::Index)
    }
}

/// Prints of the distinct trace ids of one file, ascending.
#[derive(Debug)]
struct Prints(Box<[u32]>);

impl Prints {
    async fn read(store: Arc<dyn ObjectStore>, file: &DataFile) -> Result<Arc<Self>, file::Error> {
        let mut batches = file::read(store, &file.path, Some(&["trace_id"])).await?;
        let mut prints = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            add(&mut prints, &batch)?;
        }
        prints.sort_unstable();
        prints.dedup();
        Ok(Arc::new(Self(prints.into())))
    }

    fn any(&self, wanted: &[u32]) -> bool {
        wanted.iter().any(|print| self.0.binary_search(print).is_ok())
    }

    fn bytes(&self) -> usize {
        ENTRY_BYTES + size_of_val(&*self.0)
    }
}

/// A trace's rows lie together, so an id is seldom hashed twice.
fn add(prints: &mut Vec<u32>, batch: &RecordBatch) -> Result<(), file::Error> {
    let ids = batch.column_by_name("trace_id").and_then(|column| column.as_fixed_size_binary_opt());
    let ids = ids.ok_or_else(|| ArrowError::SchemaError("a file of spans has no trace ids".into()))?;
    let mut last = None;
    for id in ids.iter().flatten() {
        if last != Some(id) {
            prints.push(print(id));
            last = Some(id);
        }
    }
    Ok(())
}

/// Ids are random by their specification, but not all senders keep to it, so they are hashed.
fn print(id: &[u8]) -> u32 {
    hash(id) as u32
}
