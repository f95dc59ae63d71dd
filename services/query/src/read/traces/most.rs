//! The traces with the most cost or tokens, without counting the calls of all of them.
//!
//! Counting each call once takes a trace's whole tree ([`TenantSession::call_totals`]). The plain sum over its spans takes a number, and
//! is never less: so the traces are looked at in the order of that sum, and the page is full once its last trace has more, counted
//! exactly, than the next one has at most.

use std::cmp::Reverse;

use arrow::array::RecordBatch;
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::sum;
use spanlake_engine::datafusion::logical_expr::ExprFunctionExt;
use spanlake_engine::datafusion::prelude::{col, lit};
use spanlake_model::{Caller, TraceId};

use super::{Fitting, Found, Key, Place, SortBy, TraceQuery, find};
use crate::error::Error;
use crate::read::row::Row;

/// Traces that are counted exactly at a time.
const AT_ONCE: usize = 500;
/// Traces that are counted exactly at all: a page far down the list, or among traces without any cost, is found another way.
const COUNTED_MAX: usize = 4_000;

/// A trace and the most that it can have.
struct Candidate {
    trace: TraceId,
    bound: i128,
}

/// The first traces of the query, one more than a page, or `None` when they are better found another way.
pub(super) async fn first(
    session: &TenantSession,
    caller: &Caller,
    query: &TraceQuery,
) -> Result<Option<Vec<Found>>, Error> {
    let candidates = candidates(session, caller, query).await?;
    let mut found: Vec<Found> = Vec::new();
    for some in candidates.chunks(AT_ONCE) {
        let traces: Vec<_> = some.iter().map(|candidate| candidate.trace).collect();
        let near = session.near(&traces).await?;
        found.extend(find(&near, caller, query, Some(&traces), traces.len()).await?);
        found.sort_by_key(|found| Reverse((found.place.amount(), found.place.trace)));
        let at_most = some.last().map(|candidate| candidate.bound);
        if found.get(query.limit).is_some_and(|last| last.place.amount() > at_most) {
            found.truncate(query.limit + 1);
            return Ok(Some(found));
        }
    }
    Ok(None)
}

impl Place {
    fn amount(&self) -> Option<i128> {
        self.key.amount()
    }
}

/// Those that can have the most, in that order; without those that have nothing.
async fn candidates(session: &TenantSession, caller: &Caller, query: &TraceQuery) -> Result<Vec<Candidate>, Error> {
    let column = if query.sort_by == SortBy::Cost { "cost" } else { "total_tokens" };
    let bound = sum(col(column)).filter(col(column).gt(lit(0_i64))).build()?.alias("bound");
    let traces = Fitting::of(session, query, vec![bound])?.traces(session, caller, None).await?;
    let traces = traces.filter(col("bound").is_not_null())?;
    let order = ["bound", "trace_id"].map(|key| col(key).sort(false, false)).to_vec();
    let most = traces.select(vec![col("bound"), col("trace_id")])?.sort(order)?.limit(0, Some(COUNTED_MAX))?;
    let mut candidates = Vec::new();
    for batch in session.collect(most).await? {
        read(&batch, &mut candidates)?;
    }
    Ok(candidates)
}

fn read(batch: &RecordBatch, candidates: &mut Vec<Candidate>) -> Result<(), Error> {
    for row in Row::all(batch) {
        let bound = Key::read(batch.column(0), row.place()).and_then(|bound| bound.amount());
        candidates.push(Candidate { trace: row.trace("trace_id")?, bound: bound.ok_or(Error::Column("bound"))? });
    }
    Ok(())
}
