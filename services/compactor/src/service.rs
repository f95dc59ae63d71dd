//! Looks for work and does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use spanlake_catalog::{DataFile, Erasures, Error as CatalogError, Files, Jobs, Replacement, Sweeps};
use spanlake_model::{Clock, CompactorId, Entropy, Fault, FileId};
use spanlake_proto::compactor::{Compacted, Compactor};
use spanlake_store::file::merge::Inputs;
use spanlake_store::{Store, background, file};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::erase::Clean;
use crate::error::Error;
use crate::merge::Merge;

/// What a compactor is made of.
pub struct Parts {
    /// The data files there are.
    pub files: Arc<dyn Files>,
    /// What is to be erased from them, and what is past its time.
    pub erasures: Arc<dyn Erasures>,
    /// What compactors share out among them.
    pub jobs: Arc<dyn Jobs>,
    /// What a walk through the store asks.
    pub sweeps: Arc<dyn Sweeps>,
    /// Where files lie.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Settings.
    pub config: Config,
}

/// The compactor. Any number may run on one catalog, and share the work.
pub struct Service {
    /// Of leases, in this process's life.
    pub(crate) owner: CompactorId,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) erasures: Arc<dyn Erasures>,
    pub(crate) jobs: Arc<dyn Jobs>,
    pub(crate) sweeps: Arc<dyn Sweeps>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) config: Config,
    /// One look at a time, so that memory is bounded by one merge.
    looking: Mutex<()>,
    pub(crate) clean: Clean,
    failures: AtomicU64,
}

impl Service {
    /// A compactor of everything in this catalog and store.
    pub fn new(parts: Parts) -> Self {
        let Parts { files, erasures, jobs, sweeps, store, clock, entropy, config } = parts;
        let owner = CompactorId::generate(clock.as_ref(), entropy.as_ref());
        Self {
            owner,
            files,
            erasures,
            jobs,
            sweeps,
            store,
            clock,
            entropy,
            config,
            looking: Mutex::default(),
            clean: Clean::default(),
            failures: AtomicU64::new(0),
        }
    }

    /// Merges, erasures and removals that failed, and looks for work that did, since the start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Looks for work again and again until told to stop; then a merge at hand is given up, unless it is as good as done.
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
                Err(Error::Incomplete { failures }) => _ = self.failures.fetch_add(failures, Ordering::Relaxed),
                Err(error) => {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(error = &error as &dyn std::error::Error, "could not look for work");
                }
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
        // Before merges, so that they do not carry along what is to go.
        let mut failures = self.erase_all(shutdown).await?;
        self.drop_expired().await?;
        for day in self.jobs.days(self.wanted(), self.config.days_per_look_max).await? {
            if shutdown.is_cancelled() {
                break;
            }
            failures += u64::from(!self.work_on(day, shutdown, &mut done).await);
        }
        if !shutdown.is_cancelled() {
            let replaced = self.sweep().await?;
            self.erasures.finish_erasures(self.clock.now()).await?;
            let orphans = self.sweep_orphans().await?;
            done.removed_files = replaced.removed + orphans.removed;
            failures += replaced.failures + orphans.failures;
        }
        if failures == 0 { Ok(done) } else { Err(Error::Incomplete { failures }) }
    }

    /// `None` when another compactor was faster.
    #[tracing::instrument(name = "compactor.merge", skip_all, fields(tenant.id = %merge.tenant, merge.day = %merge.day))]
    pub(crate) async fn merge(
        &self,
        merge: Merge,
        inputs: Inputs,
        stop: &CancellationToken,
    ) -> Result<Option<Compacted>, Error> {
        let merge = Arc::new(merge);
        let outputs: Vec<_> = self.write(&merge, inputs, stop).await?.into_iter().collect();
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
    async fn write(
        &self,
        merge: &Arc<Merge>,
        inputs: Inputs,
        stop: &CancellationToken,
    ) -> Result<Option<DataFile>, Error> {
        let (merge, stop) = (merge.clone(), stop.clone());
        let output = FileId::generate(self.clock.as_ref(), self.entropy.as_ref());
        background::run(merge.rank, move || merge.write(inputs, output, &|| !stop.is_cancelled())).await?
    }

    /// Deletes files that the catalog has refused: nobody knows of them.
    pub(crate) async fn discard(&self, orphans: &[DataFile]) {
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
