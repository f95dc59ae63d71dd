//! Which rows have come, or have become others, since the snapshot before: by places in the writers' logs, never by a clock.

use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::count;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_model::{Caller, Receipt, TraceId};
use spanlake_proto::query::{RowsOf, RowsRequest, Window};

use crate::error::Error;
use crate::read::columns::{id, of_app, own};
use crate::read::row::trace_ids;
use crate::read::scores;
use crate::read::traces::is_one_of;

/// Traces with new log records or new scores that are named; where there are more, all rows are told again.
const NAMED_MAX: usize = 10_000;

/// Rows of spans or scores to look at. Of spans also those of which new log records say what they leave open, and those that new
/// scores may have made others.
///
/// # Errors
/// As a read of the session.
pub(super) async fn changed(
    session: &TenantSession,
    caller: &Caller,
    request: &RowsRequest,
    has_logs: bool,
) -> Result<Expr, Error> {
    let Some(window) = request.window.as_ref().filter(|window| !window.after.is_empty()) else { return Ok(lit(true)) };
    let mut changed = came_or_again(window, request.of);
    if has_logs {
        match recorded(session, caller, window).await? {
            Some(traces) if traces.is_empty() => {}
            Some(traces) => {
                let says_not_all = col("input").is_null().or(col("output").is_null());
                changed = changed.or(is_one_of(&traces).and(says_not_all));
            }
            None => return Ok(lit(true)),
        }
    }
    if request.needs_scores() {
        match scored(session, caller, window).await? {
            Some(traces) if traces.is_empty() => {}
            Some(traces) => changed = changed.or(is_one_of(&traces)),
            None => return Ok(lit(true)),
        }
    }
    Ok(changed)
}

/// Spans and log records by which traces have become others; nothing when any may have.
///
/// # Errors
/// As [`changed`].
pub(super) async fn changed_traces(
    session: &TenantSession,
    caller: &Caller,
    window: &Window,
) -> Result<Option<Expr>, Error> {
    if window.after.is_empty() {
        return Ok(None);
    }
    let came = came_or_again(window, RowsOf::Traces);
    Ok(scored(session, caller, window).await?.map(|traces| match traces.is_empty() {
        true => came,
        false => came.or(is_one_of(&traces)),
    }))
}

/// Rows above the window's places, and of traces that are told again.
fn came_or_again(window: &Window, of: RowsOf) -> Expr {
    let again: Vec<_> = window.again.iter().map(|trace| id(trace.as_bytes())).collect();
    let mut changed = above(&window.after);
    if !again.is_empty() {
        // A score is of its trace, or named by its own key.
        let keys: &[&str] = if of == RowsOf::Scores { &["trace_id", "key_high"] } else { &["trace_id"] };
        changed = keys.iter().fold(changed, |changed, key| changed.or(col(*key).in_list(again.clone(), false)));
    }
    changed
}

/// Rows above these places, and of writers that are not among them.
fn above(places: &[Receipt]) -> Expr {
    if places.is_empty() {
        return lit(true);
    }
    let place = |sequence: u64| lit(i64::try_from(sequence).unwrap_or(i64::MAX));
    let writers: Vec<_> = places.iter().map(|receipt| id(receipt.writer.as_bytes())).collect();
    let later = places.iter().zip(&writers);
    let later = later
        .map(|(receipt, writer)| col("writer_id").eq(writer.clone()).and(col("sequence").gt(place(receipt.sequence))));
    later.reduce(Expr::or).unwrap_or(lit(false)).or(col("writer_id").in_list(writers.clone(), true))
}

/// Traces with new log records; `None`: too many to name.
async fn recorded(session: &TenantSession, caller: &Caller, window: &Window) -> Result<Option<Vec<TraceId>>, Error> {
    let records = session.logs()?.filter(own(caller).and(came_or_again(window, RowsOf::Spans)))?;
    named(session, records).await
}

/// Traces that new scores are about, or have a span that they are about; `None`: too many to name.
async fn scored(session: &TenantSession, caller: &Caller, window: &Window) -> Result<Option<Vec<TraceId>>, Error> {
    if !session.has_scores() {
        return Ok(Some(Vec::new()));
    }
    let came = of_app(caller).and(above(&window.scores_after));
    let of_traces = session.scores()?.filter(came.clone().and(col("trace_id").is_not_null()))?;
    let Some(mut traces) = named(session, of_traces).await? else { return Ok(None) };
    match scores::loose_spans(session, caller, came.and(scores::is_loose())).await? {
        None => return Ok(None),
        Some(loose) if loose.is_empty() => {}
        Some(loose) => {
            let spans = session.frame()?.filter(own(caller).and(col("span_id").in_list(loose, false)))?;
            let Some(more) = named(session, spans).await? else { return Ok(None) };
            traces.extend(more);
        }
    }
    Ok((traces.len() <= NAMED_MAX).then_some(traces))
}

/// The traces of these rows, unless they are too many.
async fn named(session: &TenantSession, rows: DataFrame) -> Result<Option<Vec<TraceId>>, Error> {
    let each = rows.aggregate(vec![col("trace_id")], vec![count(lit(1_i64)).alias("row_count")])?;
    let traces = trace_ids(session, each.limit(0, Some(NAMED_MAX + 1))?, "trace_id").await?;
    Ok((traces.len() <= NAMED_MAX).then_some(traces))
}
