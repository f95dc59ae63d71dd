//! Canonical JSON: keys sorted, no white space, one way to write each value. Written straight into text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

pub(super) use crate::json::{compact, write_string};

/// Deeper values are written as `null`. Decoding refuses far shallower ones; this is for values made by hand.
const DEPTH_MAX: usize = 128;

/// Attributes as an object. Of a key that comes twice, the last value counts.
pub(super) fn object(attributes: &[KeyValue]) -> String {
    let mut out = String::with_capacity(
        attributes.iter().map(|attribute| attribute.key.len() + 24 + size(attribute)).sum::<usize>() + 2,
    );
    write_object(&mut out, attributes, 0);
    out
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

fn size(attribute: &KeyValue) -> usize {
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.len() + text.len() / 8,
        _ => 0,
    }
}

/// A value by itself, as [`write_value`] writes it.
pub(super) fn value(value: Option<&AnyValue>) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

/// Any value: bytes in base64, a map as an object, nothing as `null`, numbers that JSON lacks as strings.
pub(super) fn write_value(out: &mut String, value: Option<&AnyValue>) {
    write_nested(out, value, 0);
}

fn write_nested(out: &mut String, value: Option<&AnyValue>, depth: usize) {
    match value.and_then(|value| value.value.as_ref()) {
        None | Some(Value::StringValueStrindex(_)) => out.push_str("null"),
        Some(_) if depth > DEPTH_MAX => out.push_str("null"),
        Some(Value::StringValue(text)) => write_string(out, text),
        Some(Value::BoolValue(value)) => out.push_str(if *value { "true" } else { "false" }),
        Some(Value::IntValue(value)) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{value}");
        }
        Some(Value::DoubleValue(value)) => write_double(out, *value),
        Some(Value::BytesValue(bytes)) => write_string(out, &STANDARD.encode(bytes)),
        Some(Value::KvlistValue(list)) => write_object(out, &list.values, depth + 1),
        Some(Value::ArrayValue(array)) => {
            out.push('[');
            for (position, value) in array.values.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_nested(out, Some(value), depth + 1);
            }
            out.push(']');
        }
    }
}

fn write_object(out: &mut String, attributes: &[KeyValue], depth: usize) {
    let mut sorted: Vec<&KeyValue> = attributes.iter().collect();
    // Stable, so that of equal keys the last one sent is the last one here.
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    out.push('{');
    let mut is_first = true;
    for (position, attribute) in sorted.iter().enumerate() {
        if sorted.get(position + 1).is_some_and(|next| next.key == attribute.key) {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            out.push(',');
        }
        write_string(out, &attribute.key);
        out.push(':');
        write_nested(out, attribute.value.as_ref(), depth);
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
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};

    fn pair(key: &str, value: Option<Value>) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value }), ..Default::default() }
    }

    #[test]
    fn every_kind_of_value_has_one_spelling() {
        let nested =
            Value::KvlistValue(KeyValueList { values: vec![pair("z", None), pair("a", Some(Value::IntValue(1)))] });
        let mixed = vec![AnyValue { value: Some(Value::DoubleValue(1.0)) }, AnyValue { value: Some(nested) }];
        let attributes = [
            pair("text", Some(Value::StringValue("é\"\\\n\u{1}\0".to_owned()))),
            pair("bytes", Some(Value::BytesValue(vec![0xFF, 0x00]))),
            pair("nan", Some(Value::DoubleValue(f64::NAN))),
            pair("minus", Some(Value::DoubleValue(f64::NEG_INFINITY))),
            pair("big", Some(Value::IntValue(i64::MIN))),
            pair("list", Some(Value::ArrayValue(ArrayValue { values: mixed }))),
            KeyValue { key: "none".to_owned(), ..Default::default() },
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
        let attributes = [pair("a", Some(Value::IntValue(1))), pair("", None), pair("a", Some(Value::IntValue(2)))];
        assert_eq!(object(&attributes), r#"{"":null,"a":2}"#);
    }

    #[test]
    fn bottomless_values_end() {
        let mut value = AnyValue::default();
        for _ in 0..1_000 {
            value = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: vec![value] })) };
        }
        let mut out = String::new();
        write_value(&mut out, Some(&value));
        assert!(out.contains("[null]"));
    }
}
