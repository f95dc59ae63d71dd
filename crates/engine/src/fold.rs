//! Rows taken in part by part, without an aggregate of DataFusion's between: each part of a plan fills something of its own, and what
//! was filled is put together at the end.
//!
//! A part stops at a batch when its query is dropped or out of time; memory is taken from the query's share before a batch more is read.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream_partitioned};
use futures::TryStreamExt;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::error::Error;
use crate::run::{self, Bounds};

/// What the parts came to. Counts in the query's memory until it is dropped.
pub struct Folded<A> {
    parts: Vec<A>,
    memory: Arc<MemoryReservation>,
}

impl<A> fmt::Debug for Folded<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folded").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

impl<A: Send + 'static> Folded<A> {
    /// Puts the parts together, on a thread where that may take its time.
    ///
    /// # Errors
    /// When the work panics, which is a mistake of ours.
    pub async fn finish<R: Send + 'static>(self, work: impl FnOnce(Vec<A>) -> R + Send + 'static) -> Result<R, Error> {
        let Self { parts, memory } = self;
        finished(move || {
            let result = work(parts);
            drop(memory);
            result
        })
        .await
    }
}

/// What comes of work that may take its time, on a thread where it may.
///
/// # Errors
/// When the work panics, which is a mistake of ours.
pub async fn finished<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, Error> {
    let finished = tokio::task::spawn_blocking(work).await;
    finished.map_err(|error| Error::Engine(DataFusionError::External(Box::new(error))))
}

/// Why a part stopped.
enum Stop<E> {
    Engine(DataFusionError),
    Reader(E),
}

/// Runs the plan, and feeds the batches of each of its parts to something of its own with `add`, which says by how many bytes that grew.
pub(crate) async fn fold<A, E>(
    frame: DataFrame,
    bounds: Bounds,
    memory: MemoryReservation,
    add: impl Fn(&mut A, &RecordBatch) -> Result<usize, E> + Send + Sync + 'static,
) -> Result<Folded<A>, E>
where
    A: Default + Send + 'static,
    E: From<Error> + Send + 'static,
{
    let (add, memory) = (Arc::new(add), Arc::new(memory));
    // Dropping it stops the parts.
    let mut tasks = JoinSet::new();
    let work = async {
        let context = Arc::new(frame.task_ctx());
        let plan = run::plan(frame).await.map_err(Stop::Engine)?;
        for batches in execute_stream_partitioned(plan.clone(), context).map_err(Stop::Engine)? {
            tasks.spawn(part(batches, memory.clone(), add.clone()));
        }
        let mut parts = Vec::new();
        while let Some(part) = tasks.join_next().await {
            parts.push(part.map_err(|error| Stop::Engine(DataFusionError::External(Box::new(error))))??);
        }
        run::tell_what_it_did(&plan);
        Ok(parts)
    };
    match timeout_at(bounds.deadline, work).await {
        Err(_) => Err(bounds.late().into()),
        Ok(Err(Stop::Engine(error))) => Err(bounds.error(error).into()),
        Ok(Err(Stop::Reader(error))) => Err(error),
        Ok(Ok(parts)) => Ok(Folded { parts, memory }),
    }
}

async fn part<A: Default, E>(
    mut batches: SendableRecordBatchStream,
    memory: Arc<MemoryReservation>,
    add: Arc<impl Fn(&mut A, &RecordBatch) -> Result<usize, E>>,
) -> Result<A, Stop<E>> {
    let mut part = A::default();
    while let Some(batch) = batches.try_next().await.map_err(Stop::Engine)? {
        let grown = add(&mut part, &batch).map_err(Stop::Reader)?;
        memory.try_grow(grown).map_err(Stop::Engine)?;
        // Batches may be ready one after the other, and an aborted task ends only where it gives way.
        tokio::task::yield_now().await;
    }
    Ok(part)
}
