//! Sessions in any order, by one look at all spans of the range, and at those files beyond it that hold some of its sessions'.
//!
//! What is counted of each session bounds where it can stand: start, end, latency and traces are what they are; a sum over calls is never
//! more than the plain sum over spans, which is counted. Sessions that this does not settle are looked at whole, in the order of their
//! bounds, until no other one can come before the last of the page.

use spanlake_engine::TenantSession;
use spanlake_model::Caller;

use super::asked::Asked;
use super::counted::counted;
use super::exact::fitting;
use super::tally::Sums;
use super::{Chosen, SessionQuery, SortBy, Standing};
use crate::error::Error;
use crate::read::order::Order;
use crate::read::sort_key::Key;

/// Sessions that are looked at together.
const AT_ONCE: usize = 250;

/// The page.
pub(super) async fn choose(
    session: &TenantSession,
    caller: &Caller,
    query: &SessionQuery,
    asked: &Asked,
    after: Option<&Standing>,
) -> Result<Chosen<Standing>, Error> {
    let near = session.near_sessions_in(query.range).await?;
    let counted = counted(&near, caller, &asked.wanted(session, query), None).await?;
    let candidates = counted.sessions().into_iter().filter(|sums| asked.may_fit(sums));
    let (settled, open): (Vec<_>, Vec<_>) =
        candidates.partition(|sums| asked.is_all && is_settled(query.sort_by, sums));
    let bounded = |sums: Sums| Standing { amount: bound(query, &sums), id: sums.id.to_string() };
    let mut found = Page { query, after, best: Vec::new() };
    found.add(settled.into_iter().map(bounded));
    let open = query.order.sorted(open.into_iter().map(bounded).collect());
    for some in open.chunks(AT_ONCE) {
        if found.is_full_before(some[0].amount) {
            break;
        }
        let ids: Vec<_> = some.iter().map(|standing| standing.id.clone()).collect();
        found.add(fitting(session, caller, query, &ids).await?.into_iter());
    }
    Ok(Chosen::of(found.best, query.limit))
}

/// Whether the bound is where it stands.
fn is_settled(by: SortBy, sums: &Sums) -> bool {
    match by {
        SortBy::Start | SortBy::End | SortBy::Latency | SortBy::Traces => true,
        // What no span says no sum has.
        SortBy::Cost | SortBy::Tokens => sums.amount.is_none(),
    }
}

/// It does not stand before this.
fn bound(query: &SessionQuery, sums: &Sums) -> i128 {
    let or_least = |value: Option<i64>| i128::from(value.unwrap_or(i64::MIN));
    let least = || match query.sort_by {
        SortBy::Cost => Key::money(None).amount().unwrap_or(i128::MIN),
        _ => or_least(None),
    };
    match query.sort_by {
        SortBy::Start => sums.start_ns.into(),
        SortBy::End => or_least(sums.end_ns),
        SortBy::Latency => or_least(sums.end_ns.map(|end| end.saturating_sub(sums.start_ns))),
        SortBy::Traces => sums.traces.into(),
        SortBy::Cost | SortBy::Tokens => match query.order {
            Order::NewestFirst => sums.amount.unwrap_or_else(least),
            Order::OldestFirst => least(),
        },
    }
}

/// The best of those that were found, one more than the page holds.
struct Page<'a> {
    query: &'a SessionQuery,
    after: Option<&'a Standing>,
    best: Vec<Standing>,
}

impl Page<'_> {
    fn add(&mut self, more: impl Iterator<Item = Standing>) {
        let mut best = std::mem::take(&mut self.best);
        best.extend(more.filter(|standing| standing.is_after(self.after, self.query.order)));
        self.best = self.query.order.sorted(best);
        self.best.truncate(self.query.limit.saturating_add(1));
    }

    /// Whether nothing that stands at `bound` or behind it can be on it.
    fn is_full_before(&self, bound: i128) -> bool {
        let last = self.best.get(self.query.limit);
        last.is_some_and(|last| match self.query.order {
            Order::NewestFirst => last.amount > bound,
            Order::OldestFirst => last.amount < bound,
        })
    }
}
