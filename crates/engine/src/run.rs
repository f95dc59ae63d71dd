//! Running a plan within its bounds.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, displayable, execute_stream};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::memory::QueryPool;
use crate::metered::Metered;
use crate::turns::Turn;

/// The target of events that show plans as they will be run, and again with what each step did when they have been: `RUST_LOG=spanlake::plans=trace`.
pub const PLANS: &str = "spanlake::plans";

/// Batches made ahead of the reader; at the bound the work waits.
const AHEAD: usize = 2;

/// What a query may use.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) deadline: Instant,
    pub(crate) deadline_ms: u64,
    pub(crate) pool: Arc<QueryPool>,
    pub(crate) meter: Arc<Metered>,
    /// Held by the session and its streams.
    pub(crate) turn: Arc<Turn>,
}

impl Bounds {
    pub(crate) fn late(&self) -> Error {
        Error::Deadline { deadline_ms: self.deadline_ms }
    }
    pub(crate) fn error(&self, error: DataFusionError) -> Error {
        // Asked first: of an error that Parquet passes on, only the text is left.
        self.meter.error().unwrap_or_else(|| Error::of(error, || self.pool.error()))
    }
}

type Batches = BoxStream<'static, std::result::Result<RecordBatch, Error>>;

/// The work runs in a task of its own, so that the deadline is kept even while an operator does not yield.
pub(crate) async fn start(frame: DataFrame, bounds: Bounds) -> std::result::Result<Batches, Error> {
    let (batches, received) = mpsc::channel(AHEAD);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let started = async {
            let context = Arc::new(frame.task_ctx());
            let plan = plan(frame).await?;
            Ok((plan.clone(), execute_stream(plan, context)?))
        };
        match started.await {
            Ok((plan, stream)) => {
                forward(stream, &batches).await;
                tell_what_it_did(&plan);
            }
            // The reader is gone: nobody to tell.
            Err(error) => drop(batches.send(Err(error)).await),
        }
    });
    Ok(stream::unfold(Some(Running { received, task, bounds }), next).boxed())
}

/// The plan as it will be run, told to whoever listens at `trace`.
pub(crate) async fn plan(frame: DataFrame) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = frame.create_physical_plan().await?;
    tracing::trace!(target: PLANS, plan = %displayable(&*plan).indent(false), "a plan");
    Ok(plan)
}

/// Of each step the rows that came out of it, what it looked at, and how long that took.
pub(crate) fn tell_what_it_did(plan: &Arc<dyn ExecutionPlan>) {
    tracing::trace!(target: PLANS, analyzed = %DisplayableExecutionPlan::with_metrics(&**plan).indent(false), "a plan that was run");
}

async fn forward(mut stream: SendableRecordBatchStream, batches: &mpsc::Sender<Result<RecordBatch>>) {
    while let Some(batch) = stream.next().await {
        if batches.send(batch).await.is_err() {
            return;
        }
    }
}

/// Dropping it aborts the task.
struct Running {
    received: mpsc::Receiver<Result<RecordBatch>>,
    task: JoinSet<()>,
    bounds: Bounds,
}

type Item = std::result::Result<RecordBatch, Error>;

async fn next(running: Option<Running>) -> Option<(Item, Option<Running>)> {
    let mut running = running?;
    // Also when rows are ready: a slow reader does not move the deadline.
    if Instant::now() >= running.bounds.deadline {
        return Some((Err(running.bounds.late()), None));
    }
    match timeout_at(running.bounds.deadline, running.received.recv()).await {
        Err(_) => Some((Err(running.bounds.late()), None)),
        Ok(Some(Ok(batch))) => Some((Ok(batch), Some(running))),
        Ok(Some(Err(error))) => Some((Err(running.bounds.error(error)), None)),
        // The end, unless the task broke down before it.
        Ok(None) => match running.task.join_next().await {
            Some(Err(error)) => Some((Err(running.bounds.error(DataFusionError::External(Box::new(error)))), None)),
            _ => None,
        },
    }
}
