//! All rows of one snapshot, day by day, for files that a warehouse reads.
//!
//! A day is read by plans of its own over the same snapshot, so that whoever writes has one day's file open at a time, and no
//! row is sorted. In a window each day has two: rows that fit, whole, and rows that do not, of which the key is enough. For an
//! agent's key rows of the app's other agents do not fit: one may have been that agent's before.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions::core::expr_fn::coalesce;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::count;
use spanlake_engine::datafusion::logical_expr::not;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::{TenantSession, starts_in};
use spanlake_model::{Caller, Day, Fault, Filter, Timestamp};
use spanlake_proto::query::{FITS, Rows, RowsOf, RowsRequest, Window};

use super::columns::{id, of_agent, of_app, own};
use super::filter::{matches, scored};
use super::row::{count_rows, trace_ids};
use super::spans::{Columns, in_schema};
use super::traces::is_one_of;
use super::{logs, scores};
use crate::error::Error;

/// Traces with new log records that are named; where there are more, all spans are told again.
const RECORDED_MAX: usize = 10_000;

type Batches = BoxStream<'static, Result<RecordBatch, Error>>;

/// What all days of one stream share.
struct Source {
    session: TenantSession,
    caller: Caller,
    of: RowsOf,
    /// Rows to look at.
    changed: Expr,
    /// Those of them that are wanted.
    fits: Expr,
    /// What it asks of scores is beside the rows.
    filter: Filter,
    /// How much is read of rows of spans that are wanted.
    columns: Columns,
    /// Whether those that are not wanted are told as well.
    is_window: bool,
    /// Whether log records may have content for spans that have none.
    has_logs: bool,
}

/// One plan: of one day, the rows that fit or those that do not.
#[derive(Clone, Copy, Debug)]
struct Part {
    day: Day,
    fit: bool,
}

/// The session has scores when rows of scores are asked for, or the filter asks for any. Its range is the request's unless that has
/// a window.
pub(crate) async fn start(
    session: TenantSession,
    caller: &Caller,
    request: RowsRequest,
    taken_at: Timestamp,
) -> Result<Rows, Error> {
    let source = Arc::new(Source::new(session, caller, &request).await?);
    let parts = source.parts();
    let mut total = 0;
    for part in &parts {
        total += source.count(*part).await?;
    }
    let through = match request.of {
        RowsOf::Scores => source.session.scores_shown().to_vec(),
        RowsOf::Spans | RowsOf::Traces => source.session.shown().to_vec(),
    };
    let batches = stream::iter(parts)
        .then(move |part| {
            let source = source.clone();
            async move { source.read(part).await }
        })
        .try_flatten()
        .map_err(Fault::from)
        .boxed();
    Ok(Rows { total, through, taken_at, batches })
}

impl Source {
    async fn new(session: TenantSession, caller: &Caller, request: &RowsRequest) -> Result<Self, Error> {
        let of = request.of;
        let has_logs = of == RowsOf::Spans && logs::are_there(&session, caller).await?;
        let in_range = starts_in(request.range);
        let fits = match of {
            RowsOf::Scores => in_range,
            RowsOf::Spans | RowsOf::Traces => in_range.and(matches(&session, &request.filter)?),
        };
        // What another agent's row has become is a row that the warehouse is to forget.
        let fits = of_agent(caller).into_iter().fold(fits, Expr::and);
        let changed = match &request.window {
            None => lit(true),
            Some(window) if has_logs => with_records(&session, caller, window).await?,
            Some(window) => changed(window, of),
        };
        let columns = if request.without_details { Columns::SkeletonWithIo } else { Columns::All };
        let (caller, is_window) = (*caller, request.window.is_some());
        let filter = request.filter.filter.clone();
        Ok(Self { session, caller, of, changed, fits, filter, columns, is_window, has_logs })
    }

    fn parts(&self) -> Vec<Part> {
        let days = match self.of {
            RowsOf::Scores => self.session.days_of_scores(),
            RowsOf::Spans | RowsOf::Traces => self.session.days(),
        };
        let kinds: &[bool] = if self.is_window { &[true, false] } else { &[true] };
        days.into_iter().flat_map(|day| kinds.iter().map(move |fit| Part { day, fit: *fit })).collect()
    }

