//! Memtables into data files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spanlake_catalog::{Commit, DataFile, Error as CatalogError, Files, WriterLease};
use spanlake_model::{Clock, Day, Entropy, FileId, SpanKey, Table, TenantId, Timestamp};
use spanlake_store::memtable::{Due, Frozen, Memtables};
use spanlake_store::{Store, file};

use crate::error::Error;
use crate::keys::KeyIndex;

/// Writes chunks into files and commits them. Used by the running writer and by replay.
pub(crate) struct Flusher {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) config: file::Config,
    /// Files of chunks whose commit has failed so far, by the chunk's last sequence: tried again, not written again.
    pub(crate) written: Mutex<Written>,
}

/// By table of a tenant: a chunk's last sequence and its files.
pub(crate) type Written = HashMap<(TenantId, Table), (u64, Vec<DataFile>)>;

/// How often a commit is tried before its chunk waits for the next round.
const COMMIT_TRIES: u32 = 3;
const COMMIT_PAUSE: Duration = Duration::from_millis(100);

impl Flusher {
    /// Flushes every chunk that failed before, then every table that is due, fullest first. One that fails stays visible
    /// and is tried again next time, and does not keep others waiting; the first failure is the answer.
    pub(crate) async fn flush_due(
        &self,
        lease: WriterLease,
        memtables: &Memtables,
        keys: &KeyIndex,
        due: Due,
    ) -> Result<(), Error> {
        let mut outcome = Ok(());
        let again = memtables.waiting().into_iter().map(|owner| (owner, true));
        let fresh = memtables.due(due).into_iter().map(|owner| (owner, false));
        for ((tenant, table), is_again) in again.chain(fresh).collect::<Vec<_>>() {
            let frozen = if is_again { memtables.refreeze(tenant, table) } else { memtables.freeze(tenant, table) };
            let Some(frozen) = frozen else { continue };
            match self.flush(lease, memtables, keys, frozen).await {
                Err(fenced @ Error::Catalog(CatalogError::Fenced { .. })) => return Err(fenced),
                Err(error) => outcome = outcome.and(Err(error)),
                Ok(()) => {}
            }
        }
        outcome
    }

    /// Flushes everything there is.
    pub(crate) async fn flush_all(
        &self,
        lease: WriterLease,
        memtables: &Memtables,
        keys: &KeyIndex,
    ) -> Result<(), Error> {
        let everything = Due { bytes: 0, opened_before: Timestamp::from_nanos(i64::MAX) };
        self.flush_due(lease, memtables, keys, everything).await
    }

    async fn flush(
        &self,
        lease: WriterLease,
        memtables: &Memtables,
        keys: &KeyIndex,
        frozen: Frozen,
    ) -> Result<(), Error> {
        let (owner, frozen) = ((frozen.tenant, frozen.table), Arc::new(frozen));
        let written = self.written().remove(&owner).filter(|(sequence, _)| *sequence == frozen.sequence);
        let files = match written {
            Some((_, files)) => files,
            None => self.write(&frozen).await?,
        };
        if let Err(error) = self.commit(lease, &frozen, files.clone()).await {
            // A file that was swept as an orphan, because this commit comes so late, is or will be gone: written again next time.
            if !matches!(error, Error::Catalog(CatalogError::Exists { .. })) {
                self.written().insert(owner, (frozen.sequence, files));
            }
            return Err(error);
        }
        tracing::debug!(
            tenant.id = %frozen.tenant,
            flush.files = files.len(),
            flush.rows = frozen.keys.len(),
            "flushed a memtable"
        );
        memtables.landed(&frozen, &keys.known(frozen.tenant, frozen.table));
        Ok(())
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One file a day, each durable when this returns. Until the commit they are orphans that nobody sees.
    async fn write(&self, frozen: &Arc<Frozen>) -> Result<Vec<DataFile>, Error> {
        let store = self.store.tenant(frozen.tenant);
        let mut files = Vec::new();
        for (name, bytes, written) in self.encode(frozen.clone()).await? {
            file::put(store.as_ref(), &name, bytes).await?;
            files.push(DataFile {
                id: name.file,
                tenant: name.tenant,
                table: name.table,
                day: name.day,
                path: name.path(),
                rows: written.rows,
                bytes: written.bytes,
                min_start: written.min_start,
                max_start: written.max_start,
                version: 0,
                superseded: superseded(frozen, name.day),
            });
        }
        Ok(files)
    }

    async fn encode(&self, frozen: Arc<Frozen>) -> Result<Vec<(file::Name, Vec<u8>, file::Written)>, Error> {
        let (clock, entropy, config) = (self.clock.clone(), self.entropy.clone(), self.config.clone());
        let encode = move || {
            if frozen.batches.is_empty() {
                return Ok(Vec::new());
            }
            let days = file::sort(frozen.table, &frozen.batches)?;
            days.into_iter()
                .map(|(day, rows)| {
                    let file = FileId::generate(clock.as_ref(), entropy.as_ref());
                    let name = file::Name { tenant: frozen.tenant, table: frozen.table, day, file };
                    let (bytes, written) = file::encode(&name, &rows, &config)?;
                    Ok((name, bytes, written))
                })
                .collect()
        };
        tokio::task::spawn_blocking(encode).await?
    }

    /// Commits, again if the database stumbles: a commit that went through before answers so and changes nothing.
    async fn commit(&self, lease: WriterLease, frozen: &Frozen, files: Vec<DataFile>) -> Result<(), Error> {
        let (tenant, table, sequence) = (frozen.tenant, frozen.table, frozen.sequence);
        let commit = Commit { lease, tenant, table, sequence, files };
        for _ in 1..COMMIT_TRIES {
            match self.files.commit(commit.clone()).await {
                Err(CatalogError::Database(_)) => tokio::time::sleep(COMMIT_PAUSE).await,
                outcome => return outcome.map(drop).map_err(Error::from),
            }
        }
        self.files.commit(commit).await.map(drop).map_err(Error::from)
    }
}

/// The keys a day's file replaces in older files. Without a file of that day there is nobody to carry them, and nothing to replace.
fn superseded(frozen: &Frozen, day: Day) -> Vec<SpanKey> {
    let days: HashMap<SpanKey, Day> = frozen.keys.iter().map(|(day, key, _)| (*key, *day)).collect();
    frozen.superseded.iter().copied().filter(|key| days.get(key) == Some(&day)).collect()
}
