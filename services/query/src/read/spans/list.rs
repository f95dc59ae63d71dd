//! A page of spans: in the order of spans part by part of the range, from where the page begins, until it is full, or it shows that they
//! are few ([`matched`]); in any other order by one look at all of it.

use spanlake_engine::datafusion::prelude::Expr;
use spanlake_engine::{TenantSession, starts_in};
use spanlake_model::{Caller, Span, SpanFilter, TimeRange, Timestamp};

use super::sorted::{KEY, Place, sort};
use super::{Columns, collect, matched};
use crate::error::Error;
use crate::read::filter::{filtered, scored};
use crate::read::order::Order;
use crate::read::parts::Parts;
use crate::read::sort_key::SortBy;

/// Rows of the first part, for each span of a page.
const ROWS_A_SPAN: u64 = 32;
/// When so many rows have been looked at and the page is not full, the spans are few, and where they are is found and remembered.
const ROWS_LOOKED_AT: u64 = 1 << 16;

/// Which spans, in which order, after which place, and how many at most.
#[derive(Clone, Debug)]
pub(crate) struct List<'a> {
    pub(crate) filter: &'a SpanFilter,
    pub(crate) by: SortBy,
    pub(crate) order: Order,
    pub(crate) from: Option<Place>,
    pub(crate) limit: usize,
}

impl List<'_> {
    /// Whether a span that fits does so whatever comes later: a score may be about anything.
    fn is_settled(&self) -> bool {
        !self.filter.filter.asks_for_scores()
    }
}

/// Without input and output.
pub(crate) async fn read(session: &TenantSession, caller: &Caller, list: &List<'_>) -> Result<Vec<Span>, Error> {
    if list.by != SortBy::Start {
        return some(session, caller, list, None, list.limit).await;
    }
    if scored::is_hopeless(session, &list.filter.filter) {
        return Ok(Vec::new());
    }
    let from = list.from.as_ref().map(Place::start);
    let edge = match list.order {
        Order::NewestFirst => from.map_or(Timestamp::from_nanos(i64::MAX), just_after),
        Order::OldestFirst => from.unwrap_or(Timestamp::from_nanos(i64::MIN)),
    };
    let mut parts = Parts::new(list.order, edge, ROWS_A_SPAN, list.limit);
    let mut spans = Vec::new();
    while let Some(part) = parts.next(session, TimeRange::all()) {
        spans.extend(some(session, caller, list, Some(starts_in(part)), list.limit - spans.len()).await?);
        if spans.len() >= list.limit {
            break;
        }
        parts.found(spans.len());
        if parts.looked_at() > ROWS_LOOKED_AT && list.is_settled() {
            spans.extend(matched::from(session, caller, list, parts.edge(), list.limit - spans.len()).await?);
            break;
        }
    }
    Ok(spans)
}

fn just_after(start: Timestamp) -> Timestamp {
    Timestamp::from_nanos(start.as_nanos().saturating_add(1))
}

/// The first of those that begin as this says.
pub(super) async fn some(
    session: &TenantSession,
    caller: &Caller,
    list: &List<'_>,
    begins: Option<Expr>,
    limit: usize,
) -> Result<Vec<Span>, Error> {
    let mut frame = session.frame()?;
    if let Some(begins) = begins {
        frame = frame.filter(begins)?;
    }
    frame = filtered(session, caller, frame, list.filter).await?;
    if let Some(key) = list.by.key(session) {
        frame = frame.with_column(KEY, key)?;
    }
    if let Some(place) = &list.from {
        frame = frame.filter(place.after(list.order))?;
    }
    let frame = frame.sort(sort(list.by, list.order))?.limit(0, Some(limit))?;
    collect(session, Columns::Skeleton.of(session, frame)?).await
}
