//! The order of spans, and places in it.

use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::logical_expr::SortExpr;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::datafusion::scalar::ScalarValue;
use spanlake_model::{Position, TimeRange, Timestamp};

use super::columns::id;

/// By start, then trace id, then span id, all in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// Descending.
    #[default]
    NewestFirst,
    /// Ascending.
    OldestFirst,
}

/// Whether a place itself belongs to what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    Included,
    Excluded,
}

const KEYS: [&str; 4] = ["start_time", "start_nanos", "trace_id", "span_id"];

impl Order {
    pub(crate) fn is_ascending(self) -> bool {
        self == Self::OldestFirst
    }
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::NewestFirst => Self::OldestFirst,
            Self::OldestFirst => Self::NewestFirst,
        }
    }
    /// As a sort.
    pub(crate) fn sort(self) -> Vec<SortExpr> {
        KEYS.into_iter().map(|key| col(key).sort(self.is_ascending(), false)).collect()
    }
    /// Rows after a place in this order.
    pub(crate) fn after(self, place: &Position, edge: Edge) -> Expr {
        let nanos = i16::try_from(place.start.as_nanos().rem_euclid(1_000)).expect("below 1,000");
        let start = lit(ScalarValue::TimestampMicrosecond(Some(place.start.as_micros()), Some("UTC".into())));
        let values = [start.clone(), lit(nanos), id(place.trace_id.as_bytes()), id(place.span_id.as_bytes())];
        let later = KEYS.into_iter().zip(values).rev().fold(lit(edge == Edge::Included), |rest, (key, value)| {
            self.beyond(col(key), value.clone()).or(col(key).eq(value).and(rest))
        });
        // Said once more in the form that bounds of files and pages can be held against.
        let coarse = if self.is_ascending() { col(KEYS[0]).gt_eq(start) } else { col(KEYS[0]).lt_eq(start) };
        coarse.and(later)
    }
    /// The part of the session's range that comes next in this order, from `edge` on, with about so many rows; `None` at the end.
    pub(crate) fn part(self, session: &TenantSession, edge: Timestamp, rows: u64) -> Option<TimeRange> {
        match self {
            Self::NewestFirst => session.part_before(edge, rows),
            Self::OldestFirst => session.part_after(edge, rows),
        }
    }
    /// Where the part ends in this order, and the next one begins.
    pub(crate) fn end_of(self, part: TimeRange) -> Timestamp {
        match self {
            Self::NewestFirst => part.start(),
            Self::OldestFirst => part.end(),
        }
    }
    /// Strictly further in this direction.
    pub(crate) fn beyond(self, key: Expr, value: Expr) -> Expr {
        if self.is_ascending() { key.gt(value) } else { key.lt(value) }
    }
}
