//! A row for each trace, as lists show it.
//!
//! ```text
//!   all traces, or those that have changed ──some at a time──► which fit, and when they began ──day by day──► described
//! ```
//! First what is needed to know which traces there are is read of all of them, and kept: 48 bytes a trace. Then the rest, of a few
//! thousand traces at a time, of which each plan reads the minutes in which they lie.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::stream::{self, StreamExt};
use futures::{Stream, TryStreamExt};
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::count;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::{TenantSession, starts_in};
use spanlake_model::{Caller, Code, Day, Fault, TimeRange, Timestamp, Trace, TraceId};
use spanlake_proto::query::{Rows, RowsRequest};
use spanlake_store::rows::encode_traces;

use super::{marked, window};
use crate::error::Error;
use crate::read::columns::own;
use crate::read::order::Order;
use crate::read::row::Row;
use crate::read::sort_key::SortBy;
use crate::read::traces::{Fitting, TraceQuery, describe};

/// Traces of one request at most.
const TRACES_MAX: usize = 4_000_000;
/// Traces that are looked up by their ids at a time.
const NAMED_AT_ONCE: usize = 2_000;
/// Traces that are described at a time, and how many spans they may have together unless one alone has more.
const DESCRIBED_AT_ONCE: usize = 2_000;
/// See [`DESCRIBED_AT_ONCE`].
const SPANS_AT_ONCE: i64 = 100_000;

/// A trace that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    /// Of its first span and its last, in nanoseconds.
    first_ns: i64,
    trace: TraceId,
    last_ns: i64,
    spans: i64,
    fits: bool,
}

impl Told {
    fn day(&self) -> Day {
        Day::of(Timestamp::from_nanos(self.first_ns))
    }
}

/// The session has scores, and all of time.
pub(super) async fn start(
    session: TenantSession,
    caller: &Caller,
    request: &RowsRequest,
    taken_at: Timestamp,
) -> Result<Rows, Error> {
    let told = told(&session, caller, request).await?;
    let (through, scores_through) = (session.shown().to_vec(), session.scores_shown().to_vec());
    let (total, caller) = (told.len() as u64, *caller);
    let batches = batches(Arc::new(session), caller, told).map_err(Fault::from).boxed();
    Ok(Rows { total, through, scores_through, taken_at, batches })
}

/// Those that fit, by when they began; then those that do not.
async fn told(session: &TenantSession, caller: &Caller, request: &RowsRequest) -> Result<Vec<Told>, Error> {
    let query = TraceQuery {
        range: request.range,
        with_span: request.filter.clone(),
        name: None,
        status: None,
        sort_by: SortBy::Start,
        order: Order::OldestFirst,
        after: None,
        limit: 0,
    };
    let mut told = Vec::new();
    match changed(session, caller, request).await? {
        Some(changed) => {
            let ids = ids(session, session.rows()?.filter(own(caller).and(changed))?).await?;
            for some in ids.chunks(NAMED_AT_ONCE) {
                let near = session.near(some).await?;
                add(
                    &near,
                    fitting(&near, &query)?.marked(&near, caller, Some(some), lit(true)).await?,
                    request,
                    &mut told,
                )
                .await?;
            }
        }
        None => {
            for part in session.parts_of_traces() {
                let frame = fitting(session, &query)?.marked(session, caller, None, part).await?;
                add(session, frame, request, &mut told).await?;
            }
        }
    }
    told.sort_unstable_by_key(|told| (!told.fits, *told));
    Ok(told)
}

/// Rows by which traces are met; nothing when all are asked for.
async fn changed(session: &TenantSession, caller: &Caller, request: &RowsRequest) -> Result<Option<Expr>, Error> {
    match &request.window {
        Some(window) => window::changed_traces(session, caller, window).await,
        // A trace begins with a span.
        None if request.range != TimeRange::all() => Ok(Some(starts_in(request.range))),
        None => Ok(None),
    }
}

fn fitting<'a>(session: &TenantSession, query: &'a TraceQuery) -> Result<Fitting<'a>, Error> {
    Fitting::of(session, query, vec![count(lit(1_i64)).alias("span_count")])
}

async fn ids(session: &TenantSession, rows: DataFrame) -> Result<Vec<TraceId>, Error> {
    let each = rows.aggregate(vec![col("trace_id")], vec![count(lit(1_i64)).alias("row_count")])?;
    let read = |ids: &mut Vec<TraceId>, batch: &RecordBatch| -> Result<usize, Error> {
        for row in Row::all(batch) {
            ids.push(row.trace("trace_id")?);
        }
        Ok(size_of::<TraceId>() * batch.num_rows())
    };
    let folded = session.fold(each.select(vec![col("trace_id")])?, read).await?;
    let mut ids: Vec<TraceId> = folded.finish(|parts| parts.concat()).await?;
    bounded(ids.len())?;
    ids.sort_unstable();
    Ok(ids)
}

