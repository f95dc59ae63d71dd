//! One query's own world: a DataFusion context that holds one tenant's snapshot and nothing else.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::{Expr, SessionConfig, SessionContext, col};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::ObjectStore;
use spanlake_catalog::DataFile;
use spanlake_model::{Day, FileId, Receipt, SpanKey, Table, TimeRange, Timestamp, TraceId};
use spanlake_prices::Book;
use tokio::time::{Instant, timeout_at};

use crate::answers::Answers;
use crate::calls::call_totals;
use crate::config::Config;
use crate::days::days_in;
use crate::engine::SnapshotRequest;
use crate::error::Error;
use crate::extent::Extent;
use crate::fold::{self, Folded};
use crate::guard::Tripwire;
use crate::hidden::Hidden;
use crate::index::{Index, Named, Prints, Shares, print};
use crate::memory::{Held, QueryPool};
use crate::metered::Metered;
use crate::parts::parts;
use crate::pieces::Cut;
use crate::priced::priced;
use crate::range::starts_in;
use crate::run::{self, Bounds};
use crate::snapshot::Rows;
use crate::table::SnapshotTable;
use crate::tree::hash;
use crate::turns::Turn;
use crate::wanted::Wanted;

/// Names the tenant's store inside one session, where no other is registered.
const STORE: &str = "tenant://own";

/// Null for a span.
const LOG_NAME: &str = "log_name";

/// What an engine gives a session.
pub(crate) struct Workshop {
    pub(crate) config: Arc<Config>,
    pub(crate) memory: Arc<dyn MemoryPool>,
    pub(crate) metadata: Arc<FileMetadataCache>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) index: Index,
    pub(crate) answers: Answers,
    pub(crate) turn: Arc<Turn>,
    /// Bytes of data files the session may read.
    pub(crate) read_bytes: u64,
    pub(crate) tripwire: Tripwire,
    pub(crate) book: Arc<Book>,
    pub(crate) deadline: Instant,
    pub(crate) deadline_ms: u64,
}

/// The scores beside a session's spans.
#[derive(Clone)]
struct Scores {
    provider: Arc<SnapshotTable>,
    range: TimeRange,
    shown: Vec<Receipt>,
}

/// One tenant's rows as they were at one instant, ready to be asked. Every frame of a session sees the same rows.
#[derive(Clone)]
pub struct TenantSession {
    context: SessionContext,
    table: Table,
    provider: Arc<SnapshotTable>,
    scores: Option<Scores>,
    /// Made when it is first asked for: most queries know their range.
    extent: OnceLock<Extent>,
    store: Arc<dyn ObjectStore>,
    index: Index,
    answers: Answers,
    range: TimeRange,
    shown: Vec<Receipt>,
    /// Whose trees are held at a time.
    tree_rows: u64,
    rounds: u64,
    piece_rows: u64,
    /// Of the tenant's own prices.
    prices: u64,
    book: Arc<Book>,
    bounds: Bounds,
}

impl fmt::Debug for TenantSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantSession").field("rows", &self.provider).finish_non_exhaustive()
    }
}

impl TenantSession {
    pub(crate) fn new(
        workshop: Workshop,
        request: &SnapshotRequest,
        rows: Rows,
        scores: Option<Rows>,
    ) -> Result<Self, Error> {
        let Workshop {
            config,
            memory,
            metadata,
            store,
            index,
            answers,
            turn,
            read_bytes,
            tripwire,
            book,
            deadline,
            deadline_ms,
        } = workshop;
        let meter = Arc::new(Metered::new(store.clone(), read_bytes));
        let metered: Arc<dyn ObjectStore> = meter.clone();
        let url = ObjectStoreUrl::parse(STORE)?;
        let pool = Arc::new(QueryPool::new(memory, config.query_memory_bytes));
        let state = SessionStateBuilder::new()
            .with_config(session_config(&config))
            .with_runtime_env(environment(&url, metered.clone(), pool.clone())?)
            .build();
        let reader = Arc::new(CachedParquetFileReaderFactory::new(metered, metadata));
        let snapshot_table = |table: Table, rows: Rows| SnapshotTable {
            table,
            schema: spanlake_store::schema::of(table),
            hidden: Arc::new(Hidden::of(&rows.files, &rows.replaced_by_fresh)),
            erased: rows.erasures.into(),
            files: rows.files,
            fresh: rows.fresh,
            cut: None,
            tripwire: tripwire.clone(),
            store: url.clone(),
            reader: reader.clone(),
        };
        let scores = scores.map(|mut rows| {
            let (range, shown) = (rows.range, std::mem::take(&mut rows.shown));
            Scores { provider: Arc::new(snapshot_table(Table::Scores, rows)), range, shown }
        });
        let tree_rows = config.tree_rows.max(1);
        let rounds = rows_in(&rows.files, &rows.fresh).div_ceil(tree_rows);
        let prices = hash(&rows.own_prices);
        let (range, mut rows) = (rows.range, rows);
        let shown = std::mem::take(&mut rows.shown);
        let table = snapshot_table(request.table, rows);
        let bounds = Bounds { deadline, deadline_ms, pool, meter, turn };
        let context = SessionContext::new_with_state(state);
        Ok(Self {
            context,
            table: request.table,
            extent: OnceLock::new(),
            provider: Arc::new(table),
            scores,
            store,
            index,
            answers,
            range,
            shown,
            tree_rows,
            rounds,
            piece_rows: config.piece_rows,
            prices,
            book,
            bounds,
        })
    }