    async fn frame(&self, part: Part) -> Result<DataFrame, Error> {
        // What a condition cannot decide does not fit.
        let fits = if part.fit { self.fits.clone() } else { not(coalesce(vec![self.fits.clone(), lit(false)])) };
        let like = starts_in(part.day.range()).and(self.changed.clone()).and(fits);
        match self.of {
            RowsOf::Scores => scores::latest_of_app(&self.session, &self.caller, like),
            RowsOf::Spans | RowsOf::Traces => {
                let frame = scored::spans(&self.session, &self.caller, self.session.frame()?, &self.filter).await?;
                Ok(frame.filter(of_app(&self.caller).and(like))?)
            }
        }
    }

    async fn count(&self, part: Part) -> Result<u64, Error> {
        count_rows(&self.session, self.frame(part).await?).await
    }

    async fn read(self: Arc<Self>, part: Part) -> Result<Batches, Error> {
        let frame = self.frame(part).await?;
        let batches = match self.of {
            RowsOf::Scores => self.session.stream(frame).await?.map_err(Error::from).boxed(),
            RowsOf::Spans | RowsOf::Traces => {
                let columns = if part.fit { self.columns } else { Columns::Skeleton };
                let stream = self.session.stream(columns.of(&self.session, frame)?).await?;
                stream.map(|batch| in_schema(&batch?)).boxed()
            }
        };
        let filled = if self.has_logs && part.fit { self.filled(batches) } else { batches };
        Ok(filled.map(move |batch| marked(&batch?, part.fit)).boxed())
    }

    fn filled(self: Arc<Self>, batches: Batches) -> Batches {
        let filled = batches.and_then(move |batch| {
            let source = self.clone();
            async move { logs::fill_batch(&source.session, &source.caller, batch).await }
        });
        filled.boxed()
    }
}

/// Rows of the window: above its places, of writers it does not know, or of traces that are told again.
fn changed(window: &Window, of: RowsOf) -> Expr {
    if window.after.is_empty() {
        return lit(true);
    }
    let place = |sequence: u64| lit(i64::try_from(sequence).unwrap_or(i64::MAX));
    let writers: Vec<_> = window.after.iter().map(|receipt| id(receipt.writer.as_bytes())).collect();
    let later = window.after.iter().zip(&writers);
    let later = later
        .map(|(receipt, writer)| col("writer_id").eq(writer.clone()).and(col("sequence").gt(place(receipt.sequence))));
    let mut changed = later.reduce(Expr::or).unwrap_or(lit(false)).or(col("writer_id").in_list(writers.clone(), true));
    let again: Vec<_> = window.again.iter().map(|trace| id(trace.as_bytes())).collect();
    if !again.is_empty() {
        // A score is of its trace, or named by its own key.
        let keys: &[&str] = if of == RowsOf::Scores { &["trace_id", "key_high"] } else { &["trace_id"] };
        changed = keys.iter().fold(changed, |changed, key| changed.or(col(*key).in_list(again.clone(), false)));
    }
    changed
}

/// As [`changed`] of spans, with those of which new log records may say what they leave open.
async fn with_records(session: &TenantSession, caller: &Caller, window: &Window) -> Result<Expr, Error> {
    let (changed, column) = (changed(window, RowsOf::Spans), "trace_id");
    let records = session.logs()?.filter(own(caller).and(changed.clone()))?;
    let each = records.aggregate(vec![col(column)], vec![count(lit(1_i64)).alias("records")])?;
    let traces = trace_ids(session, each.limit(0, Some(RECORDED_MAX + 1))?, column).await?;
    if traces.len() > RECORDED_MAX {
        return Ok(lit(true));
    }
    if traces.is_empty() {
        return Ok(changed);
    }
    let says_not_all = col("input").is_null().or(col("output").is_null());
    Ok(changed.or(is_one_of(&traces).and(says_not_all)))
}

/// The batch with [`FITS`] as its last column.
fn marked(batch: &RecordBatch, fit: bool) -> Result<RecordBatch, Error> {
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(FITS, DataType::Boolean, false)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(BooleanArray::from(vec![fit; batch.num_rows()])));
    let marked = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
    marked.map_err(|error: ArrowError| Error::Engine(spanlake_engine::Error::Schema(error)))
}
