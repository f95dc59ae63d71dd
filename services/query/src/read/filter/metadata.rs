//! Conditions on values of the metadata: as text, and as numbers where both are.

use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray, Int8Array};
use arrow::datatypes::DataType;
use spanlake_engine::datafusion::error::DataFusionError;
use spanlake_engine::datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use spanlake_engine::datafusion::prelude::{Expr, lit};
use spanlake_model::{Number, Test};

use super::condition::text_holds;
use crate::read::columns::text;
use crate::read::metadata::text_at;

/// What looks like a number equals the number as well: `3` finds 3 and 3.0.
pub(super) fn hold(key: &str, test: &Test) -> Expr {
    let value = text_at(key);
    match test {
        Test::Within { low, high } => {
            let compared = |number: &Number| compared(&value, &number.to_string());
            let above = low.as_ref().map(|(low, is_in)| match is_in {
                true => compared(low).gt_eq(lit(0_i8)),
                false => compared(low).gt(lit(0_i8)),
            });
            let below = high.as_ref().map(|(high, is_in)| match is_in {
                true => compared(high).lt_eq(lit(0_i8)),
                false => compared(high).lt(lit(0_i8)),
            });
            above.into_iter().chain(below).reduce(Expr::and).unwrap_or(lit(true))
        }
        Test::Is(wanted) => {
            let numbers = wanted.iter().filter(|value| Number::parse(value).is_some());
            let equal = numbers.map(|number| compared(&value, number).eq(lit(0_i8)));
            equal.fold(text_holds(&value, test), Expr::or)
        }
        test => text_holds(&value, test),
    }
}

/// Whether the number in a text is less than this one (-1), equal (0) or greater (1); null of any other text.
fn compared(value: &Expr, number: &str) -> Expr {
    static COMPARED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let texts = vec![DataType::Utf8View; 2];
        Arc::new(create_udf("number_compared", texts, DataType::Int8, Volatility::Immutable, Arc::new(evaluate)))
    });
    COMPARED.call(vec![value.clone(), text(number)])
}

fn evaluate(arguments: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let unexpected = || DataFusionError::Internal("number_compared takes texts and a number".into());
    let [values, ColumnarValue::Scalar(number)] = arguments else { return Err(unexpected()) };
    let number = number.try_as_str().flatten().and_then(Number::parse).ok_or_else(unexpected)?;
    let values = values.to_array(1)?;
    let values = values.as_string_view_opt().ok_or_else(unexpected)?;
    let sign = |value: Option<&str>| Some(Number::parse(value?)?.cmp(&number) as i8);
    Ok(ColumnarValue::Array(Arc::new(values.iter().map(sign).collect::<Int8Array>())))
}
