//! Which data files may hold a trace, or a span that names a session, known without opening them.
//!
//! A file never changes, so what it holds is read once: its column of these ids, of which 32 bits of each distinct one are kept.
//! Of a file with 100,000 of them, one foreign id in 40,000 is taken for one of its own; such a file is opened for nothing.

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

/// The ids of files, within a bound on memory; at the bound the least used files go, to be read again.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    files: Cache<(Indexed, FileId), Arc<Prints>>,
}

/// A column of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Indexed {
    Traces,
    Sessions,
}

/// Ids that are looked for.
#[derive(Debug)]
pub(crate) struct Sought {
    of: Indexed,
    prints: Prints,
}

impl Sought {
    pub(crate) fn traces(traces: &[TraceId]) -> Self {
        Self { of: Indexed::Traces, prints: traces.iter().map(|trace| print(trace.as_bytes())).collect() }
    }

    pub(crate) fn sessions(sessions: &[String]) -> Self {
        Self { of: Indexed::Sessions, prints: sessions.iter().map(|session| print(session.as_bytes())).collect() }
    }
}

impl Index {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let weight = |_: &(Indexed, FileId), prints: &Arc<Prints>| u32::try_from(prints.bytes()).unwrap_or(u32::MAX);
        Self { files: Cache::builder().max_capacity(bytes_max as u64).weigher(weight).build() }
    }

    /// Those of the files that may hold one of the ids, in their order.
    ///
    /// # Errors
    /// When a file cannot be read that was not looked at before.
    pub(crate) async fn holding(
        &self,
        store: &Arc<dyn ObjectStore>,
        files: &[DataFile],
        sought: &Sought,
    ) -> Result<Vec<DataFile>, Error> {
        // By place: a file's list of replaced keys may be long, so only those that hold an id are copied.
        let looked = stream::iter(0..files.len()).map(|place| async move {
            let holds = self.prints(store, sought.of, &files[place]).await?.meet(&sought.prints);
            Ok::<_, Error>(holds.then(|| files[place].clone()))
        });
        looked.buffered(READ_AT_ONCE).try_filter_map(|file| async { Ok(file) }).try_collect().await
    }

    /// Those of the files that may hold a span of a session, of which a span is in one of the files that are `named` or in memory; in
    /// their order. A session's spans need not name it, but one of each of its traces does.
    ///
    /// # Errors
    /// As [`Self::holding`].
    pub(crate) async fn holding_sessions(
        &self,
        store: &Arc<dyn ObjectStore>,
        files: &[DataFile],
        fresh: &[RecordBatch],
        named: impl Fn(&DataFile) -> bool,
    ) -> Result<Vec<DataFile>, Error> {
        let mut wanted: Vec<bool> = files.iter().map(named).collect();
        for of in [Indexed::Sessions, Indexed::Traces] {
            if wanted.iter().all(|wanted| *wanted) {
                break;
            }
            let mut prints = Vec::new();
            for batch in fresh {
                of.add(&mut prints, batch).map_err(|error| Error::Index(Arc::new(error)))?;
            }
            let known =
                stream::iter(0..files.len()).map(|place| async move { self.prints(store, of, &files[place]).await });
            let known: Vec<_> = known.buffered(READ_AT_ONCE).try_collect().await?;
            let held = known.iter().zip(&wanted).filter(|(_, wanted)| **wanted);
            held.for_each(|(held, _)| prints.extend(held.0.iter()));
            let sought = Prints::from_iter(prints);
            wanted.iter_mut().zip(known).for_each(|(wanted, held)| *wanted |= held.meet(&sought));
        }
        Ok(files.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(file, _)| file.clone()).collect())
    }

    async fn prints(&self, store: &Arc<dyn ObjectStore>, of: Indexed, file: &DataFile) -> Result<Arc<Prints>, Error> {
        let read = Prints::read(store.clone(), of, file);
        self.files.try_get_with((of, file.id), read).await.map_err(Error::Index)
    }
}

/// Prints of distinct ids, ascending.
#[derive(Debug)]
struct Prints(Box<[u32]>);

impl FromIterator<u32> for Prints {
    fn from_iter<I: IntoIterator<Item = u32>>(prints: I) -> Self {
        let mut prints = Vec::from_iter(prints);
        prints.sort_unstable();
        prints.dedup();
        Self(prints.into())
    }
}

impl Prints {
    async fn read(store: Arc<dyn ObjectStore>, of: Indexed, file: &DataFile) -> Result<Arc<Self>, file::Error> {
        let mut batches = file::read(store, &file.path, Some(&[of.column()])).await?;
        let mut prints = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            of.add(&mut prints, &batch)?;
        }
        Ok(Arc::new(prints.into_iter().collect()))
    }

    /// Whether they have one in common.
    fn meet(&self, other: &Self) -> bool {
        let (few, many) = if self.0.len() < other.0.len() { (self, other) } else { (other, self) };
        few.0.iter().any(|print| many.0.binary_search(print).is_ok())
    }

    fn bytes(&self) -> usize {
        ENTRY_BYTES + size_of_val(&*self.0)
    }
}

impl Indexed {
    fn column(self) -> &'static str {
        match self {
            Self::Traces => "trace_id",
            Self::Sessions => "session_id",
        }
    }

    fn add(self, prints: &mut Vec<u32>, batch: &RecordBatch) -> Result<(), file::Error> {
        let column = batch.column_by_name(self.column());
        let unreadable = || ArrowError::SchemaError(format!("a file of spans has no {}", self.column()));
        match self {
            Self::Traces => {
                let ids = column.and_then(|column| column.as_fixed_size_binary_opt()).ok_or_else(unreadable)?;
                add(prints, ids.iter().flatten());
            }
            Self::Sessions => {
                let ids = column.and_then(|column| column.as_string_view_opt()).ok_or_else(unreadable)?;
                add(prints, ids.iter().flatten().map(str::as_bytes));
            }
        }
        Ok(())
    }
}

/// A trace's rows lie together, so an id is seldom hashed twice.
fn add<'a>(prints: &mut Vec<u32>, ids: impl Iterator<Item = &'a [u8]>) {
    let mut last = None;
    for id in ids {
        if last != Some(id) {
            prints.push(print(id));
            last = Some(id);
        }
    }
}

/// Ids are random by their specification, but not all senders keep to it, so they are hashed.
fn print(id: &[u8]) -> u32 {
    hash(id) as u32
}
