//! Looks for work and does it.

use std::sync::Arc;

use async_trait::async_trait;
use spanlake_catalog::{DataFile, Error as CatalogError, Files, Replacement, TenantDay};
use spanlake_model::{Clock, Entropy, Fault, FileId};
use spanlake_proto::compactor::{Compacted, Compactor};
use spanlake_store::{Store, file};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::choose::choose;
use crate::config::Config;
use crate::error::Error;
use crate::merge::{Encoded, Merge};
use crate::sweep::sweep;

/// The compactor. Any number may run on one catalog: they waste work on each other at worst.
pub struct Service {
    files: Arc<dyn Files>,
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    config: Config,
    /// One look at a time, so that memory is bounded by one merge.
    looking: Mutex<()>,
}

impl Service {
    /// A compactor of everything in this catalog and store.
    pub fn new(
        files: Arc<dyn Files>,
        store: Store,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        config: Config,
    ) -> Self {
        Self { files, store, clock, entropy, config, looking: Mutex::default() }
    }

    /// Looks for work again and again until told to stop; then the merge at hand is finished, and no other begun.
    pub async fn run(&self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.look(&shutdown).await {
                Ok(done) if done == Compacted::default() => {}
                Ok(done) => tracing::info!(
                    merged.files = done.merged_files,
                    written.files = done.written_files,
                    removed.files = done.removed_files,
                    "compacted"
                ),
                // Its parts have been logged.
                Err(Error::Incomplete { .. }) => {}
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "could not look for work"),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(self.config.look_interval()) => {}
            }
        }
    }

    /// What fails is logged and does not keep the rest from being done.
    async fn look(&self, shutdown: &CancellationToken) -> Result<Compacted, Error> {
        let _looking = self.looking.lock().await;
        let mut done = Compacted::default();
        let mut failures = 0;
        for day in self.files.crowded_days(self.config.least_files(), self.config.days_per_look_max).await? {
            if let Err(error) = self.merge_day(day, shutdown, &mut done).await {
                failures += 1;
                let error: &dyn std::error::Error = &error;
                tracing::error!(tenant.id = %day.tenant, merge.day = %day.day, error, "could not merge files");
            }
        }
        if !shutdown.is_cancelled() {
            let swept = sweep(self.files.as_ref(), &self.store, self.clock.as_ref(), &self.config).await?;
            done.removed_files = swept.removed;
            failures += swept.failures;
        }
        if failures == 0 { Ok(done) } else { Err(Error::Incomplete { failures }) }
    }

    /// Merges until the day is as it should be. Each merge makes it at least one file less, so this ends.
    async fn merge_day(&self, day: TenantDay, shutdown: &CancellationToken, done: &mut Compacted) -> Result<(), Error> {
        for _ in 0..day.files {
            if shutdown.is_cancelled() {
                break;
            }
            let files = self.files.day(day.tenant, day.table, day.day).await?;
            let Some(merge) = choose(&files, &self.config).and_then(|run| Merge::of(files, run)) else { break };
            let Some(merged) = self.merge(merge).await? else { break };
            done.merged_files += merged.merged_files;
            done.written_files += merged.written_files;
        }
        Ok(())
    }

    /// `None` when another compactor was faster.
    #[tracing::instrument(name = "compactor.merge", skip_all, fields(tenant.id = %merge.tenant, merge.day = %merge.day))]
    async fn merge(&self, merge: Merge) -> Result<Option<Compacted>, Error> {
        let merge = Arc::new(merge);
        let outputs: Vec<_> = self.write(&merge).await?.into_iter().collect();
        let replacement = Replacement {
            tenant: merge.tenant,
            table: merge.table,
            inputs: merge.input_ids(),
            outputs: outputs.clone(),
            // Only now, after all the work: readers may take the inputs up to this moment.
            at: self.clock.now(),
        };
        let merged = Compacted {
            merged_files: replacement.inputs.len() as u64,
            written_files: outputs.len() as u64,
            removed_files: 0,
        };
        match self.files.replace(replacement).await {
            Ok(()) => Ok(Some(merged)),
            Err(CatalogError::Changed(_)) => {
                tracing::debug!("another compactor was faster");
                self.discard(&outputs).await;
                Ok(None)
            }
            Err(refused @ CatalogError::Misfiled { .. }) => {
                self.discard(&outputs).await;
                Err(refused.into())
            }
            // The database may have done it and only its answer be lost. An output that is live must stay; one that
            // is not costs some room until orphans are swept.
            Err(unclear) => Err(unclear.into()),
        }
    }

    /// The output, durable in the store; `None` when no row lives on.
    async fn write(&self, merge: &Arc<Merge>) -> Result<Option<DataFile>, Error> {
        let Some((name, bytes, written)) = self.encode(merge.clone()).await? else { return Ok(None) };
        file::put(self.store.tenant(name.tenant).as_ref(), &name, bytes).await?;
        Ok(Some(merge.output(&name, &written)))
    }

    /// Off the async threads: decoding, sorting and encoding take seconds, between waits for the store that take little.
    async fn encode(&self, merge: Arc<Merge>) -> Result<Option<Encoded>, Error> {
        let (store, config) = (self.store.clone(), self.config.file.clone());
        let output = FileId::generate(self.clock.as_ref(), self.entropy.as_ref());
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || runtime.block_on(merge.encode(&store, output, &config))).await?
    }

    /// Deletes files that the catalog has refused: nobody knows of them.
    async fn discard(&self, orphans: &[DataFile]) {
        for orphan in orphans {
            if let Err(error) = file::delete(self.store.tenant(orphan.tenant).as_ref(), &orphan.path).await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(file.id = %orphan.id, error, "left an orphan in the store");
            }
        }
    }
}

#[async_trait]
impl Compactor for Service {
    async fn run_once(&self) -> Result<Compacted, Fault> {
        self.look(&CancellationToken::new()).await.map_err(|error| {
            // The parts of an incomplete look have been logged; of the others the caller hears no cause.
            if !matches!(error, Error::Incomplete { .. }) {
                tracing::error!(error = &error as &dyn std::error::Error, "could not look for work");
            }
            error.into()
        })
    }
}
