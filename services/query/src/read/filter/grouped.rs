//! The filter language held against groups of spans: traces, sessions.
//!
//! A group may have something as a whole. Of any other field, a condition holds when it holds for one of the group's spans, each
//! condition by itself; and its opposite when it holds for none of them.

use arrow::datatypes::DataType;
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::functions::core::expr_fn::get_field;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::{bool_or, max, min};
use spanlake_engine::datafusion::logical_expr::cast;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_model::{Condition, Filter, Known, Test};

use super::condition::{holds, number_holds, turned};
use crate::error::Error;
use crate::read::columns::start_ns;
use crate::read::traces::end_ns;

/// The column of all sums.
pub(crate) const TOTALS: &str = "totals";

/// What a filter asks of groups.
pub(crate) struct Grouped {
    /// The aggregates that it takes.
    pub(crate) columns: Vec<Expr>,
    /// On those; one for each clause.
    pub(crate) wanted: Vec<Expr>,
}

impl Grouped {
    /// `own` says how a condition is held against what a group has as a whole, and adds the aggregates that this takes; `None` when it
    /// is held against the spans.
    pub(crate) fn of(
        session: &TenantSession,
        filter: &Filter,
        own: impl Fn(&Condition, &mut Vec<Expr>) -> Result<Option<Expr>, Error>,
    ) -> Result<Self, Error> {
        let (mut columns, mut wanted) = (Vec::new(), Vec::new());
        for (place, clause) in filter.clauses().iter().enumerate() {
            let mut either = Vec::new();
            for (number, condition) in clause.iter().enumerate() {
                let held = match own(condition, &mut columns)? {
                    Some(held) => held,
                    None => {
                        let column = format!("fits_{place}_{number}");
                        columns.push(bool_or(holds(session, condition)?).alias(&column));
                        col(column)
                    }
                };
                either.push(turned(held, condition.is_not));
            }
            wanted.push(either.into_iter().reduce(Expr::or).unwrap_or(lit(true)));
        }
        Ok(Self { columns, wanted })
    }
}

/// Whether a group has it as a whole, as [`sum_holds`] says.
pub(crate) fn is_sum(known: &Known) -> bool {
    matches!(known.name, "latency_ms" | "cost" | "input_tokens" | "output_tokens" | "total_tokens")
}

/// On how long a group took, on its cost and its tokens; `None` of any other field.
pub(crate) fn sum_holds(session: &TenantSession, known: &Known, test: &Test, columns: &mut Vec<Expr>) -> Option<Expr> {
    match known.name {
        "latency_ms" => {
            columns.extend([min(start_ns()).alias("start_ns"), max(end_ns()).alias("end_ns")]);
            Some(number_holds(&(cast(col("end_ns") - col("start_ns"), DataType::Float64) / lit(1e6)), test))
        }
        "cost" | "input_tokens" | "output_tokens" | "total_tokens" => {
            columns.push(session.call_totals().alias(TOTALS));
            Some(number_holds(&cast(get_field(col(TOTALS), known.name), DataType::Float64), test))
        }
        _ => None,
    }
}

/// Adds columns, each once.
pub(crate) fn add_once(columns: &mut Vec<Expr>, more: impl IntoIterator<Item = Expr>) {
    for column in more {
        let name = column.schema_name().to_string();
        if !columns.iter().any(|known| known.schema_name().to_string() == name) {
            columns.push(column);
        }
    }
}
