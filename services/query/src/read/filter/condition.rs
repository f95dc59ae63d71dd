//! A condition of the filter language as an expression over rows of spans.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::error::DataFusionError;
use spanlake_engine::datafusion::functions::core::expr_fn::coalesce;
use spanlake_engine::datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, cast, create_udf, try_cast};
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_model::{Code, Condition, Fault, Field, Filter, Known, Number, Test, TraceId};
use spanlake_store::schema;

use super::{is_type, literally};
use crate::error::Error;
use crate::read::columns::{is_trace, text};
use crate::read::metadata::text_at;

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
        Field::Known(known) => known_holds(session, known, &condition.test),
        Field::Metadata(key) => Ok(metadata_holds(key, &condition.test)),
        Field::Score(name) => Err(Fault::new(
            Code::InvalidFilter,
            format!("The filter asks for scores ('score__{name}'), which cannot be filtered by yet."),
        )
        .detail("filter", "score__<name> is not supported yet")
        .into()),
    }
}

fn known_holds(session: &TenantSession, known: &Known, test: &Test) -> Result<Expr, Error> {
    let milliseconds = |column: &str| cast(col(column), DataType::Float64) / lit(1e6);
    Ok(match (known.name, test) {
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
        ("tags", test) => tags_hold(test),
        ("trace_id", test) => trace_holds(test)?,
        ("model", test) => text_holds(&col("model"), test).or(text_holds(&col("request_model"), test)),
        (name, test) => text_holds(&col(name), test),
    })
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

/// What looks like a number equals the number as well: `3` finds 3 and 3.0.
fn metadata_holds(key: &str, test: &Test) -> Expr {
    let value = text_at(key);
    let number = || try_cast(text_at(key), DataType::Float64);
    match test {
        // The texts "NaN" and "inf" are no numbers to anybody, and NaN sorts above all.
        Test::Within { .. } => {
            number_holds(&number(), test).and(number().gt(lit(f64::NEG_INFINITY))).and(number().lt(lit(f64::INFINITY)))
        }
        Test::Is(wanted) => {
            let numbers: Vec<_> = wanted.iter().filter_map(|value| Number::parse(value)).collect();
            let is = text_holds(&value, test);
            if numbers.is_empty() { is } else { is.or(number_holds(&number(), &Test::Equals(numbers))) }
        }
        test => text_holds(&value, test),
    }
}

fn trace_holds(test: &Test) -> Result<Expr, Error> {
    let Test::Is(wanted) = test else {
        let known = matches!(test, Test::Exists);
        let refused = || Fault::new(Code::InvalidFilter, "'trace_id' takes =, != and in, with 32 hex digits.");
        return if known {
            Ok(lit(true))
        } else {
            Err(refused().detail("filter", "trace_id takes =, != and in").into())
        };
    };
    // What is no id is the id of no trace.
    let traces = wanted.iter().filter_map(|value| value.parse::<TraceId>().ok());
    Ok(traces.map(is_trace).reduce(Expr::or).unwrap_or(lit(false)))
}

/// Stands between tags, and before and after them; no sender's tag has it.
const BETWEEN: char = '\u{1f}';

/// On any of the tags.
fn tags_hold(test: &Test) -> Expr {
    static JOINED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let joined =
            create_udf("tags_joined", vec![tags_type()], DataType::Utf8View, Volatility::Immutable, Arc::new(join));
        Arc::new(joined)
    });
    let joined = JOINED.call(vec![col("tags")]);
    let like = |before: &str, part: &str, after: &str| format!("%{before}{}{after}%", literally(part));
    let edge = BETWEEN.to_string();
    match test {
        Test::Is(wanted) => {
            let is = |tag: &String| joined.clone().like(lit(like(&edge, tag, &edge)));
            wanted.iter().map(is).reduce(Expr::or).unwrap_or(lit(false))
        }
        Test::Contains(part) => joined.ilike(lit(like("", part, ""))),
        Test::StartsWith(part) => joined.ilike(lit(like(&edge, part, ""))),
        Test::EndsWith(part) => joined.ilike(lit(like("", part, &edge))),
        _ => joined.not_eq(text("")),
    }
}

fn tags_type() -> DataType {
    schema::spans().field_with_name("tags").expect("a column of spans").data_type().clone()
}

fn join(arguments: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let unexpected = || DataFusionError::Internal("tags_joined takes the column of tags".into());
    let tags = arguments.first().ok_or_else(unexpected)?.to_array(1)?;
    let lists = tags.as_list_opt::<i32>().ok_or_else(unexpected)?;
    let mut joined = StringViewBuilder::with_capacity(lists.len());
    let mut line = String::new();
    for list in lists.iter() {
        line.clear();
        if let Some(list) = list {
            let texts = list.as_string_view_opt().ok_or_else(unexpected)?;
            for tag in texts.iter().flatten() {
                if line.is_empty() {
                    line.push(BETWEEN);
                }
                line.push_str(tag);
                line.push(BETWEEN);
            }
        }
        joined.append_value(&line);
    }
    Ok(ColumnarValue::Array(Arc::new(joined.finish())))
}
