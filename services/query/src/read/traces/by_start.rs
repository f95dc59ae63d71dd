//! Traces in the order in which they began, newest or oldest first, without looking at all of them: part by part, from that end of the
//! range on.
//!
//! ```text
//!   range   ├──────────────────────────────┬──────────┬────┬──┤
//!   parts             …                    3          2    1     each holds at least twice as many rows as the one before
//! ```
//! Of each part the traces with a span in it are asked for whole, wherever their other spans lie ([`TenantSession::near`]). A trace is
//! asked for once.
//!
//! - Newest first, a trace that has not been met after parts down to an instant began before that instant, so those that began later
//!   are all known, and a page is full when there are enough of them. They can be met by the spans that a filter asks for.
//! - Oldest first, the same holds of traces that began before the instant that the parts have come to, but for the first span of each:
//!   the one that a filter asks for may lie anywhere behind it. So traces are met by any span.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::time::Duration;

use spanlake_engine::datafusion::prelude::{Expr, col};
use spanlake_engine::{TenantSession, starts_in};
use spanlake_model::{Caller, TimeRange, Timestamp, TraceId};

use super::{Chosen, Found, Key, Place, TraceQuery, find, is_one_of, own, row_conditions};
use crate::error::Error;
use crate::read::filter::condition::necessary;
use crate::read::filter::scored;
use crate::read::order::Order;
use crate::read::parts::Parts;
use crate::read::row::trace_ids;

/// Rows of the first part, for each trace of a page: a few times what an agent's run has.
const ROWS_A_TRACE: u64 = 64;
/// Traces that are asked for at a time.
const TRACES_AT_ONCE: usize = 1_000;
/// When so many have been asked for and the page is not full, one look at all traces of the range is cheaper.
const TRACES_MAX: usize = 8_000;
/// How long after its first span a trace may have one that a filter asks for, on pages after the first.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The page, or `None` when it is better found another way.
pub(super) async fn choose(
    session: &TenantSession,
    caller: &Caller,
    query: &TraceQuery,
) -> Result<Option<Chosen>, Error> {
    let filter = &query.with_span.filter;
    let scored = scored::candidates(session, caller, filter, TRACES_MAX).await?;
    let (near, wanted) = match &scored {
        Some(traces) => (session.near(traces).await?, Some(is_one_of(traces))),
        None => (session.clone(), asked_for(session, query)?),
    };
    // The first span of a trace is one of it.
    let is_met_by_any = scored.is_some() || wanted.is_none();
    let mut parts = Parts::new(query.order, first_edge(query, is_met_by_any), ROWS_A_TRACE, query.limit);
    let (mut met, mut found) = (HashSet::new(), Vec::new());
    while let Some(part) = parts.next(session, TimeRange::all()) {
        let mut new = spans_in(&near, caller, wanted.as_ref(), part).await?;
        new.retain(|trace| met.insert(*trace));
        if met.len() > TRACES_MAX {
            return Ok(None);
        }
        for some in new.chunks(TRACES_AT_ONCE) {
            found.extend(find(&session.near(some).await?, caller, query, Some(some), some.len()).await?);
        }
        let edge = parts.edge();
        let is_known = |found: &Found| match query.order {
            Order::NewestFirst => found.first_ns >= edge.as_nanos(),
            Order::OldestFirst => found.first_ns < edge.as_nanos(),
        };
        let known = found.iter().filter(|found| is_known(found)).count();
        if known > query.limit {
            found.retain(is_known);
            break;
        }
        parts.found(known);
    }
    match query.order {
        Order::NewestFirst => found.sort_by_key(|found| Reverse((found.first_ns, found.place.trace))),
        Order::OldestFirst => found.sort_by_key(|found| (found.first_ns, found.place.trace)),
    }
    Ok(Some(Chosen::of(found, query.limit)))
}

impl Place {
    fn start(&self) -> Option<i64> {
        match self.key {
            Key::Number(start) => Some(start),
            Key::Money(_) | Key::Text(_) => None,
        }
    }
}

/// What the spans are like by which traces can be met; `None` for any.
fn asked_for(session: &TenantSession, query: &TraceQuery) -> Result<Option<Expr>, Error> {
    if query.order == Order::OldestFirst {
        return Ok(None);
    }
    match row_conditions(query).into_iter().next() {
        Some(condition) => Ok(Some(condition)),
        None => necessary(session, &query.with_span.filter),
    }
}

/// Before the first span, in the order of the query, by which a trace of the page can be met. Its first span will do, unless one is asked
/// for that may be later.
fn first_edge(query: &TraceQuery, is_met_by_any: bool) -> Timestamp {
    let last = query.after.as_ref().and_then(Place::start);
    if query.order == Order::OldestFirst {
        return last.map_or(query.range.start(), Timestamp::from_nanos);
    }
    let first = match last {
        Some(start) => Timestamp::from_nanos(start.saturating_add(1)).min(query.range.end()),
        None => query.range.end(),
    };
    match (is_met_by_any, &query.after) {
        (true, _) => first,
        (false, None) => TimeRange::all().end(),
        (false, Some(_)) => first.plus(LONGEST),
    }
}

/// The traces with a span in this part of the range that is as wanted: a trace needs a span for each condition, so one for any of
/// them.
async fn spans_in(
    session: &TenantSession,
    caller: &Caller,
    wanted: Option<&Expr>,
    part: TimeRange,
) -> Result<Vec<TraceId>, Error> {
    let mut frame = session.frame()?.filter(own(caller).and(starts_in(part)))?;
    if let Some(wanted) = wanted {
        frame = frame.filter(wanted.clone())?;
    }
    trace_ids(session, frame.aggregate(vec![col("trace_id")], vec![])?, "trace_id").await
}
