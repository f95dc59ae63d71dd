//! A page of spans: in the order of spans part by part of the range, from where the page begins, until it is full; in any other order by
//! one look at all of it.

use spanlake_engine::{TenantSession, starts_in};
use spanlake_model::{Caller, Span, SpanFilter, TimeRange, Timestamp};

use super::sorted::{KEY, Place, sort};
use super::{Columns, collect};
use crate::error::Error;
use crate::read::filter::filtered;
use crate::read::order::Order;
use crate::read::sort_key::SortBy;

/// Rows of the first part, for each span of a page; each part has twice the rows of the one before.
const ROWS_A_SPAN: u64 = 32;
/// Rows of a part at most.
const ROWS_MAX: u64 = 1 << 20;

/// Which spans, in which order, after which place, and how many at most.
#[derive(Clone, Debug)]
pub(crate) struct List<'a> {
    pub(crate) filter: &'a SpanFilter,
    pub(crate) by: SortBy,
    pub(crate) order: Order,
    pub(crate) from: Option<Place>,
    pub(crate) limit: usize,
}

/// Without input and output.
pub(crate) async fn read(session: &TenantSession, caller: &Caller, list: &List<'_>) -> Result<Vec<Span>, Error> {
    if list.by != SortBy::Start {
        return some(session, caller, list, None, list.limit).await;
    }
    let from = list.from.as_ref().map(Place::start);
    let mut edge = match list.order {
        Order::NewestFirst => from.map_or(Timestamp::from_nanos(i64::MAX), just_after),
        Order::OldestFirst => from.unwrap_or(Timestamp::from_nanos(i64::MIN)),
    };
    let mut rows = ROWS_A_SPAN.saturating_mul(list.limit as u64);
    let mut spans = Vec::new();
    while let Some(part) = list.order.part(session, edge, rows) {
        spans.extend(some(session, caller, list, Some(part), list.limit - spans.len()).await?);
        if spans.len() >= list.limit {
            break;
        }
        edge = list.order.end_of(part);
        rows = rows.saturating_mul(2).min(ROWS_MAX);
    }
    Ok(spans)
}

fn just_after(start: Timestamp) -> Timestamp {
    Timestamp::from_nanos(start.as_nanos().saturating_add(1))
}

async fn some(
    session: &TenantSession,
    caller: &Caller,
    list: &List<'_>,
    part: Option<TimeRange>,
    limit: usize,
) -> Result<Vec<Span>, Error> {
    let mut frame = session.frame()?;
    if let Some(part) = part {
        frame = frame.filter(starts_in(part))?;
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
