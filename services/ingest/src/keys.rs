//! Which spans data files may hold already: how one that is sent again is recognised.
//!
//! ```text
//!   a day is first written to ─► its files are read      (ensure)
//!   others commit files       ─► those are read too      (catch_up: before a commit, and before answering a query)
//!   a flush of ours lands     ─► its keys are noted      (known)
//!   a day has very many       ─► they rest on disk       (rest)
//! ```
//!
//! A file that is gone or broken is passed over and reported: nobody can see its rows, so none of them can be seen twice. One
//! that cannot be read just now makes its table wait, and no other ([`KeyIndex::hold`]; adr/0033).

mod table;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt;
use spanlake_catalog::{DataFile, Files};
use spanlake_model::{Day, SpanKey, Table, TenantId, WriterId};
use spanlake_store::background::{self, Rank as Urgency};
use spanlake_store::memtable::{DayKeys, Memtables};
use spanlake_store::rows::Rank;
use spanlake_store::{Store, file};
use tokio::sync::OnceCell;

use crate::error::Error;
use table::KnownTable;

type Key = (TenantId, Table, Day);

struct Entry {
    keys: Arc<DayKeys>,
    loaded: Arc<OnceCell<()>>,
    used: u64,
}

/// The keys of each day's data files, read from the files when a day is first written to, bounded in number.
///
/// An entry is in the map before its files are listed, and [`Self::known`] is asked after a flush has been committed:
/// so a file is either listed by the load or noted by the flush, or both, never neither.
pub(crate) struct KeyIndex {
    files: Arc<dyn Files>,
    store: Store,
    own: WriterId,
    days: Mutex<HashMap<Key, Entry>>,
    tables: Mutex<HashMap<(TenantId, Table), Arc<KnownTable>>>,
    clock: AtomicU64,
    held: Arc<AtomicUsize>,
    keys_max: usize,
    /// Where keys rest, and whether some are being moved there.
    resting: Arc<Resting>,
}

struct Resting {
    folder: PathBuf,
    is_busy: AtomicBool,
}

/// Keys of a day that stay in memory; when there are more they are put to rest.
const AWAKE_MAX: usize = 1 << 20;

impl KeyIndex {
    /// Keys of large days rest in `folder`, in files that go with the process.
    pub(crate) fn new(files: Arc<dyn Files>, store: Store, own: WriterId, folder: &Path, keys_max: usize) -> Self {
        Self {
            files,
            store,
            own,
            days: Mutex::default(),
            tables: Mutex::default(),
            clock: AtomicU64::new(0),
            held: Arc::default(),
            keys_max,
            resting: Arc::new(Resting { folder: folder.to_owned(), is_busy: AtomicBool::new(false) }),
        }
    }