    /// The same rows, less those files that hold none of these traces: for few of them. What files hold is read once and
    /// remembered.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Deadline`].
    pub async fn near(&self, traces: &[TraceId]) -> Result<Self, Error> {
        let wanted: Vec<_> = traces.iter().map(|trace| print(trace.as_bytes())).collect();
        self.holding(Named::Trace, &wanted).await
    }

    /// As [`Self::near`], by texts that spans themselves have.
    ///
    /// # Errors
    /// As [`Self::near`].
    pub async fn near_named(&self, named: Named, texts: &[String]) -> Result<Self, Error> {
        let wanted: Vec<_> = texts.iter().map(|text| print(text.as_bytes())).collect();
        self.holding(named, &wanted).await
    }

    /// As [`Self::near`], less those files that hold no span of any session that a span in `range` names; some others may stay.
    ///
    /// # Errors
    /// As [`Self::near`].
    pub async fn near_sessions_in(&self, range: TimeRange) -> Result<Self, Error> {
        let SnapshotTable { files, fresh, .. } = self.provider.as_ref();
        let is_in_range = |file: &DataFile| range.touches(file.min_start, file.max_start);
        self.with_files(self.index.holding_sessions(&self.store, files, fresh, is_in_range)).await
    }

    async fn holding(&self, named: Named, wanted: &[u32]) -> Result<Self, Error> {
        self.with_files(self.index.holding(&self.store, &self.provider.files, named, wanted)).await
    }

    async fn with_files(&self, files: impl Future<Output = Result<Vec<DataFile>, Error>>) -> Result<Self, Error> {
        let files = self.in_time(files).await??;
        Ok(self.over(SnapshotTable { files, ..self.provider.as_ref().clone() }))
    }

    /// Whether a row of the snapshot may start before `instant`, as far as is known without opening a file.
    pub fn reaches_before(&self, instant: Timestamp) -> bool {
        self.extent().first().is_some_and(|first| first.max(self.range.start()) < instant)
    }

