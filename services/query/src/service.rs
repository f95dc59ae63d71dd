//! Reads for one caller at a time.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use spanlake_catalog::{Erasures, Recorder};
use spanlake_engine::{Engine, SnapshotRequest, TenantSession};
use spanlake_model::{Caller, Clock, Entropy, Fault, Filter, Receipt, Table, TimeRange, Timestamp};
use spanlake_proto::query::{RowSource, Rows, RowsOf, RowsRequest, Scan, ScanRequest, SpanSource};
use spanlake_store::background::Pool;

use crate::config::Config;
use crate::error::Error;
use crate::read::{rows, scan};

/// Reads traces and spans of the caller's app, and erases them.
pub struct Service {
    pub(crate) engine: Arc<Engine>,
    pub(crate) erasures: Arc<dyn Erasures>,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Where rows are read for exports into files: after those who wait for an answer. Made with the first of them.
    background: OnceLock<Option<Pool>>,
    config: Config,
}

/// Threads that read rows for exports into files.
const BACKGROUND_THREADS: usize = 2;

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Service {
    /// Reads through this engine, stores erasures here, and records who asked for them there.
    pub fn new(
        engine: Arc<Engine>,
        erasures: Arc<dyn Erasures>,
        recorder: Recorder,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        config: Config,
    ) -> Self {
        Self { engine, erasures, recorder, clock, entropy, background: OnceLock::new(), config }
    }

    fn background(&self) -> Result<&Pool, Fault> {
        let make = || {
            let made = Pool::new(BACKGROUND_THREADS);
            made.inspect_err(|error| tracing::error!(%error, "could not start the threads that read for exports")).ok()
        };
        let busy = || Fault::unavailable("The server has no room for the threads that an export takes; try again.");
        self.background.get_or_init(make).as_ref().ok_or_else(busy)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The caller's spans that start in `range`, no earlier than the write `after`.
    pub(crate) async fn session(
        &self,
        caller: &Caller,
        range: TimeRange,
        after: Option<Receipt>,
    ) -> Result<TenantSession, Error> {
        let request = SnapshotRequest { table: Table::Spans, range, after };
        Ok(self.engine.snapshot(caller, &request).await?)
    }

    /// As [`Self::session`], with all scores that are kept.
    pub(crate) async fn session_with_scores(
        &self,
        caller: &Caller,
        range: TimeRange,
        after: Option<Receipt>,
    ) -> Result<TenantSession, Error> {
        let request = SnapshotRequest { table: Table::Spans, range, after };
        Ok(self.engine.snapshot_with_scores(caller, &request).await?)
    }

    /// As either of them: with scores when the filter asks for any.
    pub(crate) async fn session_for(
        &self,
        caller: &Caller,
        filter: &Filter,
        range: TimeRange,
        after: Option<Receipt>,
    ) -> Result<TenantSession, Error> {
        match filter.asks_for_scores() {
            true => self.session_with_scores(caller, range, after).await,
            false => self.session(caller, range, after).await,
        }
    }

    /// All scores that are kept, beside the spans of a moment.
    pub(crate) async fn scores(&self, caller: &Caller, after: Option<Receipt>) -> Result<TenantSession, Error> {
        self.session_with_scores(caller, self.moment(), after).await
    }

    /// Now, as short as a range can be: what is acknowledged by now is told by any snapshot, whatever its range.
    pub(crate) fn moment(&self) -> TimeRange {
        let now = self.now();
        TimeRange::new(now, now.plus(std::time::Duration::from_nanos(1))).unwrap_or(TimeRange::all())
    }
}

#[async_trait]
impl SpanSource for Service {
    async fn scan(&self, caller: &Caller, request: ScanRequest) -> Result<Scan, Fault> {
        let rows = SnapshotRequest { table: Table::Spans, range: request.range, after: request.receipt };
        let session = self.engine.snapshot_with_scores_within(caller, &rows, self.config.scan_deadline()).await?;
        Ok(scan::start(session, caller, request, self.config.scan_chunk_rows).await?)
    }
}

#[async_trait]
impl RowSource for Service {
    #[tracing::instrument(name = "query.rows", skip_all, fields(tenant.id = %caller.tenant()))]
    async fn rows(&self, caller: &Caller, request: RowsRequest) -> Result<Rows, Fault> {
        let (taken_at, within) = (self.now(), self.config.rows_deadline());
        // A row that has left the range since is a row of the window all the same, and a trace may end behind it.
        let is_within = request.window.is_none() && request.of != RowsOf::Traces;
        let range = if is_within { request.range } else { TimeRange::all() };
        let spans = SnapshotRequest { table: Table::Spans, range, after: None };
        let session = match request.of {
            RowsOf::Spans | RowsOf::Traces if request.needs_scores() => {
                self.engine.snapshot_with_scores_within(caller, &spans, within).await?
            }
            RowsOf::Spans | RowsOf::Traces => self.engine.snapshot_within(caller, &spans, within).await?,
            RowsOf::Scores => {
                let spans = SnapshotRequest { range: self.moment(), ..spans };
                self.engine.snapshot_with_scores_within(caller, &spans, within).await?
            }
        };
        let (pool, caller) = (self.background()?, *caller);
        let started = pool.run(async move { rows::start(session, &caller, request, taken_at).await }).await;
        let rows = started.map_err(|_| Fault::internal())??;
        Ok(Rows { batches: pool.stream(rows.batches), ..rows })
    }
}