    fn days(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self, tenant: TenantId, table: Table) -> Arc<KnownTable> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.entry((tenant, table)).or_default().clone()
    }

    /// The keys of these days, loaded. While the answer is held they stay in the index.
    pub(crate) async fn ensure(
        &self,
        tenant: TenantId,
        table: Table,
        days: HashSet<Day>,
    ) -> Result<HashMap<Day, Arc<DayKeys>>, Error> {
        // Before a day is listed: whatever is committed later, `catch_up` brings.
        self.table(tenant, table).begin(|| self.version(tenant, table)).await?;
        let mut ensured = HashMap::with_capacity(days.len());
        for day in days {
            let (keys, loaded) = self.entry((tenant, table, day));
            loaded.get_or_try_init(|| self.load(tenant, table, day, &keys)).await?;
            ensured.insert(day, keys);
        }
        self.evict();
        Ok(ensured)
    }

    async fn version(&self, tenant: TenantId, table: Table) -> Result<u64, Error> {
        Ok(self.files.files_since(tenant, table, VERSION_MAX).await?.version)
    }

    fn entry(&self, key: Key) -> (Arc<DayKeys>, Arc<OnceCell<()>>) {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let new = || Entry { keys: Arc::new(DayKeys::new(self.held.clone())), loaded: Arc::default(), used: now };
        let mut days = self.days();
        let entry = days.entry(key).or_insert_with(new);
        entry.used = now;
        (entry.keys.clone(), entry.loaded.clone())
    }

    async fn load(&self, tenant: TenantId, table: Table, day: Day, keys: &Arc<DayKeys>) -> Result<(), Error> {
        for file in self.files.day(tenant, table, day).await? {
            self.read(&file, |versions| note(keys, versions)).await?;
            if keys.awake() > AWAKE_MAX {
                self.resting.move_there(vec![keys.clone()]).await;
            }
        }
        Ok(())
    }

    /// Begins to move the keys of those days that are large to the disk, unless some are under way. Nobody waits for it.
    pub(crate) fn rest(&self, days: HashMap<Day, Arc<DayKeys>>) {
        let large: Vec<_> = days.into_values().filter(|keys| keys.awake() > AWAKE_MAX).collect();
        if large.is_empty() || self.resting.is_busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let resting = self.resting.clone();
        tokio::spawn(async move {
            resting.move_there(large).await;
            resting.is_busy.store(false, Ordering::Release);
        });
    }

    /// # Errors
    /// [`Error::Unread`] when the file may be readable later. One that never will be is reported and passed over.
    async fn read(&self, file: &DataFile, each: impl FnMut(&[(SpanKey, Rank)])) -> Result<(), Error> {
        // What was noted of its keys before a panic is sound: each key is there whole, or not.
        let Err(source) = file::caught(self.read_versions(file, each)).await else { return Ok(()) };
        if !self.is_lost(file, &source).await {
            return Err(Error::Unread { path: file.path.clone(), source });
        }
        tracing::error!(
            tenant.id = %file.tenant,
            file.path,
            error = &source as &dyn std::error::Error,
            "a data file is gone or broken: queries that read it fail, and what it holds is not recognised when it is sent again; put it back from a backup"
        );
        Ok(())
    }

    /// Whether the file is gone or broken for good; one of another size than it was committed with is.
    async fn is_lost(&self, file: &DataFile, error: &file::Error) -> bool {
        if error.is_lasting() {
            return true;
        }
        let size = file::size(self.store.tenant(file.tenant).as_ref(), &file.path).await;
        size.is_ok_and(|bytes| bytes != file.bytes)
    }

    async fn read_versions(
        &self,
        file: &DataFile,
        mut each: impl FnMut(&[(SpanKey, Rank)]),
    ) -> Result<(), file::Error> {
        let mut versions = file::versions(self.store.tenant(file.tenant), file.table, &file.path).await?;
        while let Some(some) = versions.try_next().await? {
            each(&some);
        }
        Ok(())
    }

    /// Takes the files into account that were committed by others, at least up to `version`: notes their keys, and settles
    /// rows in memory against theirs. Answers up to which version all files are accounted for.
    pub(crate) async fn catch_up(
        &self,
        tenant: TenantId,
        table: Table,
        version: u64,
        memtables: &Memtables,
    ) -> Result<u64, Error> {
        let known = self.table(tenant, table);
        if known.is_held() {
            self.settle_held(tenant, table, memtables).await?;
            known.release();
        }
        known
            .advance(version, async |known| {
                let since = self.files.files_since(tenant, table, known).await?;
                for file in &since.files {
                    self.take_in(file, memtables).await?;
                }
                Ok(since.version)
            })
            .await
    }

    async fn take_in(&self, file: &DataFile, memtables: &Memtables) -> Result<(), Error> {
        let (tenant, table) = (file.tenant, file.table);
        let keys = self.known(tenant, table).remove(&file.day);
        // A day that comes into the index after this lists the file by itself; so does one whose rows come into memory.
        if keys.is_none() && memtables.is_empty(tenant, table) {
            return Ok(());
        }
        let meet = |versions: &[(SpanKey, Rank)]| {
            // In this order: a row that is applied in between sees the key, one that was applied before is met.
            keys.iter().for_each(|keys| note(keys, versions));
            memtables.meet(tenant, table, self.own, versions);
        };
        self.read(file, meet).await
    }

    /// After a commit of ours that moved the table from `known` to `version`.
    pub(crate) fn committed(&self, tenant: TenantId, table: Table, known: u64, version: u64) {
        self.table(tenant, table).moved(known, version);
    }

    /// Settles rows read from the log again against all files of their days. What is sent now was received last; but a row of
    /// the log may be older than what another writer has put into files since.
    pub(crate) async fn settle(&self, tenant: TenantId, table: Table, memtables: &Memtables) -> Result<(), Error> {
        for day in memtables.replacing_days(tenant, table) {
            for file in self.files.day(tenant, table, day).await? {
                self.read(&file, |versions| memtables.meet(tenant, table, self.own, versions)).await?;
            }
        }
        Ok(())
    }

    /// What `looked` at a start, unless a file of the table could not be read just now: then the table is held, and `None`.
    /// Its rows come into memory all the same, and every query of it and every flush of it looks again before it goes on.
    pub(crate) fn hold<T>(&self, tenant: TenantId, table: Table, looked: Result<T, Error>) -> Result<Option<T>, Error> {
        match looked {
            Ok(found) => Ok(Some(found)),
            Err(error @ Error::Unread { .. }) => {
                if !self.table(tenant, table).hold() {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(tenant.id = %tenant, table = table.as_str(), error, "one table waits for a data file; the others go on");
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the table waits for a file.
    pub(crate) fn is_held(&self, tenant: TenantId, table: Table) -> bool {
        self.table(tenant, table).is_held()
    }

    /// Compares all rows in memory with all files of their days, as should have been done before they came there.
    async fn settle_held(&self, tenant: TenantId, table: Table, memtables: &Memtables) -> Result<(), Error> {
        for day in memtables.days(tenant, table) {
            for file in self.files.day(tenant, table, day).await? {
                self.read(&file, |versions| memtables.meet_own_too(tenant, table, self.own, versions)).await?;
            }
        }
        tracing::info!(tenant.id = %tenant, table = table.as_str(), "a table that waited for a data file goes on");
        Ok(())
    }

    /// The days of a tenant's table that are in the index now, for a flush to note its keys.
    pub(crate) fn known(&self, tenant: TenantId, table: Table) -> HashMap<Day, Arc<DayKeys>> {
        let days = self.days();
        let own = days.iter().filter(|((owner, of, _), _)| (*owner, *of) == (tenant, table));
        own.map(|((.., day), entry)| (*day, entry.keys.clone())).collect()
    }

    /// Drops the days that were used longest ago and that nobody holds, until the bound is kept. The one used last stays
    /// however large it is: it would be read again at once.
    fn evict(&self) {
        if self.held.load(Ordering::Relaxed) <= self.keys_max {
            return;
        }
        let mut days = self.days();
        let last = days.values().map(|entry| entry.used).max();
        let mut idle: Vec<_> = days
            .iter()
            .filter(|(_, entry)| Arc::strong_count(&entry.keys) == 1 && Some(entry.used) != last)
            .map(|(key, entry)| (entry.used, *key))
            .collect();
        idle.sort_unstable();
        for (_, key) in idle {
            if self.held.load(Ordering::Relaxed) <= self.keys_max {
                break;
            }
            days.remove(&key);
        }
    }
}

impl Resting {
    /// Those that the disk refuses stay in memory until the next time.
    async fn move_there(self: &Arc<Self>, days: Vec<Arc<DayKeys>>) {
        let this = self.clone();
        let moving = move || days.iter().try_for_each(|keys| keys.rest(&this.folder));
        let failure = match background::run(Urgency::Below, moving).await {
            Ok(outcome) => outcome.err(),
            Err(cut) => Some(std::io::Error::other(cut)),
        };
        if let Some(error) = failure {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "could not put keys of a large day on disk; they stay in memory");
        }
    }
}

/// Above every version.
const VERSION_MAX: u64 = i64::MAX.unsigned_abs();

fn note(keys: &DayKeys, versions: &[(SpanKey, Rank)]) {
    keys.insert(versions.iter().map(|(key, rank)| (*key, rank.finished)));
}
