//! A condition of the filter language as an expression over rows of spans.

use std::str::FromStr;

use arrow::datatypes::DataType;
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::functions::core::expr_fn::coalesce;
use spanlake_engine::datafusion::logical_expr::cast;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_model::{Condition, Field, Filter, Known, Number, SpanId, Test, TraceId};

use super::{is_type, literally, metadata, scored, tags};
use crate::error::Error;
use crate::read::columns::{id, text};

/// What a span must be like: the clauses, one by one.
pub(crate) fn clauses(session: &TenantSession, filter: &Filter) -> Result<Vec<Expr>, Error> {
    filter.clauses().iter().map(|clause| any(clause, |condition| fits(session, condition))).collect()
}

/// What a span must be like so that a trace with it may fit; `None` when a trace may fit without any such span.
pub(crate) fn necessary(session: &TenantSession, filter: &Filter) -> Result<Option<Expr>, Error> {
    let tells = |condition: &Condition| !condition.is_not && !condition.field.is_of_trace();
    let clause = filter.clauses().iter().find(|clause| clause.iter().all(tells));
    clause.map(|clause| any(clause, |condition| holds(session, condition))).transpose()
}

/// One of them.
pub(crate) fn any(clause: &[Condition], expression: impl Fn(&Condition) -> Result<Expr, Error>) -> Result<Expr, Error> {
    let mut either = Vec::with_capacity(clause.len());
    for condition in clause {
        either.push(expression(condition)?);
    }
    Ok(either.into_iter().reduce(Expr::or).unwrap_or(lit(true)))
}

fn fits(session: &TenantSession, condition: &Condition) -> Result<Expr, Error> {
    Ok(turned(holds(session, condition)?, condition.is_not))
}

/// The opposite, if it is asked for: a value that is absent fits then.
pub(crate) fn turned(holds: Expr, is_not: bool) -> Expr {
    if is_not { Expr::Not(Box::new(coalesce(vec![holds, lit(false)]))) } else { holds }
}

/// The test of the condition on a span's own value, whether its opposite is asked for or not. Null when there is no value.
pub(crate) fn holds(session: &TenantSession, condition: &Condition) -> Result<Expr, Error> {
    match &condition.field {
        Field::Known(known) => Ok(known_holds(session, known, &condition.test)),
        Field::Metadata(key) => Ok(metadata::hold(key, &condition.test)),
        Field::Score(_) | Field::AnyScore => scored::holds(condition).ok_or(Error::Column("score")),
    }
}

fn known_holds(session: &TenantSession, known: &Known, test: &Test) -> Expr {
    let milliseconds = |column: &str| cast(col(column), DataType::Float64) / lit(1e6);
    match (known.name, test) {
        ("status", Test::Status(wanted)) => {
            col("status").in_list(wanted.iter().map(|status| lit(status.as_i8())).collect(), false)
        }
        ("type", Test::Type(wanted)) => {
            wanted.iter().map(|coarse| is_type(*coarse)).reduce(Expr::or).unwrap_or(lit(false))
        }
        // Every span has both.
        ("status" | "type", _) => lit(true),
        ("latency_ms", test) => number_holds(&milliseconds("duration_ns"), test),
        ("time_to_first_token_ms", test) => number_holds(&milliseconds("time_to_first_token_ns"), test),
        ("cost", test) => number_holds(&cast(session.cost(), DataType::Float64), test),
        ("input_tokens" | "output_tokens" | "total_tokens" | "cached_input_tokens", test) => {
            number_holds(&cast(col(known.name), DataType::Float64), test)
        }
        // Of a score: a span has none of this name.
        ("value", test) => number_holds(&col("value"), test),
        ("tags", test) => tags::hold(test),
        ("trace_id", test) => id_holds("trace_id", test, |id: &TraceId| *id.as_bytes()),
        ("span_id", test) => id_holds("span_id", test, |id: &SpanId| *id.as_bytes()),
        ("model", test) => text_holds(&col("model"), test).or(text_holds(&col("request_model"), test)),
        (name, test) => text_holds(&col(name), test),
    }
}

/// On text; of anything but a text's test, whether there is one.
pub(crate) fn text_holds(value: &Expr, test: &Test) -> Expr {
    let like = |pattern: String| value.clone().ilike(lit(pattern));
    match test {
        Test::Is(wanted) => match wanted.as_slice() {
            [one] => value.clone().eq(text(one)),
            several => value.clone().in_list(several.iter().map(text).collect(), false),
        },
        Test::Contains(part) => like(format!("%{}%", literally(part))),
        Test::StartsWith(part) => like(format!("{}%", literally(part))),
        Test::EndsWith(part) => like(format!("%{}", literally(part))),
        _ => value.clone().is_not_null(),
    }
}

/// On a number; of anything but a number's test, whether there is one.
pub(crate) fn number_holds(value: &Expr, test: &Test) -> Expr {
    let is = |number: &Number| value.clone().eq(lit(number.get()));
    match test {
        Test::Equals(wanted) => wanted.iter().map(is).reduce(Expr::or).unwrap_or(lit(false)),
        Test::Within { low, high } => {
            let above =
                low.map(
                    |(low, is_in)| {
                        if is_in { value.clone().gt_eq(lit(low.get())) } else { value.clone().gt(lit(low.get())) }
                    },
                );
            let below =
                high.map(
                    |(high, is_in)| {
                        if is_in { value.clone().lt_eq(lit(high.get())) } else { value.clone().lt(lit(high.get())) }
                    },
                );
            above.into_iter().chain(below).reduce(Expr::and).unwrap_or(lit(true))
        }
        _ => value.clone().is_not_null(),
    }
}

/// On an id. What is no id is the id of nothing.
fn id_holds<const N: usize, I: FromStr>(column: &str, test: &Test, bytes: impl Fn(&I) -> [u8; N]) -> Expr {
    match test {
        Test::Is(wanted) => {
            let ids = wanted.iter().filter_map(|value| value.parse().ok()).map(|wanted: I| id(&bytes(&wanted)));
            ids.map(|wanted| col(column).eq(wanted)).reduce(Expr::or).unwrap_or(lit(false))
        }
        // Every span has one.
        _ => lit(true),
    }
}