fn bounded(traces: usize) -> Result<(), Fault> {
    if traces <= TRACES_MAX {
        return Ok(());
    }
    let message =
        format!("There are more than {TRACES_MAX} traces in the range; export them in several, by their dates.");
    Err(Fault::new(Code::PayloadTooLarge, message))
}

/// Adds those of the frame that are told: in a window all, else those that fit.
async fn add(
    session: &TenantSession,
    marked: DataFrame,
    request: &RowsRequest,
    told: &mut Vec<Told>,
) -> Result<(), Error> {
    let frame = if request.window.is_some() { marked } else { marked.filter(col("fits"))? };
    let read = |told: &mut Vec<Told>, batch: &RecordBatch| -> Result<usize, Error> {
        let fits = batch.column_by_name("fits").and_then(|fits| fits.as_boolean_opt()).ok_or(Error::Column("fits"))?;
        for row in Row::all(batch) {
            told.push(Told {
                first_ns: row.required("start_ns")?,
                last_ns: row.required("last_ns")?,
                trace: row.trace("trace_id")?,
                spans: row.number::<Int64Type>("span_count")?.unwrap_or(0),
                fits: fits.value(row.place()),
            });
        }
        Ok(size_of::<Told>() * batch.num_rows())
    };
    told.extend(session.fold(frame, read).await?.finish(|parts: Vec<Vec<Told>>| parts.concat()).await?);
    Ok(bounded(told.len())?)
}

fn batches(
    session: Arc<TenantSession>,
    caller: Caller,
    told: Vec<Told>,
) -> impl Stream<Item = Result<RecordBatch, Error>> + Send + 'static {
    stream::try_unfold((told.into(), 0), move |(told, from): (Arc<[Told]>, usize)| {
        let session = session.clone();
        async move {
            let some = together(&told[from..]);
            if some.is_empty() {
                return Ok(None);
            }
            let batch = batch(&session, &caller, some).await?;
            let next = from + some.len();
            Ok(Some((batch, (told, next))))
        }
    })
}

/// The first of these that go into one batch: all fit or none, all began on one day.
fn together(told: &[Told]) -> &[Told] {
    let Some(first) = told.first() else { return told };
    let mut spans = 0;
    let alike = told.iter().take(DESCRIBED_AT_ONCE).take_while(|told| {
        spans += told.spans;
        (told.fits, told.day()) == (first.fits, first.day()) && (spans <= SPANS_AT_ONCE || *told == first)
    });
    &told[..alike.count()]
}

/// What does not fit is told by its key alone.
async fn batch(session: &TenantSession, caller: &Caller, some: &[Told]) -> Result<RecordBatch, Error> {
    let fit = some[0].fits;
    let at = |ns: i64| Timestamp::from_nanos(ns);
    let traces: Vec<Trace> = if fit {
        let ids: Vec<_> = some.iter().map(|told| told.trace).collect();
        let last = some.iter().map(|told| told.last_ns).max().unwrap_or(i64::MAX);
        let range = TimeRange::new(at(some[0].first_ns), at(last.saturating_add(1))).unwrap_or(TimeRange::all());
        describe(session, caller, &ids, &[range]).await?
    } else {
        some.iter().map(|told| Trace::new(caller.app(), told.trace, at(told.first_ns))).collect()
    };
    marked(&encode_traces(&traces), fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(day: i64, spans: i64, fits: bool) -> Told {
        let trace = TraceId::from_bytes([1; 16]).unwrap();
        Told { first_ns: day * 86_400_000_000_000, trace, last_ns: 0, spans, fits }
    }

    #[test]
    fn a_batch_has_traces_of_one_day_and_of_one_mind_and_no_more_spans_than_are_read_at_a_time() {
        let lengths = |told: &[Told]| {
            let (mut rest, mut lengths) = (told, Vec::new());
            while !rest.is_empty() {
                let count = together(rest).len();
                lengths.push(count);
                rest = &rest[count..];
            }
            lengths
        };
        assert_eq!(lengths(&[told(1, 1, true), told(1, 1, true), told(2, 1, true), told(2, 1, false)]), [2, 1, 1]);
        let huge = told(1, 2 * SPANS_AT_ONCE, true);
        assert_eq!(lengths(&[huge, told(1, 1, true), told(1, SPANS_AT_ONCE, true)]), [1, 1, 1]);
        assert_eq!(lengths(&vec![told(1, 1, true); DESCRIBED_AT_ONCE + 1]), [DESCRIBED_AT_ONCE, 1]);
    }
}
