//! One attribute value, read as what a field needs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::canonical;
use crate::python;
use crate::sent::{Attribute, Value};

pub(super) use crate::json::unquote;

/// Names and ids are cut here; the attribute itself stays whole.
const TEXT_BYTES_MAX: usize = 1_024;

/// An object in JSON, its values unread.
pub(super) type Map = BTreeMap<String, Box<RawValue>>;

/// The text of a string.
pub(super) fn str<'s>(value: &'s Value<'_>) -> Option<&'s str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Without NUL, which no store likes.
pub(super) fn clean(text: &str) -> String {
    if text.as_bytes().contains(&0) { text.replace('\0', "\u{FFFD}") } else { text.to_owned() }
}

/// A name or an id: trimmed, unquoted when it is a JSON string, bounded. `None` when it says nothing, or was scrubbed.
pub(super) fn text(value: &Value<'_>) -> Option<String> {
    short(value).map(Cow::into_owned)
}

/// As [`text`], for whoever only looks at it.
pub(super) fn short<'s>(value: &'s Value<'_>) -> Option<Cow<'s, str>> {
    let text = match value {
        Value::Text(text) => {
            let text = text.trim();
            match unquote(text) {
                Some(inner) => Cow::Owned(clean(inner.trim())),
                None if text.as_bytes().contains(&0) => Cow::Owned(clean(text)),
                None => Cow::Borrowed(text),
            }
        }
        _ => Cow::Owned(whole(value)?),
    };
    let says_nothing = matches!(&*text, "" | "null" | "[]" | "{}" | "None") || text.starts_with("[Scrubbed due to");
    (!says_nothing).then(|| shorten(text))
}

fn shorten(text: Cow<'_, str>) -> Cow<'_, str> {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

/// The value of this key, unless it says nothing; of a key that comes twice, the last.
pub(super) fn of_key<'s, 'a>(attributes: &'s [Attribute<'a>], key: &str) -> Option<&'s Value<'a>> {
    let attribute = attributes.iter().rev().find(|attribute| attribute.key == key)?;
    Some(&attribute.value).filter(|value| !value.is_empty())
}

/// The whole value: a string as it is, anything else as canonical JSON.
pub(super) fn whole(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Empty => None,
        Value::Text(text) => Some(clean(text)),
        _ => Some(canonical::value(value)),
    }
}

/// A count: an integer, a double or their text; negative or not a number is absent.
pub(super) fn count(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(count) => (*count >= 0).then_some(*count),
        _ => number(value).and_then(whole_number),
    }
}

/// The nearest count to a number; `None` when it is negative, not finite, or beyond what counts go to.
pub(super) fn whole_number(number: f64) -> Option<i64> {
    (number >= 0.0 && number < i64::MAX as f64).then(|| number.round() as i64)
}

/// A finite number.
pub(super) fn number(value: &Value<'_>) -> Option<f64> {
    let number = match value {
        Value::Int(number) => *number as f64,
        Value::Double(number) => *number,
        Value::Text(text) => unquote(text).as_deref().unwrap_or(text).trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// Yes or no, also as text.
pub(super) fn bool(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Text(text) => match text.trim().trim_matches('"') {
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Whether it says yes.
pub(super) fn is_true(value: &Value<'_>) -> bool {
    bool(value) == Some(true)
}

/// What the text says in JSON, else as a Python literal.
pub(super) fn literal<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&python::to_json(text)?).ok())
}

/// A JSON object: of a string, parsed at most three times; of a map, its own.
pub(super) fn map(value: &Value<'_>) -> Option<Map> {
    match value {
        Value::Text(text) => parse_map(text),
        Value::Map(_) => parse_map(&whole(value)?),
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

    fn string(text: &str) -> Value<'_> {
        Value::Text(text.into())
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
            (Value::Int(5), Some(5)),
            (Value::Int(-5), None),
            (Value::Double(5.0), Some(5)),
            (Value::Double(f64::NAN), None),
            (Value::Double(1e300), None),
            (Value::Text("7".into()), Some(7)),
            (Value::Text("seven".into()), None),
            (Value::Bool(true), None),
        ] {
            assert_eq!(count(&value), expected, "{value:?}");
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