    /// What the files hold of traces, and what of that they share.
    pub(crate) async fn traces_of_files(&self) -> Result<(Vec<Arc<Prints>>, Arc<Shares>), Error> {
        let files = &self.provider.files;
        let held = self.in_time(self.index.all(&self.store, files, Named::Trace)).await??;
        let shares = self.index.shares(files, &held).await;
        Ok((held, shares))
    }

    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        timeout_at(self.bounds.deadline, work).await.map_err(|_| self.bounds.late())
    }

    /// The session over other rows of the snapshot.
    fn over(&self, table: SnapshotTable) -> Self {
        Self { provider: Arc::new(table), extent: OnceLock::new(), ..self.clone() }
    }

    /// Over these files, which lie in the range as a whole and of whose rows that are left none has been replaced.
    pub(crate) fn alone(&self, files: Vec<DataFile>, cut: Option<Cut>) -> Self {
        // Of some files little is left.
        let rounds = files.iter().map(|file| file.rows).max().unwrap_or(0).div_ceil(self.tree_rows);
        let table =
            SnapshotTable { files, fresh: Vec::new(), hidden: Arc::default(), cut, ..self.provider.as_ref().clone() };
        Self { range: TimeRange::all(), rounds, ..self.over(table) }
    }

    /// Without some files, and with what is cut off of others, about so many rows.
    pub(crate) fn without(&self, files: &HashSet<FileId>, cut: Cut, rows_cut: u64) -> Self {
        let mut table = self.provider.as_ref().clone();
        table.files.retain(|file| !files.contains(&file.id));
        let whole = table.files.iter().filter(|file| !cut.files.contains(&file.id)).map(|file| file.rows);
        let rows = whole.sum::<u64>().saturating_add(rows_in(&[], &table.fresh)).saturating_add(rows_cut);
        table.cut = Some(cut);
        Self { rounds: rows.div_ceil(self.tree_rows), ..self.over(table) }
    }

    pub(crate) fn files(&self) -> &[DataFile] {
        &self.provider.files
    }

    pub(crate) fn fresh(&self) -> &[RecordBatch] {
        &self.provider.fresh
    }

    /// Keys of rows that others have taken the place of.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = &SpanKey> {
        self.provider.hidden.keys()
    }

    pub(crate) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// In which its rows begin.
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// Rows from which on a file is a piece of its own.
    pub(crate) fn piece_rows(&self) -> u64 {
        self.piece_rows
    }

    /// What decides about a file's rows beside the rows of others.
    pub(crate) fn world(&self) -> u64 {
        let erased = self.provider.erased.iter().map(|erasure| format!("{erasure:?}"));
        erased.fold(self.prices, |world, erasure| hash((world, erasure)))
    }

    /// The latest part of the range up to `end` that holds about so many rows, `end` excluded; the rest of the range
    /// when it holds fewer. `None` when nothing of the range is before `end`.
    pub fn part_before(&self, end: Timestamp, rows: u64) -> Option<TimeRange> {
        self.extent().before(end.min(self.range.end()), self.range.start(), rows)
    }

    /// As [`Self::part_before`], the earliest part of the range from `start` on.
    pub fn part_after(&self, start: Timestamp, rows: u64) -> Option<TimeRange> {
        self.extent().after(start.max(self.range.start()), self.range.end(), rows)
    }

    fn extent(&self) -> &Extent {
        self.extent.get_or_init(|| Extent::of(&self.provider.files, &self.provider.fresh))
    }

    /// Of each writer that had rows of the tenant, the last write that this snapshot shows: it shows every one before it
    /// and, at the moment it was taken, there was none after it that had been acknowledged.
    pub fn shown(&self) -> &[Receipt] {
        &self.shown
    }

    /// As [`Self::shown`], of the scores beside the spans; nothing when the session was not asked for them.
    pub fn scores_shown(&self) -> &[Receipt] {
        self.scores.as_ref().map_or(&[], |scores| &scores.shown)
    }

    /// The days on which rows of the snapshot may start, in order; none outside the range.
    pub fn days(&self) -> Vec<Day> {
        days_in(self.range, &self.provider.files, &self.provider.fresh)
    }

    /// As [`Self::days`], of the scores beside the spans.
    pub fn days_of_scores(&self) -> Vec<Day> {
        let days = |scores: &Scores| days_in(scores.range, &scores.provider.files, &scores.provider.fresh);
        self.scores.as_ref().map(days).unwrap_or_default()
    }

    /// Whether the tenant has a score at all, as far as is known without opening a file.
    pub fn has_scores(&self) -> bool {
        let has_rows = |table: &SnapshotTable| !table.files.is_empty() || !table.fresh.is_empty();
        self.scores.as_ref().is_some_and(|scores| has_rows(&scores.provider))
    }

    /// The tenant's scores that are kept, whenever they were given. A score that was given again on another day may still be
    /// there in both forms: the one received last is the score.
    ///
    /// # Errors
    /// [`Error::NoScores`] when the session is not of [`crate::Engine::snapshot_with_scores`]; as [`Self::frame`].
    pub fn scores(&self) -> Result<DataFrame, Error> {
        let scores = self.scores.as_ref().ok_or(Error::NoScores)?;
        self.scan(Table::Scores, scores.provider.clone(), scores.range)
    }

    /// The spans of the snapshot that start in its range. Plan with DataFusion's expressions from here.
    ///
    /// # Errors
    /// When the plan cannot be made, which is a mistake of ours.
    pub fn frame(&self) -> Result<DataFrame, Error> {
        Ok(self.rows()?.filter(col(LOG_NAME).is_null())?)
    }

    /// The frame, which has all columns, with costs computed where the client sent none, by the prices of now. For few rows: put
    /// it behind sort and limit.
    ///
    /// # Errors
    /// As [`Self::frame`].
    pub fn priced(&self, frame: DataFrame) -> Result<DataFrame, Error> {
        Ok(priced(frame, &self.book)?)
    }

    /// What a row of a frame with all columns, not priced yet, costs: for conditions, which are held against rows before they are
    /// priced.
    pub fn cost(&self) -> Expr {
        crate::priced::cost(&self.book)
    }

    /// The log records that are kept beside the spans and came in its range. Files without any are not opened.
    ///
    /// # Errors
    /// As [`Self::frame`].
    pub fn logs(&self) -> Result<DataFrame, Error> {
        Ok(self.rows()?.filter(col(LOG_NAME).is_not_null())?)
    }

    /// Spans and log records.
    ///
    /// # Errors
    /// As [`Self::frame`].
    pub fn rows(&self) -> Result<DataFrame, Error> {
        self.scan(self.table, self.provider.clone(), self.range)
    }

    fn scan(&self, table: Table, provider: Arc<SnapshotTable>, range: TimeRange) -> Result<DataFrame, Error> {
        let source = provider_as_source(provider);
        let plan = LogicalPlanBuilder::scan(table.as_str(), source, None)?.build()?;
        let all = DataFrame::new(self.context.state(), plan);
        Ok(if range == TimeRange::all() { all } else { all.filter(starts_in(range))? })
    }

    /// Plans and starts the frame; its batches arrive as they are made, a few ahead of the reader. Dropping the stream
    /// stops the work. After an error comes the end.
    ///
    /// # Errors
    /// [`Error::Deadline`], or why the plan could not be made.
    pub async fn stream(&self, frame: DataFrame) -> Result<BoxStream<'static, Result<RecordBatch, Error>>, Error> {
        run::start(frame, self.bounds.clone()).await
    }

    /// Plans and runs the frame, and feeds each part of its rows to something of its own: `add` takes a batch in and says by how many bytes
    /// it grew, which count in the query's share of memory. For what aggregates say less simply or more slowly.
    ///
    /// # Errors
    /// As [`Self::collect`], and those of `add`.
    pub async fn fold<A, E>(
        &self,
        frame: DataFrame,
        add: impl Fn(&mut A, &RecordBatch) -> Result<usize, E> + Send + Sync + 'static,
    ) -> Result<Folded<A>, E>
    where
        A: Default + Send + 'static,
        E: From<Error> + Send + 'static,
    {
        fold::fold(frame, self.bounds.clone(), self.memory("folded rows"), add).await
    }

    /// An aggregate over all spans of a group, which are priced: a struct of `calls`, how many calls of a provider there are, and the sums
    /// of the columns of tokens and money over them by their names; all integers, but money of 28 digits and the same places.
    pub fn call_totals(&self) -> Expr {
        call_totals(Wanted::new(Arc::downgrade(&self.bounds.turn), self.bounds.deadline))
    }

    /// Conditions on rows that part all traces, so that a query can hold something of each trace of one part: together as many rows as
    /// [`Config::tree_rows`] says, about.
    pub fn parts_of_traces(&self) -> Vec<Expr> {
        parts(self.rounds)
    }

    /// A share of the query's memory for what is held beside its plans; empty at first.
    pub(crate) fn memory(&self, name: &str) -> MemoryReservation {
        let pool: Arc<dyn MemoryPool> = self.bounds.pool.clone();
        MemoryConsumer::new(name).register(&pool)
    }

    /// As [`Self::memory`], for others.
    pub fn held(&self, name: &str) -> Held {
        Held { reservation: self.memory(name), pool: self.bounds.pool.clone() }
    }

    /// What came of asking for more of it.
    pub(crate) fn within<T>(&self, asked: datafusion::error::Result<T>) -> Result<T, Error> {
        asked.map_err(|error| Error::of(error, || self.bounds.pool.error()))
    }

    /// All batches of the frame, which the caller has bounded with a limit or an aggregate.
    ///
    /// # Errors
    /// [`Error::Deadline`], [`Error::QueryMemory`], [`Error::SharedMemory`], [`Error::Store`], [`Error::Trespass`].
    pub async fn collect(&self, frame: DataFrame) -> Result<Vec<RecordBatch>, Error> {
        self.stream(frame).await?.try_collect().await
    }
}

