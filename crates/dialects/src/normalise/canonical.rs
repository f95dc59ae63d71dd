//! Canonical JSON: keys sorted, no white space, one way to write each value. Written straight into text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::view::View;
pub(super) use crate::json::{write_compact, write_string};
use crate::sent::{Attribute, Value};

/// Deeper values are written as `null`. Decoding refuses far shallower ones; this is for values made by hand.
const DEPTH_MAX: usize = 128;

/// Attributes as an object. Of a key that comes twice, the last value counts.
pub(super) fn object(attributes: &[Attribute<'_>]) -> String {
    let mut out = with_room_for(attributes);
    write_object(&mut out, attributes, 0);
    out
}

/// As [`object`], of the attributes of a view.
pub(super) fn object_of_view(view: &View<'_>) -> String {
    let mut out = with_room_for(view.attributes());
    write_sorted(&mut out, view.sorted(), 0);
    out
}

fn with_room_for(attributes: &[Attribute<'_>]) -> String {
    let bytes = attributes.iter().map(|attribute| attribute.key.len() + 24 + size(attribute)).sum::<usize>();
    String::with_capacity(bytes + 2)
}

/// An object of values that are JSON already.
pub(super) fn object_of_json(members: &BTreeMap<String, String>) -> String {
    let mut out =
        String::with_capacity(members.iter().map(|(key, value)| key.len() + value.len() + 8).sum::<usize>() + 2);
    out.push('{');
    for (key, value) in members {
        if out.len() > 1 {
            out.push(',');
        }
        write_string(&mut out, key);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    out
}

fn size(attribute: &Attribute<'_>) -> usize {
    match &attribute.value {
        Value::Text(text) => text.len() + text.len() / 8,
        _ => 0,
    }
}

/// A value by itself, as [`write_value`] writes it.
pub(super) fn value(value: &Value<'_>) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

/// Any value: bytes in base64, a map as an object, nothing as `null`, numbers that JSON lacks as strings.
pub(super) fn write_value(out: &mut String, value: &Value<'_>) {
    write_nested(out, value, 0);
}

fn write_nested(out: &mut String, value: &Value<'_>, depth: usize) {
    match value {
        Value::Empty => out.push_str("null"),
        _ if depth > DEPTH_MAX => out.push_str("null"),
        Value::Text(text) => write_string(out, text),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{value}");
        }
        Value::Double(value) => write_double(out, *value),
        Value::Bytes(bytes) => write_string(out, &STANDARD.encode(bytes)),
        Value::Map(attributes) => write_object(out, attributes, depth + 1),
        Value::List(values) => {
            out.push('[');
            for (position, value) in values.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_nested(out, value, depth + 1);
            }
            out.push(']');
        }
    }
}

fn write_object(out: &mut String, attributes: &[Attribute<'_>], depth: usize) {
    let mut sorted: Vec<&Attribute<'_>> = attributes.iter().collect();
    // Stable, so that of equal keys the last one sent is the last one here.
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    write_sorted(out, sorted.into_iter().map(|attribute| (None, attribute)), depth);
}

/// Each attribute may come with its key as JSON, and a colon.
fn write_sorted<'s, 'a: 's>(
    out: &mut String,
    sorted: impl Iterator<Item = (Option<&'s str>, &'s Attribute<'a>)>,
    depth: usize,
) {
    out.push('{');
    let (mut is_first, mut sorted) = (true, sorted.peekable());
    while let Some((key, attribute)) = sorted.next() {
        if sorted.peek().is_some_and(|(_, next)| next.key == attribute.key) {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            out.push(',');
        }
        match key {
            Some(key) => out.push_str(key),
            None => {
                write_string(out, &attribute.key);
                out.push(':');
            }
        }
        write_nested(out, &attribute.value, depth);
    }
    out.push('}');
}

fn write_double(out: &mut String, value: f64) {
    match value {
        value if value.is_nan() => out.push_str("\"NaN\""),
        value if value.is_infinite() => out.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }),
        // The shortest text that reads back as the same number; `null` cannot happen for a finite one.
        value => out.push_str(&serde_json::to_string(&value).unwrap_or_else(|_| "null".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair<'a>(key: &'a str, value: Value<'a>) -> Attribute<'a> {
        Attribute { key: key.into(), value }
    }

    #[test]
    fn every_kind_of_value_has_one_spelling() {
        let nested = Value::Map(vec![pair("z", Value::Empty), pair("a", Value::Int(1))]);
        let attributes = [
            pair("text", Value::Text("é\"\\\n\u{1}\0".into())),
            pair("bytes", Value::Bytes(&[0xFF, 0x00])),
            pair("nan", Value::Double(f64::NAN)),
            pair("minus", Value::Double(f64::NEG_INFINITY)),
            pair("big", Value::Int(i64::MIN)),
            pair("list", Value::List(vec![Value::Double(1.0), nested])),
            pair("none", Value::Empty),
        ];
        assert_eq!(
            object(&attributes),
            concat!(
                r#"{"big":-9223372036854775808,"bytes":"/wA=","list":[1.0,{"a":1,"z":null}],"minus":"-Infinity","#,
                r#""nan":"NaN","none":null,"text":"é\"\\\n\u0001"#,
                "\u{FFFD}\"}"
            )
        );
    }

    #[test]
    fn the_last_of_a_repeated_key_wins() {
        let attributes = [pair("a", Value::Int(1)), pair("", Value::Empty), pair("a", Value::Int(2))];
        assert_eq!(object(&attributes), r#"{"":null,"a":2}"#);
    }

    #[test]
    fn bottomless_values_end() {
        let mut value = Value::Empty;
        for _ in 0..1_000 {
            value = Value::List(vec![value]);
        }
        let mut out = String::new();
        write_value(&mut out, &value);
        assert!(out.contains("[null]"));
    }
}
