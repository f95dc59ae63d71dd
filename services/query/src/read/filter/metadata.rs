//! A look into the metadata column, which is JSON text.

use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray, BooleanArray};
use arrow::datatypes::DataType;
use serde_json::Value;
use spanlake_engine::datafusion::error::{DataFusionError, Result};
use spanlake_engine::datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use spanlake_engine::datafusion::prelude::{Expr, col};
use spanlake_engine::datafusion::scalar::ScalarValue;

use crate::read::columns::text;

/// Rows whose metadata holds `value` under `key`, compared as text: `1` finds both the number and the string.
pub(super) fn holds(key: &str, value: &str) -> Expr {
    static HOLDS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let arguments = vec![DataType::Utf8View; 3];
        Arc::new(create_udf("metadata_holds", arguments, DataType::Boolean, Volatility::Immutable, Arc::new(evaluate)))
    });
    HOLDS.call(vec![col("metadata"), text(key), text(value)])
}

fn evaluate(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let [metadata, ColumnarValue::Scalar(key), ColumnarValue::Scalar(value)] = arguments else {
        return Err(unexpected());
    };
    let (key, value) = (word(key)?, word(value)?);
    let array = metadata.to_array(1)?;
    let texts = array.as_string_view_opt().ok_or_else(unexpected)?;
    let held: BooleanArray = texts.iter().map(|text| Some(text.is_some_and(|text| has(text, key, value)))).collect();
    match metadata {
        ColumnarValue::Array(_) => Ok(ColumnarValue::Array(Arc::new(held))),
        ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(held.value(0))))),
    }
}

fn word(scalar: &ScalarValue) -> Result<&str> {
    scalar.try_as_str().flatten().ok_or_else(unexpected)
}

fn unexpected() -> DataFusionError {
    DataFusionError::Internal("metadata_holds takes a column and two words".into())
}

fn has(metadata: &str, key: &str, value: &str) -> bool {
    // Most rows do not mention the key at all, and reading JSON costs more than looking.
    let Ok(quoted) = serde_json::to_string(key) else { return false };
    if !metadata.contains(&quoted) && quoted.is_ascii() {
        return false;
    }
    match serde_json::from_str::<Value>(metadata).ok().as_ref().and_then(|object| object.get(key)) {
        Some(Value::String(text)) => text == value,
        Some(other) => serde_json::to_string(other).is_ok_and(|text| text == value),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_under_its_key_only() {
        let metadata = r#"{"plan":"pro","seats":3,"nested":{"plan":"free"}}"#;
        assert!(has(metadata, "plan", "pro") && has(metadata, "seats", "3"));
        assert!(!has(metadata, "plan", "free") && !has(metadata, "pro", "plan") && !has("broken", "plan", "pro"));
    }
}
