//! Spans that few others are like: when any of them begin is found piece by piece of the snapshot, and remembered, so that the same
//! search, or its next page, looks only there.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use spanlake_engine::datafusion::prelude::col;
use spanlake_engine::{TenantSession, joined, microsecond, starts_in, starts_in_any};
use spanlake_model::{Caller, Span, SpanFilter, TimeRange, Timestamp};

use super::list::{List, some};
use crate::error::Error;
use crate::read::filter::filtered;
use crate::read::order::Order;
use crate::read::pieces::{Part, of_each};

/// Pieces that are looked at before it is asked whether the page is full.
const AT_ONCE: usize = 4;
/// Spans of a piece that begin closer together than this are in one stretch.
const GAP: Duration = Duration::from_secs(1);
/// Stretches of a piece at most.
const STRETCHES_MAX: usize = 64;

/// A stretch of time, and how many of the spans begin in it.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    range: TimeRange,
    spans: usize,
}

/// The first spans of the list from `edge` on, `missing` at most. The filter asks for no scores.
pub(super) async fn from(
    session: &TenantSession,
    caller: &Caller,
    list: &List<'_>,
    edge: Timestamp,
    missing: usize,
) -> Result<Vec<Span>, Error> {
    let Some(range) = beyond(list.order, session.range(), edge) else { return Ok(Vec::new()) };
    let pieces = session.pieces(None).await?;
    let mut parts = Part::all(&pieces, caller);
    let rest: Vec<_> = parts.extract_if(.., |part| part.range().is_none()).collect();
    parts.retain(|part| extent(part, range).start() < range.end() && range.start() < extent(part, range).end());
    match list.order {
        Order::NewestFirst => parts.sort_by_key(|part| Reverse(extent(part, range).end())),
        Order::OldestFirst => parts.sort_by_key(|part| extent(part, range).start()),
    }
    let mut found = Vec::new();
    let mut looked = look(&rest, caller, list.filter, range).await?;
    let mut left = &*parts;
    let known = loop {
        found.extend(looked.iter().flat_map(|stretches| stretches.iter().copied()));
        // Of what lies nearer than the next piece, nothing is missing.
        let known = left.first().map_or(Some(range), |next| nearer(list.order, range, extent(next, range)));
        if left.is_empty() || known.is_some_and(|known| spans_in(&found, known) >= missing) {
            break known;
        }
        let (some, others) = left.split_at(left.len().min(AT_ONCE));
        looked = look(some, caller, list.filter, range).await?;
        left = others;
    };
    let clipped = found.iter().filter_map(|stretch| within(stretch.range, known?)).collect();
    some(session, caller, list, Some(starts_in_any(&joined(clipped, GAP, usize::MAX))), missing).await
}

/// In which all spans of a part begin, of the rest those of the range.
fn extent(part: &Part<'_>, range: TimeRange) -> TimeRange {
    part.range().unwrap_or(range)
}

async fn look(
    parts: &[Part<'_>],
    caller: &Caller,
    filter: &SpanFilter,
    range: TimeRange,
) -> Result<Vec<Arc<Vec<Stretch>>>, Error> {
    of_each(parts.iter().map(|part| of_part(part, caller, filter, range)).collect()).await
}

/// When the spans of a part begin that are like this; of the rest, those of the range.
async fn of_part(
    part: &Part<'_>,
    caller: &Caller,
    filter: &SpanFilter,
    range: TimeRange,
) -> Result<Arc<Vec<Stretch>>, Error> {
    let settle = async {
        let mut frame = part.session.frame()?;
        if part.range().is_none() {
            frame = frame.filter(starts_in(range))?;
        }
        let frame = filtered(part.session, caller, frame, filter).await?.select(vec![col("start_time")])?;
        let starts = part.session.fold(frame, add).await?;
        let stretches = starts.finish(|parts| stretches(parts.concat())).await?;
        let bytes = size_of_val(&*stretches);
        Ok((stretches, bytes))
    };
    part.remembered(format!("when spans begin like {filter:?}"), settle).await
}

/// Adds starts, in microseconds, and returns by how many bytes they grew.
fn add(starts: &mut Vec<i64>, batch: &RecordBatch) -> Result<usize, Error> {
    let column = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>().ok_or(Error::Column("start_time"))?;
    starts.extend(column.values());
    Ok(size_of_val(&**column.values()))
}

fn stretches(mut starts: Vec<i64>) -> Vec<Stretch> {
    starts.sort_unstable();
    let ranges = joined(starts.iter().map(|micros| microsecond(*micros)).collect(), GAP, STRETCHES_MAX);
    let before = |at: Timestamp| starts.partition_point(|micros| *micros < at.as_micros());
    ranges.into_iter().map(|range| Stretch { range, spans: before(range.end()) - before(range.start()) }).collect()
}

/// How many spans surely begin in the range.
fn spans_in(stretches: &[Stretch], range: TimeRange) -> usize {
    let lies = |stretch: &&Stretch| within(stretch.range, range) == Some(stretch.range);
    stretches.iter().filter(lies).map(|stretch| stretch.spans).sum()
}

fn within(stretch: TimeRange, range: TimeRange) -> Option<TimeRange> {
    TimeRange::new(stretch.start().max(range.start()), stretch.end().min(range.end())).ok()
}

/// Of a range, what lies on from an instant in this order.
fn beyond(order: Order, range: TimeRange, edge: Timestamp) -> Option<TimeRange> {
    match order {
        Order::NewestFirst => TimeRange::new(range.start(), range.end().min(edge)).ok(),
        Order::OldestFirst => TimeRange::new(range.start().max(edge), range.end()).ok(),
    }
}

/// Of a range, what lies before all of another in this order.
fn nearer(order: Order, range: TimeRange, next: TimeRange) -> Option<TimeRange> {
    match order {
        Order::NewestFirst => TimeRange::new(range.start().max(next.end()), range.end()).ok(),
        Order::OldestFirst => TimeRange::new(range.start(), range.end().min(next.start())).ok(),
    }
}
