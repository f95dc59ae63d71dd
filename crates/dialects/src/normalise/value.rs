//! One attribute value, read as what a field needs.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::canonical;
use crate::python;

pub(super) use crate::json::unquote;

/// Names and ids are cut here; the attribute itself stays whole.
const TEXT_BYTES_MAX: usize = 1_024;

/// An object in JSON, its values unread.
pub(super) type Map = BTreeMap<String, Box<RawValue>>;

/// Whether the value says nothing.
pub(super) fn is_empty(value: &AnyValue) -> bool {
    match &value.value {
        None | Some(Value::StringValueStrindex(_)) => true,
        Some(Value::StringValue(text)) => text.is_empty(),
        Some(Value::ArrayValue(array)) => array.values.is_empty(),
        Some(Value::KvlistValue(list)) => list.values.is_empty(),
        Some(Value::BytesValue(bytes)) => bytes.is_empty(),
        Some(Value::BoolValue(_) | Value::IntValue(_) | Value::DoubleValue(_)) => false,
    }
}

/// The text of a string.
pub(super) fn str(value: &AnyValue) -> Option<&str> {
    match &value.value {
        Some(Value::StringValue(text)) => Some(text),
        _ => None,
    }
}

/// Without NUL, which no store likes.
pub(super) fn clean(text: &str) -> String {
    if text.as_bytes().contains(&0) { text.replace('\0', "\u{FFFD}") } else { text.to_owned() }
}

/// A name or an id: trimmed, unquoted when it is a JSON string, bounded. `None` when it says nothing, or was scrubbed.
pub(super) fn text(value: &AnyValue) -> Option<String> {
    let text = match &value.value {
        Some(Value::StringValue(text)) => {
            let text = text.trim();
            match unquote(text) {
                Some(inner) => clean(inner.trim()),
                None => clean(text),
            }
        }
        _ => whole(value)?,
    };
    let says_nothing =
        matches!(text.as_str(), "" | "null" | "[]" | "{}" | "None") || text.starts_with("[Scrubbed due to");
    (!says_nothing).then(|| shorten(text))
}

fn shorten(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

/// The value of this key, unless it says nothing; of a key that comes twice, the last.
pub(super) fn of_key<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a AnyValue> {
    let attribute = attributes.iter().rev().find(|attribute| attribute.key == key)?;
    attribute.value.as_ref().filter(|value| !is_empty(value))
}

/// The whole value: a string as it is, anything else as canonical JSON.
pub(super) fn whole(value: &AnyValue) -> Option<String> {
    match &value.value {
        None => None,
        Some(Value::StringValue(text)) => Some(clean(text)),
        Some(_) => Some(canonical::value(Some(value))),
    }
}

/// A count: an integer, a double or their text; negative or not a number is absent.
pub(super) fn count(value: &AnyValue) -> Option<i64> {
    match &value.value {
        Some(Value::IntValue(count)) => (*count >= 0).then_some(*count),
        _ => number(value).and_then(whole_number),
    }
}

/// The nearest count to a number; `None` when it is negative, not finite, or beyond what counts go to.
pub(super) fn whole_number(number: f64) -> Option<i64> {
    (number >= 0.0 && number < i64::MAX as f64).then(|| number.round() as i64)
}

/// A finite number.
pub(super) fn number(value: &AnyValue) -> Option<f64> {
    let number = match &value.value {
        Some(Value::IntValue(number)) => *number as f64,
        Some(Value::DoubleValue(number)) => *number,
        Some(Value::StringValue(text)) => unquote(text).as_deref().unwrap_or(text).trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// Yes or no, also as text.
pub(super) fn bool(value: &AnyValue) -> Option<bool> {
    match &value.value {
        Some(Value::BoolValue(value)) => Some(*value),
        Some(Value::StringValue(text)) => match text.trim().trim_matches('"') {
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Whether it says yes.
pub(super) fn is_true(value: &AnyValue) -> bool {
    bool(value) == Some(true)
}

/// What the text says in JSON, else as a Python literal.
pub(super) fn literal<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&python::to_json(text)?).ok())
}

/// A JSON object: of a string, parsed at most three times; of a map, its own.
pub(super) fn map(value: &AnyValue) -> Option<Map> {
    match &value.value {
        Some(Value::StringValue(text)) => parse_map(text),
        Some(Value::KvlistValue(_)) => parse_map(&whole(value)?),
        _ => None,
    }
}

/// As [`map`], of text. Python's spelling of a dict is read too.
pub(super) fn parse_map(text: &str) -> Option<Map> {
    let text = text.trim();
    if text.starts_with('{') {
        return literal(text);
    }
    let inner = unquote(text)?;
    let inner = unquote(inner.trim()).unwrap_or(inner);
    inner.trim().starts_with('{').then(|| serde_json::from_str(inner.trim()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> AnyValue {
        AnyValue { value: Some(Value::StringValue(text.to_owned())) }
    }

    #[test]
    fn a_name_is_unquoted_and_nothing_is_nothing() {
        assert_eq!(text(&string(r#""gpt-4o""#)).as_deref(), Some("gpt-4o"));
        assert_eq!(text(&string("\"half")).as_deref(), Some("\"half"));
        for nothing in ["", "  ", "null", "{}", "[]", r#""""#, "[Scrubbed due to 'session']"] {
            assert_eq!(text(&string(nothing)), None, "{nothing}");
        }
        assert_eq!(text(&string(&"é".repeat(2_000))).map(|text| text.len()), Some(TEXT_BYTES_MAX));
    }

    #[test]
    fn a_count_is_never_negative() {
        for (value, expected) in [
            (Value::IntValue(5), Some(5)),
            (Value::IntValue(-5), None),
            (Value::DoubleValue(5.0), Some(5)),
            (Value::DoubleValue(f64::NAN), None),
            (Value::DoubleValue(1e300), None),
            (Value::StringValue("7".to_owned()), Some(7)),
            (Value::StringValue("seven".to_owned()), None),
            (Value::BoolValue(true), None),
        ] {
            assert_eq!(count(&AnyValue { value: Some(value.clone()) }), expected, "{value:?}");
        }
    }

    #[test]
    fn an_object_is_found_in_json_in_json_and_in_python() {
        for text in [r#"{"a":1}"#, r#""{\"a\":1}""#, "{'a': 1, 'b': None, 'c': 'it\\'s', 'd': True}"] {
            let map = parse_map(text).unwrap();
            assert_eq!(map["a"].get(), "1", "{text}");
        }
        assert!(parse_map("{'a': __import__('os')}").is_none());
        assert!(parse_map("{'a").is_none());
    }
}
