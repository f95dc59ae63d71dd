//! Which data files may hold a trace, a session or a user, known without opening them.
//!
//! A file never changes, so what it holds is read once: its column of ids, of which 32 bits of each distinct id are kept.
//! Of a file with 100,000 traces, one foreign id in 40,000 is taken for one of its own; such a file is opened for nothing.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::error::ArrowError;
use futures::stream::{self, StreamExt, TryStreamExt};
use moka::future::Cache;
use object_store::ObjectStore;
use spanlake_catalog::DataFile;
use spanlake_model::FileId;
use spanlake_store::file;

use crate::error::Error;
use crate::tree::hash;

/// Files that are read at the same time.
const READ_AT_ONCE: usize = 4;
/// What an entry takes beside its prints.
const ENTRY_BYTES: usize = 128;

/// What files are looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Named {
    /// By ids of traces.
    Trace,
    /// By ids of sessions, as spans themselves name them.
    Session,
    /// By ids of users, likewise.
    User,
}

impl Named {
    fn column(self) -> &'static str {
        match self {
            Self::Trace => "trace_id",
            Self::Session => "session_id",
            Self::User => "user_id",
        }
    }
}

/// The ids in files, within a bound on memory; at the bound the least used files go, to be read again.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    files: Cache<(FileId, Named), Arc<Prints>>,
    /// Of lists of files, by their hash, what their files share.
    shared: Cache<u64, Arc<Shares>>,
}

/// What some files hold together.
#[derive(Debug)]
pub(crate) struct Shares {
    /// The prints of all their traces, ascending, each once.
    all: Box<[u32]>,
    /// Of each file, in their order, those that another of them holds too, ascending.
    shared: Vec<Vec<u32>>,
}

/// What is kept of lists of files takes at most so much; at the bound the least used go.
const SHARES_BYTES_MAX: u64 = 32 << 20;

impl Index {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let weight = |_: &(FileId, Named), prints: &Arc<Prints>| u32::try_from(prints.bytes()).unwrap_or(u32::MAX);
        Self {
            files: Cache::builder().max_capacity(bytes_max as u64).weigher(weight).build(),
            shared: Cache::builder()
                .max_capacity(SHARES_BYTES_MAX)
                .weigher(|_, shares: &Arc<Shares>| shares.bytes())
                .build(),
        }
    }

    /// Those of the files that may hold one of these, in their order.
    ///
    /// # Errors
    /// When a file cannot be read that was not looked at before.
    pub(crate) async fn holding(
        &self,
        store: &Arc<dyn ObjectStore>,
        files: &[DataFile],
        named: Named,
        wanted: &[u32],
    ) -> Result<Vec<DataFile>, Error> {
        // By place: a file's list of replaced keys may be long, so only those that hold one are copied.
        let looked = stream::iter(0..files.len()).map(|place| async move {
            let holds = self.prints(store, &files[place], named).await?.any(wanted);
            Ok::<_, Error>(holds.then(|| files[place].clone()))
        });
        looked.buffered(READ_AT_ONCE).try_filter_map(|file| async { Ok(file) }).try_collect().await
    }

    /// Those of the files that may hold a span of a session, of which a span is in one of the files that are `begun` with or in memory;
    /// in their order. A session's spans need not name it, but one of each of its traces does.
    ///
    /// # Errors
    /// As [`Self::holding`].
    pub(crate) async fn holding_sessions(
        &self,
        store: &Arc<dyn ObjectStore>,
        files: &[DataFile],
        fresh: &[RecordBatch],
        begun: impl Fn(&DataFile) -> bool,
    ) -> Result<Vec<DataFile>, Error> {
        let mut wanted: Vec<bool> = files.iter().map(begun).collect();
        for named in [Named::Session, Named::Trace] {
            if wanted.iter().all(|wanted| *wanted) {
                break;
            }
            let mut prints = Prints::of_batches(fresh, named)?.0.into_vec();
            let known = self.all(store, files, named).await?;
            let held = known.iter().zip(&wanted).filter(|(_, wanted)| **wanted);
            held.for_each(|(held, _)| prints.extend(held.0.iter()));
            let sought = Prints::of(prints);
            wanted.iter_mut().zip(known).for_each(|(wanted, held)| *wanted |= held.meet(&sought));
        }
        Ok(files.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(file, _)| file.clone()).collect())
    }

    /// What each of the files holds, in their order.
    ///
    /// # Errors
    /// As [`Self::holding`].
    pub(crate) async fn all(
        &self,
        store: &Arc<dyn ObjectStore>,
        files: &[DataFile],
        named: Named,
    ) -> Result<Vec<Arc<Prints>>, Error> {
        let looked = stream::iter(0..files.len()).map(|place| self.prints(store, &files[place], named));
        looked.buffered(READ_AT_ONCE).try_collect().await
    }

    /// What the files share, of which `held` are the traces.
    pub(crate) async fn shares(&self, files: &[DataFile], held: &[Arc<Prints>]) -> Arc<Shares> {
        let list = files.iter().fold(0, |list, file| hash((list, file.id)));
        let held = held.to_vec();
        let settle = async {
            let settled = tokio::task::spawn_blocking(move || Shares::of(&held)).await;
            Arc::new(settled.expect("comparing numbers does not panic"))
        };
        self.shared.get_with(list, settle).await
    }

    async fn prints(&self, store: &Arc<dyn ObjectStore>, file: &DataFile, named: Named) -> Result<Arc<Prints>, Error> {
        let read = Prints::read(store.clone(), file, named);
        self.files.try_get_with((file.id, named), read).await.map_err(Error::Index)
    }
}

