//! The filter language held against traces: name, status, latency, cost, tokens and scores are the trace's own.

use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_model::{Condition, Field, Filter, Test};

use super::{name_of_trace, names, rank, rank_of_status, statuses};
use crate::error::Error;
use crate::read::filter::condition::{holds, text_holds};
use crate::read::filter::grouped::{Grouped, sum_holds};

/// What the filter asks of traces; of their scores in a frame of [`crate::read::filter::scored::traces`].
pub(super) fn asked(session: &TenantSession, filter: &Filter) -> Result<Grouped, Error> {
    Grouped::of(session, filter, |condition, columns| match condition.field.is_of_trace() {
        true => of_trace(session, condition, columns).map(Some),
        false => Ok(None),
    })
}

/// On what the trace itself has; `columns` is what that takes.
fn of_trace(session: &TenantSession, condition: &Condition, columns: &mut Vec<Expr>) -> Result<Expr, Error> {
    let Field::Known(known) = &condition.field else { return holds(session, condition) };
    let test = &condition.test;
    Ok(match known.name {
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
        name => sum_holds(session, known, test, columns).unwrap_or_else(|| col(name).is_not_null()),
    })
}
