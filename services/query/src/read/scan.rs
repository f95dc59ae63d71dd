//! Full rows in order, in flat memory: keys are sorted first, then whole rows chunk by chunk.

pub(super) mod scores;

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::prelude::col;
use spanlake_model::{Caller, Fault, Position, SpanFilter, SpanId, Timestamp, TraceId};
use spanlake_proto::query::{Scan, ScanRequest};

use super::filter::filtered;
use super::logs;
use super::order::{Edge, Order};
use super::row::count_rows;
use super::spans::{Columns, in_schema};
use crate::error::Error;

const ORDER: Order = Order::NewestFirst;

/// What all chunks of one scan share.
struct Rows {
    session: TenantSession,
    caller: Caller,
    /// Whether log records may have content for spans that have none.
    has_logs: bool,
    filter: SpanFilter,
    columns: Columns,
}

/// From its first row to its last, both included.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    first: Position,
    last: Position,
}

pub(crate) async fn start(
    session: TenantSession,
    caller: &Caller,
    request: ScanRequest,
    chunk_rows: usize,
) -> Result<Scan, Error> {
    // What text is made of; a scan that reads details of spans would read most of the files for nothing.
    let columns = if request.without_io { Columns::Skeleton } else { Columns::SkeletonWithIo };
    let has_logs = !request.without_io && logs::are_there(&session, caller).await?;
    let rows = Arc::new(Rows { session, caller: *caller, has_logs, filter: request.filter, columns });
    let total = count_rows(&rows.session, rows.frame().await?).await?;
    let (chunks, count) = rows.chunks(request.after, request.limit, chunk_rows.max(1)).await?;
    let last = chunks.last().map(|chunk| chunk.last);
    let batches = stream::iter(chunks)
        .then(move |chunk| {
            let rows = rows.clone();
            async move { rows.clone().read(chunk).await }
        })
        .try_flatten()
        .map_err(Fault::from)
        .boxed();
    Ok(Scan { total, rows: count as u64, last, batches })
}

impl Rows {
    async fn frame(&self) -> Result<DataFrame, Error> {
        filtered(&self.session, &self.caller, self.session.frame()?, &self.filter).await
    }

    /// Sorts the keys alone and notes where each chunk begins and ends; and how many rows they have together.
    async fn chunks(
        &self,
        after: Option<Position>,
        limit: usize,
        chunk_rows: usize,
    ) -> Result<(Vec<Chunk>, usize), Error> {
        if limit == 0 {
            return Ok((Vec::new(), 0));
        }
        let frame = match after {
            Some(place) => self.frame().await?.filter(ORDER.after(&place, Edge::Excluded))?,
            None => self.frame().await?,
        };
        let keys = ["start_time", "start_nanos", "trace_id", "span_id"].map(col);
        let frame = frame.select(keys)?.sort(ORDER.sort())?.limit(0, Some(limit))?;
        let mut stream = self.session.stream(frame).await?;
        let (mut chunks, mut seen): (Vec<Chunk>, usize) = (Vec::new(), 0);
        while let Some(batch) = stream.try_next().await? {
            for place in places(&batch)? {
                match chunks.last_mut() {
                    Some(chunk) if !seen.is_multiple_of(chunk_rows) => chunk.last = place,
                    _ => chunks.push(Chunk { first: place, last: place }),
                }
                seen += 1;
            }
        }
        Ok((chunks, seen))
    }

    async fn read(self: Arc<Self>, chunk: Chunk) -> Result<BoxStream<'static, Result<RecordBatch, Error>>, Error> {
        let from_first = ORDER.after(&chunk.first, Edge::Included);
        let to_last = ORDER.opposite().after(&chunk.last, Edge::Included);
        let frame =
            self.columns.of(&self.session, self.frame().await?.filter(from_first.and(to_last))?.sort(ORDER.sort())?)?;
        let stream = self.session.stream(frame).await?;
        let batches = stream.map(|batch| in_schema(&batch?));
        let whole = batches.and_then(move |mut batch| {
            let rows = self.clone();
            async move {
                if rows.has_logs {
                    batch = logs::fill_batch(&rows.session, &rows.caller, batch).await?;
                }
                scores::beside(&rows.session, &rows.caller, batch).await
            }
        });
        Ok(whole.boxed())
    }
}

fn places(batch: &RecordBatch) -> Result<Vec<Position>, Error> {
    use arrow::datatypes::{Int16Type, TimestampMicrosecondType};
    let starts = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>().ok_or(Error::Column("start_time"))?;
    let nanos = batch.column(1).as_primitive_opt::<Int16Type>().ok_or(Error::Column("start_nanos"))?;
    let traces = batch.column(2).as_fixed_size_binary_opt().ok_or(Error::Column("trace_id"))?;
    let spans = batch.column(3).as_fixed_size_binary_opt().ok_or(Error::Column("span_id"))?;
    (0..batch.num_rows())
        .map(|row| {
            let micros = Timestamp::from_micros(starts.value(row)).as_nanos();
            Ok(Position {
                start: Timestamp::from_nanos(micros.saturating_add(i64::from(nanos.value(row)))),
                trace_id: TraceId::from_slice(traces.value(row)).map_err(|_| Error::Column("trace_id"))?,
                span_id: SpanId::from_slice(spans.value(row)).map_err(|_| Error::Column("span_id"))?,
            })
        })
        .collect()
}