/// Prints of the distinct ids of one file, or of some rows: ascending, each once.
#[derive(Debug)]
pub(crate) struct Prints(Box<[u32]>);

impl Prints {
    async fn read(store: Arc<dyn ObjectStore>, file: &DataFile, named: Named) -> Result<Arc<Self>, file::Error> {
        let mut batches = file::read(store, &file.path, Some(&[named.column()])).await?;
        let mut prints = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            add(&mut prints, &batch, named)?;
        }
        Ok(Arc::new(Self::of(prints)))
    }

    /// Of rows in memory.
    pub(crate) fn of_batches(batches: &[RecordBatch], named: Named) -> Result<Self, Error> {
        let mut prints = Vec::new();
        batches.iter().try_for_each(|batch| add(&mut prints, batch, named)).map_err(Error::Schema)?;
        Ok(Self::of(prints))
    }

    fn of(mut prints: Vec<u32>) -> Self {
        prints.sort_unstable();
        prints.dedup();
        Self(prints.into())
    }

    pub(crate) fn as_slice(&self) -> &[u32] {
        &self.0
    }

    pub(crate) fn holds(&self, print: u32) -> bool {
        self.0.binary_search(&print).is_ok()
    }

    /// Whether they have one in common.
    fn meet(&self, other: &Self) -> bool {
        let (few, many) = if self.0.len() < other.0.len() { (self, other) } else { (other, self) };
        few.0.iter().any(|print| many.holds(*print))
    }

    fn any(&self, wanted: &[u32]) -> bool {
        wanted.iter().any(|print| self.holds(*print))
    }

    fn bytes(&self) -> usize {
        ENTRY_BYTES + size_of_val(&*self.0)
    }
}

impl Shares {
    fn of(held: &[Arc<Prints>]) -> Self {
        let of_file = |(place, prints): (usize, &'_ Arc<Prints>)| {
            prints.0.iter().map(|print| (*print, place)).collect::<Vec<_>>()
        };
        let mut all: Vec<(u32, usize)> = held.iter().enumerate().flat_map(of_file).collect();
        all.sort_unstable();
        let mut shared = vec![Vec::new(); held.len()];
        let each = all.chunk_by(|one, other| one.0 == other.0).map(|holders| {
            for (print, place) in holders.iter().filter(|_| holders.len() > 1) {
                shared[*place].push(*print);
            }
            holders[0].0
        });
        Self { all: each.collect(), shared }
    }

    /// Of the file at this place.
    pub(crate) fn of_file(&self, place: usize) -> &[u32] {
        &self.shared[place]
    }

    /// Whether any file holds it.
    pub(crate) fn holds(&self, print: u32) -> bool {
        self.all.binary_search(&print).is_ok()
    }

    fn bytes(&self) -> u32 {
        let shared: usize = self.shared.iter().map(|shared| size_of_val(&**shared) + size_of::<Vec<u32>>()).sum();
        u32::try_from(ENTRY_BYTES + size_of_val(&*self.all) + shared).unwrap_or(u32::MAX)
    }
}

/// Rows that name the same one mostly lie together, so an id is seldom hashed twice.
fn add(prints: &mut Vec<u32>, batch: &RecordBatch, named: Named) -> Result<(), ArrowError> {
    let missing = || ArrowError::SchemaError(format!("rows of spans have no {}", named.column()));
    let column = batch.column_by_name(named.column()).ok_or_else(missing)?;
    if let Some(ids) = column.as_fixed_size_binary_opt() {
        add_each(prints, ids.iter().flatten());
    } else {
        let texts = column.as_string_view_opt().ok_or_else(missing)?;
        add_each(prints, texts.iter().flatten().map(str::as_bytes));
    }
    Ok(())
}

fn add_each<'a>(prints: &mut Vec<u32>, ids: impl Iterator<Item = &'a [u8]>) {
    let mut last = None;
    for id in ids {
        if last != Some(id) {
            prints.push(print(id));
            last = Some(id);
        }
    }
}

/// Ids are random by their specification, but not all senders keep to it, so they are hashed.
pub(crate) fn print(id: &[u8]) -> u32 {
    hash(id) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_share_what_two_of_them_hold() {
        let held = [vec![1, 2, 9], vec![3, 2], vec![9, 2, 4], vec![5]].map(|prints| Arc::new(Prints::of(prints)));
        let shares = Shares::of(&held);
        assert_eq!(shares.shared, [vec![2, 9], vec![2], vec![2, 9], vec![]]);
        assert_eq!([5, 6, 9].map(|print| shares.holds(print)), [true, false, true]);
    }
}
