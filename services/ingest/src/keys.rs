//! Which spans data files may hold already: how one that is sent again is recognised.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spanlake_catalog::Files;
use spanlake_model::{Day, Table, TenantId};
use spanlake_store::memtable::DayKeys;
use spanlake_store::{Store, file};
use tokio::sync::OnceCell;

use crate::error::Error;

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
    days: Mutex<HashMap<Key, Entry>>,
    clock: AtomicU64,
    keys_max: usize,
}

impl KeyIndex {
    pub(crate) fn new(files: Arc<dyn Files>, store: Store, keys_max: usize) -> Self {
        Self { files, store, days: Mutex::default(), clock: AtomicU64::new(0), keys_max }
    }

    fn days(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys of these days, loaded. While the answer is held they stay in the index.
    pub(crate) async fn ensure(
        &self,
        tenant: TenantId,
        table: Table,
        days: HashSet<Day>,
    ) -> Result<HashMap<Day, Arc<DayKeys>>, Error> {
        let mut ensured = HashMap::with_capacity(days.len());
        for day in days {
            let (keys, loaded) = self.entry((tenant, table, day));
            loaded.get_or_try_init(|| self.load(tenant, table, day, &keys)).await?;
            ensured.insert(day, keys);
        }
        self.evict();
        Ok(ensured)
    }

    fn entry(&self, key: Key) -> (Arc<DayKeys>, Arc<OnceCell<()>>) {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut days = self.days();
        let entry =
            days.entry(key).or_insert_with(|| Entry { keys: Arc::default(), loaded: Arc::default(), used: now });
        entry.used = now;
        (entry.keys.clone(), entry.loaded.clone())
    }

    async fn load(&self, tenant: TenantId, table: Table, day: Day, keys: &DayKeys) -> Result<(), Error> {
        let store = self.store.tenant(tenant);
        for file in self.files.day(tenant, table, day).await? {
            keys.load(file::keys(store.clone(), &file.path).await?);
        }
        Ok(())
    }

    /// The days of a tenant's table that are in the index now, for a flush to note its keys.
    pub(crate) fn known(&self, tenant: TenantId, table: Table) -> HashMap<Day, Arc<DayKeys>> {
        let days = self.days();
        let own = days.iter().filter(|((owner, of, _), _)| (*owner, *of) == (tenant, table));
        own.map(|((.., day), entry)| (*day, entry.keys.clone())).collect()
    }

    /// Drops the days that were used longest ago and that nobody holds, until the bound is kept.
    fn evict(&self) {
        let mut days = self.days();
        let mut held: usize = days.values().map(|entry| entry.keys.len()).sum();
        if held <= self.keys_max {
            return;
        }
        let mut idle: Vec<_> = days
            .iter()
            .filter(|(_, entry)| Arc::strong_count(&entry.keys) == 1)
            .map(|(key, entry)| (entry.used, *key, entry.keys.len()))
            .collect();
        idle.sort_unstable_by_key(|(used, ..)| *used);
        for (_, key, keys) in idle {
            if held <= self.keys_max {
                break;
            }
            days.remove(&key);
            held -= keys;
        }
    }
}
