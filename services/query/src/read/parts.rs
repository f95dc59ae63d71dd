//! A range looked at part by part from one of its ends, in parts that grow until a page is full.

use spanlake_engine::TenantSession;
use spanlake_model::{TimeRange, Timestamp};

use super::order::Order;

/// Rows of a part at most.
const ROWS_MAX: u64 = 1 << 20;
/// A part has at least so many times the rows of the one before, and at most so many.
const GROWTH: (u64, u64) = (2, 16);

/// Which part comes next.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    order: Order,
    /// Where the last part ended.
    edge: Timestamp,
    rows: u64,
    /// Of all parts so far, about.
    looked_at: u64,
    /// What a page and one more takes, and how much of that was found.
    wanted: u64,
    found: u64,
}

impl Parts {
    /// From `edge` on in this order; the first part has `rows_each` rows for each of a page of `limit`.
    pub(crate) fn new(order: Order, edge: Timestamp, rows_each: u64, limit: usize) -> Self {
        let wanted = (limit as u64).saturating_add(1);
        Self { order, edge, rows: rows_each.saturating_mul(wanted), looked_at: 0, wanted, found: 0 }
    }

    /// The part of the session's rows that comes next, as far as it is in `range`; `None` at the end.
    pub(crate) fn next(&mut self, session: &TenantSession, range: TimeRange) -> Option<TimeRange> {
        let part = self.order.part(session, self.edge, self.rows)?;
        let part = TimeRange::new(part.start().max(range.start()), part.end().min(range.end())).ok()?;
        self.edge = self.order.end_of(part);
        self.looked_at = self.looked_at.saturating_add(self.rows);
        Some(part)
    }

    /// Rows of all parts so far, about.
    pub(crate) fn looked_at(&self) -> u64 {
        self.looked_at
    }

    /// Where the parts have come to.
    pub(crate) fn edge(&self) -> Timestamp {
        self.edge
    }

    /// All parts so far have found so many of the page: the next one is as large as it must be to find the rest, if the rest lies as
    /// thick, within bounds.
    pub(crate) fn found(&mut self, count: usize) {
        let found = count as u64;
        let (of_this, missing) = (found.saturating_sub(self.found), self.wanted.saturating_sub(found));
        let growth = missing.checked_div(of_this).unwrap_or(GROWTH.1).clamp(GROWTH.0, GROWTH.1);
        self.rows = self.rows.saturating_mul(growth).min(ROWS_MAX);
        self.found = found;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_by_what_is_missing() {
        let mut parts = Parts::new(Order::NewestFirst, Timestamp::from_secs(0), 10, 49);
        let mut grown = |found| {
            let before = parts.rows;
            parts.found(found);
            parts.rows / before
        };
        assert_eq!([grown(0), grown(10), grown(40)], [16, 4, 2]);
        assert_eq!(grown(40), 16);
        parts.found(40);
        assert_eq!(parts.rows, ROWS_MAX);
    }
}
