//! All rows of one snapshot, day by day, for files that a warehouse reads.
//!
//! A day is read by plans of its own over the same snapshot, so that whoever writes has one day's file open at a time, and no
//! row is sorted. In a window each day has two: rows that fit, whole, and rows that do not, of which the key is enough. An agent's key
//! hears of no other agent's rows, not even by their keys.

mod traces;
mod window;

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions::core::expr_fn::coalesce;
use spanlake_engine::datafusion::logical_expr::not;
use spanlake_engine::datafusion::prelude::{Expr, lit};
use spanlake_engine::{TenantSession, starts_in};
use spanlake_model::{Caller, Day, Fault, Filter, Timestamp};
use spanlake_proto::query::{FITS, Rows, RowsOf, RowsRequest};

use super::columns::own;
use super::filter::{condition, matches, scored};
use super::row::count_rows;
use super::scan::scores::{beside, without};
use super::spans::{Columns, in_schema};
use super::{logs, scores};
use crate::error::Error;

type Batches = BoxStream<'static, Result<RecordBatch, Error>>;

/// What all days of one stream of spans or scores share.
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
    /// Whether what scores say of spans is beside them.
    with_scores: bool,
}

/// One plan: of one day, the rows that fit or those that do not.
#[derive(Clone, Copy, Debug)]
struct Part {
    day: Day,
    fit: bool,
}

/// The session has scores when rows of scores are asked for, or the request needs them. Its range is the request's unless that has
/// a window, or is for traces, of which each is told whole.
pub(crate) async fn start(
    session: TenantSession,
    caller: &Caller,
    request: RowsRequest,
    taken_at: Timestamp,
) -> Result<Rows, Error> {
    if request.of == RowsOf::Traces {
        return traces::start(session, caller, &request, taken_at).await;
    }
    let source = Arc::new(Source::new(session, caller, &request).await?);
    let parts = source.parts();
    let mut total = 0;
    for part in &parts {
        total += source.count(*part).await?;
    }
    let (shown, scores_shown) = (source.session.shown().to_vec(), source.session.scores_shown().to_vec());
    let (through, scores_through) = match request.of {
        RowsOf::Scores => (scores_shown, Vec::new()),
        RowsOf::Spans | RowsOf::Traces => (shown, scores_shown),
    };
    let batches = stream::iter(parts)
        .then(move |part| {
            let source = source.clone();
            async move { source.read(part).await }
        })
        .try_flatten()
        .map_err(Fault::from)
        .boxed();
    Ok(Rows { total, through, scores_through, taken_at, batches })
}

impl Source {
    async fn new(session: TenantSession, caller: &Caller, request: &RowsRequest) -> Result<Self, Error> {
        let of = request.of;
        let has_logs = of == RowsOf::Spans && logs::are_there(&session, caller).await?;
        let in_range = starts_in(request.range);
        let fits = match of {
            RowsOf::Scores => {
                condition::clauses(&session, &request.score_filter)?.into_iter().fold(in_range, Expr::and)
            }
            RowsOf::Spans | RowsOf::Traces => in_range.and(matches(&session, &request.filter)?),
        };
        let changed = window::changed(&session, caller, request, has_logs).await?;
        let columns = if request.without_details { Columns::SkeletonWithIo } else { Columns::All };
        let (caller, is_window, with_scores) = (*caller, request.window.is_some(), request.with_scores);
        let filter = request.filter.filter.clone();
        Ok(Self { session, caller, of, changed, fits, filter, columns, is_window, has_logs, with_scores })
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
            RowsOf::Scores => scores::latest(&self.session, &self.caller, like),
            RowsOf::Spans | RowsOf::Traces => {
                let frame = scored::spans(&self.session, &self.caller, self.session.frame()?, &self.filter).await?;
                Ok(frame.filter(own(&self.caller).and(like))?)
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
        let filled = if self.has_logs && part.fit { self.clone().filled(batches) } else { batches };
        let whole = match (self.of == RowsOf::Spans && self.with_scores, part.fit) {
            (false, _) => filled,
            (true, true) => self.scored(filled),
            (true, false) => filled.map(|batch| without(&batch?)).boxed(),
        };
        Ok(whole.map(move |batch| marked(&batch?, part.fit)).boxed())
    }

    fn scored(self: Arc<Self>, batches: Batches) -> Batches {
        let scored = batches.and_then(move |batch| {
            let source = self.clone();
            async move { beside(&source.session, &source.caller, batch).await }
        });
        scored.boxed()
    }

    fn filled(self: Arc<Self>, batches: Batches) -> Batches {
        let filled = batches.and_then(move |batch| {
            let source = self.clone();
            async move { logs::fill_batch(&source.session, &source.caller, batch).await }
        });
        filled.boxed()
    }
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
