//! Sessions in the order in which they began, without looking at all of them: part by part of the range, from the end that is asked
//! for on, as lists of traces do.
//!
//! A session that is met in a part is looked at whole, once, wherever its other traces lie; so its start is its real start. The page is
//! full when enough of them began on this side of the instant that the parts have come to: a session that was not met until then began
//! beyond it. That holds
//! - of the newest, when they are met by spans that name them: one is in the range, and none of a session's spans is before its start;
//! - of either, when they are met by any span of their traces: by the first one, at the latest. But sessions of the range may have begun
//!   before it: those that are met this way are not all, unless there is nothing before the range;
//! - of the newest, when they are met by the spans that a filter asks for, wherever these lie.

use std::collections::HashSet;

use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::prelude::{Expr, col};
use spanlake_engine::{TenantSession, starts_in};
use spanlake_model::{Caller, TimeRange, Timestamp, TraceId};

use super::asked::Asked;
use super::counted::{Naming, all_of, counted, naming};
use super::exact::fitting;
use super::tally::Sums;
use super::{Chosen, SessionQuery, Standing};
use crate::error::Error;
use crate::read::columns::own;
use crate::read::order::Order;
use crate::read::row::{texts_of, trace_ids};
use crate::read::trace_set::is_among;

/// Rows of the first part, for each session of a page.
const ROWS_A_SESSION: u64 = 64;
/// Rows of a part at most.
const ROWS_MAX: u64 = 1 << 20;
/// Sessions that are looked at together.
const AT_ONCE: usize = 500;
/// When so many have been looked at, or they have so many traces, and the page is not full, one look at all spans is cheaper.
const SESSIONS_MAX: usize = 4_000;
const TRACES_MAX: usize = 50_000;

/// By which spans of a part sessions are met.
enum Met {
    /// Those that name them, in the range.
    Naming,
    /// Any of their traces.
    Any,
    /// Those of their traces that are like this.
    Like(Expr),
}

impl Met {
    fn of(query: &SessionQuery, asked: &Asked) -> Self {
        match (query.order, asked.of_spans.first(), &query.after) {
            (Order::NewestFirst, Some(like), _) => Self::Like(like.clone()),
            (Order::NewestFirst, None, None) => Self::Naming,
            _ => Self::Any,
        }
    }

    /// Before the first span, in the order of the query, by which a session of the page can be met.
    fn edge(&self, query: &SessionQuery, after: Option<&Standing>) -> Timestamp {
        let last = after.and_then(|after| i64::try_from(after.amount).ok());
        match (self, query.order) {
            (Self::Like(_), _) => TimeRange::all().end(),
            (_, Order::NewestFirst) => {
                last.map_or(query.range.end(), |last| Timestamp::from_nanos(last.saturating_add(1)))
            }
            (_, Order::OldestFirst) => last.map_or(query.range.start(), Timestamp::from_nanos),
        }
    }
}

/// The page, or `None` when it is better found another way.
pub(super) async fn choose(
    session: &TenantSession,
    caller: &Caller,
    query: &SessionQuery,
    asked: &Asked,
    after: Option<&Standing>,
) -> Result<Option<Chosen<Standing>>, Error> {
    if query.order == Order::OldestFirst && session.reaches_before(query.range.start()) {
        return Ok(None);
    }
    let met_by = Met::of(query, asked);
    let mut edge = met_by.edge(query, after);
    let mut rows = ROWS_A_SESSION.saturating_mul(query.limit as u64 + 1);
    let mut looking =
        Looking { session, caller, query, asked, after, met: HashSet::new(), traces: 0, found: Vec::new() };
    while let Some(part) = query.order.part(session, edge, rows) {
        let met = met_by.sessions(session, caller, query, part).await?;
        if !looking.at(met).await? {
            return Ok(None);
        }
        edge = query.order.end_of(part);
        if looking.is_enough(edge) {
            looking.found.retain(|found| is_known(found, edge, query.order));
            break;
        }
        match met_by.is_all(session, query, edge) {
            Some(true) => break,
            Some(false) => return Ok(None),
            None => rows = rows.saturating_mul(2).min(ROWS_MAX),
        }
    }
    Ok(Some(Chosen::of(query.order.sorted(looking.found), query.limit)))
}

