//! Memtables into data files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spanlake_catalog::{Commit, DataFile, Error as CatalogError, Files, WriterLease};
use spanlake_model::{Clock, Day, Entropy, FileId, SpanKey, Table, TenantId};
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
    /// Files of chunks whose commit has not gone through yet: tried again, not written again.
    pub(crate) written: Mutex<Written>,
}

/// By table of a tenant.
pub(crate) type Written = HashMap<(TenantId, Table), WrittenChunk>;

/// A chunk that is in files, and not in the catalog yet.
pub(crate) struct WrittenChunk {
    state: (u64, u64),
    files: Vec<DataFile>,
}

/// What the rows of a chunk depend on: its last frame, and how many rows have lost to other writers'.
fn state(frozen: &Frozen) -> (u64, u64) {
    (frozen.sequence, frozen.losses)
}

/// How often a commit is tried before its chunk waits for the next round.
const COMMIT_TRIES: u32 = 3;
const COMMIT_PAUSE: Duration = Duration::from_millis(100);
/// Files that waited longer for their commit are written anew: after a day (`compactor.orphan_age_s`) they would be taken for
/// orphans, deleted, and in the end forgotten, so that a commit would name what is not there.
const WRITTEN_AGE_MAX: Duration = Duration::from_secs(3_600);
/// How often other writers may be faster before a chunk waits for the next round.
const SETTLE_TRIES: u32 = 20;

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
        let waiting = memtables.waiting();
        for (tenant, table) in waiting.into_iter().chain(memtables.due(due)) {
            memtables.freeze(tenant, table);
            match self.flush(lease, memtables, keys, (tenant, table)).await {
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
        self.flush_due(lease, memtables, keys, Due::EVERYTHING).await
    }

    /// Writes a chunk into files and commits them, again and again while other writers are faster: what they have committed
    /// may hold the same spans, so each time it is settled anew which rows stay and which keys are replaced.
    async fn flush(
        &self,
        lease: WriterLease,
        memtables: &Memtables,
        keys: &KeyIndex,
        owner: (TenantId, Table),
    ) -> Result<(), Error> {
        let (tenant, table) = owner;
        for _ in 0..SETTLE_TRIES {
            let known_version = keys.catch_up(tenant, table, u64::MAX, memtables).await?;
            let Some(frozen) = memtables.frozen(tenant, table) else { return Ok(()) };
            let frozen = Arc::new(frozen);
            let files = self.written_or_write(&frozen).await?;
            let commit = Commit { lease, tenant, table, sequence: frozen.sequence, known_version, files };
            match self.commit(commit).await {
                Err(Error::Catalog(CatalogError::Behind { .. })) => {}
                // A file that was swept as an orphan, because this commit comes so late, is or will be gone: written again next time.
                Err(swept @ Error::Catalog(CatalogError::Exists { .. })) => {
                    self.written().remove(&owner);
                    return Err(swept);
                }
                outcome => {
                    let version = outcome?;
                    self.landed(&frozen, memtables, keys, known_version, version);
                    return Ok(());
                }
            }
        }
        Err(Error::Unsettled)
    }

    fn landed(
        &self,
        frozen: &Frozen,
        memtables: &Memtables,
        keys: &KeyIndex,
        known_version: u64,
        version: Option<u64>,
    ) {
        let (tenant, table) = (frozen.tenant, frozen.table);
        self.written().remove(&(tenant, table));
        let days = keys.known(tenant, table);
        memtables.landed(frozen, &days);
        if let Some(version) = version {
            keys.committed(tenant, table, known_version, version);
        }
        keys.rest(days);
        tracing::debug!(tenant.id = %tenant, flush.rows = frozen.keys.len(), "flushed a memtable");
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chunk's files: those of an earlier try while they hold just the rows that are to stay, else new ones.
    async fn written_or_write(&self, frozen: &Arc<Frozen>) -> Result<Vec<DataFile>, Error> {
        let owner = (frozen.tenant, frozen.table);
        let earlier = self.written().remove(&owner);
        let files = match earlier {
            Some(written) if written.state == state(frozen) && self.are_young(&written.files) => written.files,
            // Nobody knows of the old ones. If they were committed and the answer was lost, the catalog says so before it looks at these.
            _ => self.write(frozen).await?,
        };
        let superseded = |file: DataFile| DataFile { superseded: superseded(frozen, file.day), ..file };
        let files: Vec<_> = files.into_iter().map(superseded).collect();
        self.written().insert(owner, WrittenChunk { state: state(frozen), files: files.clone() });
        Ok(files)
    }

    /// Whether no sweep can have taken them for orphans.
    fn are_young(&self, files: &[DataFile]) -> bool {
        let oldest = self.clock.now().minus(WRITTEN_AGE_MAX);
        files.iter().all(|file| file.id.made_at().is_some_and(|made| made >= oldest))
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

    /// Commits, again if the database stumbles: a commit that went through before answers so (with no version) and changes nothing.
    async fn commit(&self, commit: Commit) -> Result<Option<u64>, Error> {
        for _ in 1..COMMIT_TRIES {
            match self.files.commit(commit.clone()).await {
                Err(CatalogError::Database(_)) => tokio::time::sleep(COMMIT_PAUSE).await,
                outcome => return Ok(outcome?),
            }
        }
        Ok(self.files.commit(commit).await?)
    }
}

/// The keys a day's file replaces in older files. Without a file of that day there is nobody to carry them, and nothing to replace.
fn superseded(frozen: &Frozen, day: Day) -> Vec<SpanKey> {
    let days: HashMap<SpanKey, Day> = frozen.keys.iter().map(|(day, key, _)| (*key, *day)).collect();
    frozen.superseded.iter().copied().filter(|key| days.get(key) == Some(&day)).collect()
}
