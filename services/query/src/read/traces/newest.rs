//! The newest traces, without looking at all of them: part by part, from the end of the range back.
//!
//! ```text
//!   range   ├──────────────────────────────┬──────────┬────┬──┤
//!   parts             …                    3          2    1     each holds about twice as many rows as the one before
//! ```
//! Of each part the traces with a span in it are asked for whole, wherever their other spans lie ([`TenantSession::near`]). A trace
//! that has not been met after parts down to an instant began before that instant; so those that began later are all known, and a page
//! is full when there are enough of them. A trace is asked for once.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::time::Duration;

use spanlake_engine::datafusion::prelude::{Expr, col};
use spanlake_engine::{TenantSession, starts_in};
use spanlake_model::{Caller, TimeRange, Timestamp, TraceId};

use super::{Chosen, Found, Key, Place, TraceQuery, find, own, row_conditions};
use crate::error::Error;
use crate::read::filter::condition::necessary;
use crate::read::row::trace_ids;

/// Rows of the first part, for each trace of a page: a few times what an agent's run has.
const ROWS_A_TRACE: u64 = 64;
/// Rows of a part at most.
const ROWS_MAX: u64 = 1 << 20;
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
    let wanted = row_conditions(query).into_iter().next();
    let wanted = wanted.map_or_else(|| necessary(session, &query.with_span.filter), |wanted| Ok(Some(wanted)))?;
    let mut end = newest_span(query, wanted.is_none());
    let mut rows = ROWS_A_TRACE.saturating_mul(query.limit as u64 + 1);
    let (mut met, mut found) = (HashSet::new(), Vec::new());
    while let Some(part) = session.part_before(end, rows) {
        let mut new = spans_in(session, caller, wanted.as_ref(), part).await?;
        new.retain(|trace| met.insert(*trace));
        if met.len() > TRACES_MAX {
            return Ok(None);
        }
        for some in new.chunks(TRACES_AT_ONCE) {
            found.extend(find(&session.near(some).await?, caller, query, Some(some), some.len()).await?);
        }
        end = part.start();
        let is_known = |found: &Found| found.first_ns >= end.as_nanos();
        if found.iter().filter(|found| is_known(found)).count() > query.limit {
            found.retain(is_known);
            break;
        }
        rows = rows.saturating_mul(2).min(ROWS_MAX);
    }
    found.sort_by_key(|found| Reverse((found.first_ns, found.place.trace)));
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

/// Behind the last span by which a trace of the page can be met. Its first span will do, unless one is asked for that may be later.
fn newest_span(query: &TraceQuery, is_met_by_any: bool) -> Timestamp {
    let first = match query.after.as_ref().and_then(Place::start) {
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
