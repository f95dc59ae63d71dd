//! The filter language held against traces.
//!
//! Name, status, latency, cost, tokens and scores are the trace's own. Of any other field, a condition holds when it holds for one of the trace's
//! spans, each condition by itself; and its opposite when it holds for none of them.

use arrow::datatypes::DataType;
use spanlake_engine::TenantSession;
use spanlake_engine::call_totals;
use spanlake_engine::datafusion::functions::core::expr_fn::get_field;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::{bool_or, max};
use spanlake_engine::datafusion::logical_expr::cast;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_model::{Condition, Field, Filter, Test};

use super::{Fitting, TOTALS, end_ns, name_of_trace, names, rank, rank_of_status, statuses};
use crate::error::Error;
use crate::read::filter::condition::{holds, number_holds, text_holds, turned};

/// What the filter asks of traces, added to what is asked already.
pub(super) fn add(fitting: &mut Fitting<'_>, session: &TenantSession, filter: &Filter) -> Result<(), Error> {
    for (place, clause) in filter.clauses().iter().enumerate() {
        let mut columns = Vec::new();
        let mut each = Vec::new();
        for (number, condition) in clause.iter().enumerate() {
            each.push(match condition.field.is_of_trace() {
                true => of_trace(session, condition, &mut columns)?,
                false => {
                    let column = format!("fits_{place}_{number}");
                    columns.push(bool_or(holds(session, condition)?).alias(&column));
                    turned(col(column), condition.is_not)
                }
            });
        }
        fitting.needs(columns);
        fitting.wants(each.into_iter().reduce(Expr::or).unwrap_or(lit(true)));
    }
    Ok(())
}

/// On what the trace itself has; `columns` is what that takes.
fn of_trace(session: &TenantSession, condition: &Condition, columns: &mut Vec<Expr>) -> Result<Expr, Error> {
    let Field::Known(known) = &condition.field else {
        return Ok(turned(holds(session, condition)?, condition.is_not));
    };
    let test = &condition.test;
    let held = match known.name {
        "name" => {
            columns.extend(names()?);
            text_holds(&name_of_trace(), test)
        }
        "status" => {
            columns.extend(statuses()?);
            match test {
                Test::Status(wanted) => {
                    rank_of_status()?.in_list(wanted.iter().map(|status| lit(rank(*status))).collect(), false)
                }
                _ => lit(true),
            }
        }
        "latency_ms" => {
            columns.push(max(end_ns()).alias("end_ns"));
            number_holds(&(cast(col("end_ns") - col("start_ns"), DataType::Float64) / lit(1e6)), test)
        }
        total => {
            columns.push(call_totals().alias(TOTALS));
            number_holds(&cast(get_field(col(TOTALS), total), DataType::Float64), test)
        }
    };
    Ok(turned(held, condition.is_not))
}
