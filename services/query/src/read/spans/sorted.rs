//! What spans can be sorted by, and where one stands then.

use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::functions::core::expr_fn::coalesce;
use spanlake_engine::datafusion::logical_expr::{SortExpr, cast};
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_model::{Money, Position, Span, SpanId, Timestamp, TraceId};

use crate::read::order::{Edge, Order};
use crate::read::sort_key::{Key, SortBy, least_money, money_sum};

/// The column that is sorted by.
pub(super) const KEY: &str = "sort_key";

impl SortBy {
    /// Of a row that is not priced yet; none when the order of spans will do.
    pub(super) fn key(self, session: &TenantSession) -> Option<Expr> {
        let or_least = |column: &str| coalesce(vec![col(column), lit(i64::MIN)]);
        Some(match self {
            Self::Start => return None,
            Self::Latency => or_least("duration_ns"),
            Self::Cost => coalesce(vec![cast(session.cost(), money_sum()), least_money()]),
            Self::Tokens => or_least("total_tokens"),
            Self::Name => col("name"),
            Self::Status => cast(col("status"), DataType::Int64),
        })
    }

    /// The same of a span that was read.
    fn of(self, span: &Span) -> Option<Key> {
        let or_least = |number: Option<i64>| Key::Number(number.unwrap_or(i64::MIN));
        Some(match self {
            Self::Start => return None,
            Self::Latency => or_least(span.end.map(|end| end.as_nanos() - span.start.as_nanos())),
            Self::Cost => Key::money(span.cost.total.map(Money::as_pico)),
            Self::Tokens => or_least(span.usage.total),
            Self::Name => Key::Text(span.name.clone()),
            Self::Status => Key::Number(i64::from(span.status.as_i8())),
        })
    }
}

/// Where a span stands in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    start: Timestamp,
    trace: TraceId,
    span: SpanId,
    /// Before them, unless the list is in the order of spans.
    key: Option<Key>,
}

impl Place {
    pub(crate) fn of(span: &Span, by: SortBy) -> Self {
        Self { start: span.start, trace: span.trace_id, span: span.span_id, key: by.of(span) }
    }

    pub(super) fn start(&self) -> Timestamp {
        self.start
    }

    /// Rows after it.
    pub(super) fn after(&self, order: Order) -> Expr {
        let position = Position { start: self.start, trace_id: self.trace, span_id: self.span };
        let later = order.after(&position, Edge::Excluded);
        match &self.key {
            None => later,
            Some(key) => order.beyond(col(KEY), key.literal()).or(col(KEY).eq(key.literal()).and(later)),
        }
    }
}

/// By the key, then in the order of spans.
pub(super) fn sort(by: SortBy, order: Order) -> Vec<SortExpr> {
    let key = (by != SortBy::Start).then(|| col(KEY).sort(order.is_ascending(), false));
    key.into_iter().chain(order.sort()).collect()
}
