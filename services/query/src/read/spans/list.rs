//! A page of spans: newest first, part by part of the range from its end, until the page is full.

use spanlake_engine::{TenantSession, starts_in};
use spanlake_model::{Caller, Position, Span, SpanFilter, TimeRange, Timestamp};

use super::{Columns, collect};
use crate::error::Error;
use crate::read::filter::filtered;
use crate::read::order::{Edge, Order};

/// Rows of the first part, for each span of a page; each part has twice the rows of the one before.
const ROWS_A_SPAN: u64 = 32;
/// Rows of a part at most.
const ROWS_MAX: u64 = 1 << 20;

/// Which spans, in which order, after which place, and how many at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a> {
    pub(crate) filter: &'a SpanFilter,
    pub(crate) order: Order,
    pub(crate) from: Option<Position>,
    pub(crate) limit: usize,
}

/// Without input and output.
pub(crate) async fn read(session: &TenantSession, caller: &Caller, list: &List<'_>) -> Result<Vec<Span>, Error> {
    if list.order == Order::OldestFirst {
        return some(session, caller, list, None).await;
    }
    let mut end = list.from.map_or(Timestamp::from_nanos(i64::MAX), |place| {
        Timestamp::from_nanos(place.start.as_nanos().saturating_add(1))
    });
    let mut rows = ROWS_A_SPAN.saturating_mul(list.limit as u64);
    let mut spans = Vec::new();
    while let Some(part) = session.part_before(end, rows) {
        let wanted = List { limit: list.limit - spans.len(), ..*list };
        spans.extend(some(session, caller, &wanted, Some(part)).await?);
        if spans.len() >= list.limit {
            break;
        }
        end = part.start();
        rows = rows.saturating_mul(2).min(ROWS_MAX);
    }
    Ok(spans)
}

async fn some(
    session: &TenantSession,
    caller: &Caller,
    list: &List<'_>,
    part: Option<TimeRange>,
) -> Result<Vec<Span>, Error> {
    let mut frame = session.frame()?;
    if let Some(part) = part {
        frame = frame.filter(starts_in(part))?;
    }
    frame = filtered(session, caller, frame, list.filter)?;
    if let Some(place) = &list.from {
        frame = frame.filter(list.order.after(place, Edge::Excluded))?;
    }
    let frame = frame.sort(list.order.sort())?.limit(0, Some(list.limit))?;
    collect(session, Columns::Skeleton.of(session, frame)?).await
}
