//! The way in: a snapshot of one tenant's table.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use datafusion::execution::cache::cache_manager::{CacheManagerConfig, FileMetadataCache};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use object_store::ObjectStore;
use spanlake_catalog::Files;
use spanlake_model::{Caller, Clock, Receipt, Table, TenantId, TimeRange};
use spanlake_proto::ingest::FreshSource;
use tokio::time::{Instant, timeout_at};

use crate::answers::Answers;
use crate::books::Books;
use crate::config::Config;
use crate::error::Error;
use crate::guard::Tripwire;
use crate::index::Index;
use crate::session::{TenantSession, Workshop};
use crate::snapshot;
use crate::turns::{Full, Turns};

/// An object store for each tenant that sees that tenant's files and no others.
pub trait TenantStores: Send + Sync + 'static {
    /// The tenant's; paths are those of [`spanlake_catalog::DataFile::path`].
    fn tenant(&self, tenant: TenantId) -> Arc<dyn ObjectStore>;
}

/// Which rows a query is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// Of which table.
    pub table: Table,
    /// That start in this range.
    pub range: TimeRange,
    /// And no earlier than this write.
    pub after: Option<Receipt>,
}

/// What one session may use.
struct Allowance<'a> {
    turns: &'a Arc<Turns>,
    within: Duration,
    files_max: usize,
    read_bytes: u64,
}

/// Plans and runs queries of one tenant at a time.
pub struct Engine {
    files: Arc<dyn Files>,
    fresh: Arc<dyn FreshSource>,
    stores: Arc<dyn TenantStores>,
    clock: Arc<dyn Clock>,
    memory: Arc<dyn MemoryPool>,
    metadata: Arc<FileMetadataCache>,
    index: Index,
    answers: Answers,
    queries: Arc<Turns>,
    scans: Arc<Turns>,
    trespasses: Arc<AtomicU64>,
    books: Books,
    config: Arc<Config>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over these files and writers. The clock tells which rows are past their time.
    ///
    /// # Errors
    /// When DataFusion cannot set up its caches.
    pub fn new(
        files: Arc<dyn Files>,
        fresh: Arc<dyn FreshSource>,
        stores: Arc<dyn TenantStores>,
        clock: Arc<dyn Clock>,
        config: Config,
    ) -> Result<Self, Error> {
        let memory = Arc::new(GreedyMemoryPool::new(config.memory_bytes));
        // Paths begin with the tenant, so this one cache is kept apart by tenant.
        let caches = CacheManagerConfig::default().with_metadata_cache_limit(config.metadata_cache_bytes);
        let environment = RuntimeEnvBuilder::new().with_cache_manager(caches).build()?;
        let metadata = environment.cache_manager.get_file_metadata_cache();
        let trespasses = Arc::default();
        Ok(Self {
            files,
            fresh,
            stores,
            clock,
            memory,
            metadata,
            index: Index::new(config.trace_index_bytes),
            answers: Answers::new(config.answers_bytes),
            queries: Turns::new(config.query_turns()),
            scans: Turns::new(config.scan_turns()),
            trespasses,
            books: Books::default(),
            config: Arc::new(config),
        })
    }

    /// The caller's tenant's rows as they are now: catalog first, then each registered writer. Rows that were erased or
    /// are past their time are not among them. Waits for the tenant's turn, which lasts until the session and its streams are
    /// dropped; one session a request, or a request may wait for itself.
    ///
    /// # Errors
    /// [`Error::Crowded`] when too many queries of the tenant wait already; [`Error::TooManyFiles`] for a range too wide;
    /// [`Error::Writer`] when a writer cannot be reached, since leaving its rows out would be a silent lie; [`Error::Catalog`], [`Error::Unsettled`], [`Error::Deadline`].
    pub async fn snapshot(&self, caller: &Caller, request: &SnapshotRequest) -> Result<TenantSession, Error> {
        self.allowed(caller, request, self.of_query(), false).await
    }