fn rows_in(files: &[DataFile], fresh: &[RecordBatch]) -> u64 {
    files.iter().map(|file| file.rows).chain(fresh.iter().map(|batch| batch.num_rows() as u64)).sum()
}

fn session_config(config: &Config) -> SessionConfig {
    let mut session = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_target_partitions(config.partitions)
        .with_batch_size(config.batch_rows)
        .with_round_robin_repartition(false);
    let parquet = &mut session.options_mut().execution.parquet;
    parquet.pushdown_filters = true;
    parquet.reorder_filters = true;
    parquet.enable_page_index = true;
    parquet.bloom_filter_on_read = true;
    parquet.schema_force_view_types = true;
    session
}

/// Nothing spills: a query that needs more memory than its share is refused, and says so.
fn environment(
    url: &ObjectStoreUrl,
    store: Arc<dyn ObjectStore>,
    pool: Arc<QueryPool>,
) -> Result<Arc<RuntimeEnv>, Error> {
    let environment = RuntimeEnvBuilder::new()
        .with_memory_pool(pool)
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build()?;
    environment.register_object_store(url.as_ref(), store);
    // DataFusion puts the machine's own files there by default.
    environment.object_store_registry.deregister_store(ObjectStoreUrl::local_filesystem().as_ref())?;
    Ok(Arc::new(environment))
}