/// Whether a session began on this side of the instant that the parts have come to.
fn is_known(found: &Standing, edge: Timestamp, order: Order) -> bool {
    match order {
        Order::NewestFirst => found.amount >= i128::from(edge.as_nanos()),
        Order::OldestFirst => found.amount < i128::from(edge.as_nanos()),
    }
}

/// What has been looked at.
struct Looking<'a> {
    session: &'a TenantSession,
    caller: &'a Caller,
    query: &'a SessionQuery,
    asked: &'a Asked,
    after: Option<&'a Standing>,
    met: HashSet<String>,
    traces: usize,
    /// Those that fit, after that place.
    found: Vec<Standing>,
}

impl Looking<'_> {
    /// Looks at those of these sessions that were not met before; says no when that would be too many.
    async fn at(&mut self, mut sessions: Vec<String>) -> Result<bool, Error> {
        sessions.retain(|id| self.met.insert(id.clone()));
        if self.met.len() > SESSIONS_MAX {
            return Ok(false);
        }
        for some in sessions.chunks(AT_ONCE) {
            let naming = naming(self.session, self.caller, some).await?;
            let traces = all_of(naming.values());
            self.traces += traces.len();
            if self.traces > TRACES_MAX {
                return Ok(false);
            }
            let fitting = self.fitting(&naming, &traces).await?;
            self.found.extend(fitting.into_iter().filter(|found| found.is_after(self.after, self.query.order)));
        }
        Ok(true)
    }

    /// Those of these sessions that fit, and when they began. All their traces are among these.
    async fn fitting(&self, naming: &Naming, traces: &[TraceId]) -> Result<Vec<Standing>, Error> {
        let Self { session, caller, query, asked, .. } = self;
        let near = session.near(traces).await?;
        let counted = counted(&near, caller, &asked.wanted(session, query), Some(traces)).await?;
        // Of the other sessions that these traces are of, not all traces are here.
        let is_whole = |sums: &Sums| naming.contains_key(&*sums.id);
        let sessions = counted.sessions().into_iter().filter(|sums| is_whole(sums) && asked.may_fit(sums));
        if asked.is_all {
            let standing = |sums: Sums| Standing { amount: sums.start_ns.into(), id: sums.id.to_string() };
            return Ok(sessions.map(standing).collect());
        }
        let ids: Vec<_> = sessions.map(|sums| sums.id.to_string()).collect();
        fitting(session, caller, query, &ids).await
    }

    fn is_enough(&self, edge: Timestamp) -> bool {
        self.found.iter().filter(|found| is_known(found, edge, self.query.order)).count() > self.query.limit
    }
}

impl Met {
    /// Once the parts have come to this instant: whether all that are listed have been met, if that is known.
    fn is_all(&self, session: &TenantSession, query: &SessionQuery, edge: Timestamp) -> Option<bool> {
        let (start, end) = (query.range.start(), query.range.end());
        match (self, query.order) {
            (Self::Naming, _) => (edge <= start).then_some(true),
            (Self::Any, Order::NewestFirst) => (edge <= start).then(|| !session.reaches_before(start)),
            (Self::Any, Order::OldestFirst) => (edge >= end).then_some(true),
            // Their spans may lie outside.
            (Self::Like(_), _) => None,
        }
    }

    /// The sessions that are met in this part, and some that are not listed.
    async fn sessions(
        &self,
        session: &TenantSession,
        caller: &Caller,
        query: &SessionQuery,
        part: TimeRange,
    ) -> Result<Vec<String>, Error> {
        let spans = session.frame()?.filter(own(caller).and(starts_in(part)))?;
        let spans = match self {
            Self::Naming => {
                let naming = col("session_id").is_not_null().and(starts_in(query.range));
                return names(session, spans.filter(naming)?).await;
            }
            Self::Any => spans,
            Self::Like(like) => spans.filter(like.clone())?,
        };
        let mut traces = trace_ids(session, spans.aggregate(vec![col("trace_id")], vec![])?, "trace_id").await?;
        traces.sort_unstable();
        let near = session.near(&traces).await?;
        let naming = own(caller).and(col("session_id").is_not_null()).and(is_among(&traces));
        names(&near, near.frame()?.filter(naming)?).await
    }
}

/// The sessions that these spans name.
async fn names(session: &TenantSession, spans: DataFrame) -> Result<Vec<String>, Error> {
    texts_of(session, spans.aggregate(vec![col("session_id")], vec![])?, "session_id").await
}