    /// As [`Self::snapshot`] of spans, with all the tenant's scores that are kept beside them ([`TenantSession::scores`]),
    /// whatever the range: as of the same instant, under one turn and one budget.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub async fn snapshot_with_scores(
        &self,
        caller: &Caller,
        request: &SnapshotRequest,
    ) -> Result<TenantSession, Error> {
        self.allowed(caller, request, self.of_query(), true).await
    }

    /// As [`Self::snapshot`], for exports, which wait for their reader: with a deadline and turns of their own, and no bound
    /// on what is read.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub async fn snapshot_within(
        &self,
        caller: &Caller,
        request: &SnapshotRequest,
        within: Duration,
    ) -> Result<TenantSession, Error> {
        self.allowed(caller, request, self.of_scan(within), false).await
    }

    /// As [`Self::snapshot_with_scores`], for exports.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub async fn snapshot_with_scores_within(
        &self,
        caller: &Caller,
        request: &SnapshotRequest,
        within: Duration,
    ) -> Result<TenantSession, Error> {
        self.allowed(caller, request, self.of_scan(within), true).await
    }

    fn of_query(&self) -> Allowance<'_> {
        Allowance {
            turns: &self.queries,
            within: self.config.deadline(),
            files_max: self.config.files_max,
            read_bytes: self.config.query_read_bytes,
        }
    }

    fn of_scan(&self, within: Duration) -> Allowance<'_> {
        Allowance { turns: &self.scans, within, files_max: usize::MAX, read_bytes: u64::MAX }
    }

    async fn allowed(
        &self,
        caller: &Caller,
        request: &SnapshotRequest,
        allowance: Allowance<'_>,
        with_scores: bool,
    ) -> Result<TenantSession, Error> {
        let Allowance { turns, within, files_max, read_bytes } = allowance;
        let tenant = caller.tenant();
        let deadline = Instant::now() + within;
        let deadline_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let at_once = turns.of_tenant(caller.queries_at_once());
        let crowded = |Full| Error::Crowded { at_once, waiting_max: self.config.tenant_queries_waiting };
        let turn =
            timeout_at(deadline, turns.take(tenant, at_once)).await.map_err(|_| Error::Deadline { deadline_ms })?;
        let turn = Arc::new(turn.map_err(crowded)?);
        let now = self.clock.now();
        let scores = SnapshotRequest { table: Table::Scores, range: TimeRange::all(), after: request.after };
        let requests = [*request, scores];
        let requests = if with_scores { &requests[..] } else { &requests[..1] };
        let taking = snapshot::take(&*self.files, &*self.fresh, files_max, tenant, requests, now);
        let late = |_| Error::Deadline { deadline_ms };
        let mut taken = timeout_at(deadline, taking).await.map_err(late)??.into_iter();
        let rows = taken.next().expect("rows for each request");
        let scores = taken.next();
        let workshop = Workshop {
            config: self.config.clone(),
            memory: self.memory.clone(),
            metadata: self.metadata.clone(),
            store: self.stores.tenant(tenant),
            index: self.index.clone(),
            answers: self.answers.clone(),
            turn,
            read_bytes,
            book: self.books.of(tenant, rows.own_prices.as_deref()),
            tripwire: Tripwire { tenant, trespasses: self.trespasses.clone() },
            deadline,
            deadline_ms,
        };
        TenantSession::new(workshop, request, rows, scores)
    }

    /// Queries that run, exports apart.
    pub fn queries_running(&self) -> usize {
        self.queries.running()
    }

    /// Queries that wait for their tenant's turn, exports apart.
    pub fn queries_waiting(&self) -> usize {
        self.queries.waiting()
    }

    /// Scans for exports that run.
    pub fn scans_running(&self) -> usize {
        self.scans.running()
    }

    /// How often a scan met a row of another tenant. Must stay 0.
    pub fn trespasses(&self) -> u64 {
        self.trespasses.load(Ordering::Relaxed)
    }
}

impl TenantStores for spanlake_store::Store {
    fn tenant(&self, tenant: TenantId) -> Arc<dyn ObjectStore> {
        Self::tenant(self, tenant)
    }
}
