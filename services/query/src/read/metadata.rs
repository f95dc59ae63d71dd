//! Looking into the metadata column, which is JSON text.

pub(crate) mod keys;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray, StringViewArray};
use arrow::datatypes::DataType;
use serde_json::Value;
use serde_json::value::RawValue;
use spanlake_engine::datafusion::error::{DataFusionError, Result};
use spanlake_engine::datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use spanlake_engine::datafusion::prelude::{Expr, col};

use super::columns::text;

/// The value under a key as text, `null` without any: a text as it is, a number, a boolean or a list as JSON. A key with dots is looked
/// for as it is, then as a path through objects, as [`keys`] names them.
pub(super) fn text_at(key: &str) -> Expr {
    static TEXT_AT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let arguments = vec![DataType::Utf8View; 2];
        let text_at =
            create_udf("metadata_text", arguments, DataType::Utf8View, Volatility::Immutable, Arc::new(evaluate));
        Arc::new(text_at)
    });
    TEXT_AT.call(vec![col("metadata"), text(key)])
}

fn evaluate(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let unexpected = || DataFusionError::Internal("metadata_text takes a column and a word".into());
    let [metadata, ColumnarValue::Scalar(key)] = arguments else { return Err(unexpected()) };
    let key = key.try_as_str().flatten().ok_or_else(unexpected)?;
    let array = metadata.to_array(1)?;
    let texts = array.as_string_view_opt().ok_or_else(unexpected)?;
    let last = key.rsplit('.').next().unwrap_or(key);
    let values: StringViewArray = texts.iter().map(|text| find(text?, key, last)).collect();
    match metadata {
        ColumnarValue::Array(_) => Ok(ColumnarValue::Array(Arc::new(values))),
        ColumnarValue::Scalar(_) => {
            Ok(ColumnarValue::Scalar(spanlake_engine::datafusion::scalar::ScalarValue::try_from_array(&values, 0)?))
        }
    }
}

/// Values as they are written, so that numbers keep every digit.
type Object<'m> = HashMap<Cow<'m, str>, &'m RawValue>;

fn find(metadata: &str, key: &str, last: &str) -> Option<String> {
    // Most rows do not mention the key at all, and reading JSON costs more than looking.
    let is_plain = last.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_plain && !metadata.contains(last) && !metadata.contains('\\') {
        return None;
    }
    written(at(metadata, key)?)
}

fn at<'m>(object: &'m str, key: &str) -> Option<&'m RawValue> {
    let object: Object<'m> = serde_json::from_str(object).ok()?;
    object
        .get(key)
        .copied()
        .or_else(|| key.match_indices('.').find_map(|(dot, _)| at(object.get(&key[..dot])?.get(), &key[dot + 1..])))
}

/// A value as text; a number with every digit that was sent.
fn written(value: &RawValue) -> Option<String> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'-' | b'0'..=b'9' => Some(text.to_owned()),
        _ => shown(&serde_json::from_str(text).ok()?),
    }
}

/// A value as text; an object is none, since its parts have keys of their own.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()),
        other => serde_json::to_string(other).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_as_it_is_and_as_a_path() {
        let metadata = r#"{"plan":"pro","seats":3,"team":{"name":"a","deep":{"x":true}},"a.b":"dotted","list":[1,2],"ä":"ö","n":null,"big":123456789012345678901234567890}"#;
        let found = |key: &str| find(metadata, key, key.rsplit('.').next().unwrap());
        for (key, value) in [
            ("plan", Some("pro")),
            ("seats", Some("3")),
            ("team.name", Some("a")),
            ("team.deep.x", Some("true")),
            ("a.b", Some("dotted")),
            ("list", Some("[1,2]")),
            ("ä", Some("ö")),
            ("big", Some("123456789012345678901234567890")),
            ("team", None),
            ("n", None),
            ("nothing", None),
            ("plan.x", None),
        ] {
            assert_eq!(found(key).as_deref(), value, "{key}");
        }
        assert_eq!(find(r#"{"pl\u0061n":"pro"}"#, "plan", "plan").as_deref(), Some("pro"));
        assert_eq!(find("broken plan", "plan", "plan"), None);
    }
}
