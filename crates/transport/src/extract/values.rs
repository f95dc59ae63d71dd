//! A serde deserializer over `name=value` pairs that keeps which parameter is at fault.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::config::nearest;

/// Which parameters are refused, and why.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) problems: Vec<(String, String)>,
}

impl Error {
    fn at(mut self, name: &str) -> Self {
        self.problems.iter_mut().filter(|(at, _)| at.is_empty()).for_each(|(at, _)| name.clone_into(at));
        self
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { problems: vec![(String::new(), message.to_string())] }
    }
    fn missing_field(field: &'static str) -> Self {
        Self { problems: vec![(field.to_owned(), "is required".to_owned())] }
    }
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("'{variant}' is not one of {}", expected.join(", ")))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.iter().try_for_each(|(name, why)| write!(f, "{name}: {why} "))
    }
}

impl std::error::Error for Error {}

/// All pairs, by name.
pub(super) struct Pairs(BTreeMap<String, Vec<String>>);

impl Pairs {
    pub(super) fn new(pairs: impl Iterator<Item = (String, String)>) -> Self {
        let mut values: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, value) in pairs {
            values.entry(name).or_default().push(value);
        }
        Self(values)
    }
}

impl<'de> de::Deserializer<'de> for Pairs {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Entries { rest: self.0.into_iter(), current: None, problems: Vec::new() })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let unknown: Vec<_> = self.0.keys().filter(|name| !fields.contains(&name.as_str())).cloned().collect();
        let problems = unknown.into_iter().map(|name| {
            self.0.remove(&name);
            let why = unknown_parameter(&name, fields);
            (name, why)
        });
        let problems = problems.collect();
        visitor.visit_map(Entries { rest: self.0.into_iter(), current: None, problems })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier
    }
}

fn unknown_parameter(name: &str, fields: &[&str]) -> String {
    match nearest(name, fields.iter().copied()) {
        Some(near) => format!("unknown parameter, perhaps '{near}' is meant"),
        None if fields.is_empty() => "unknown parameter, none is taken here".to_owned(),
        None => format!("unknown parameter, known are {}", fields.join(", ")),
    }
}

/// Walks the parameters. A refused one does not stop the walk: all are reported at its end.
struct Entries {
    rest: std::collections::btree_map::IntoIter<String, Vec<String>>,
    current: Option<(String, Vec<String>)>,
    problems: Vec<(String, String)>,
}

impl<'de> de::MapAccess<'de> for Entries {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((name, values)) = self.rest.next() else {
            let problems = std::mem::take(&mut self.problems);
            return if problems.is_empty() { Ok(None) } else { Err(Error { problems }) };
        };
        let key = seed.deserialize(name.clone().into_deserializer());
        self.current = Some((name, values));
        key.map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (name, values) = self.current.take().unwrap_or_default();
        seed.deserialize(Values(values)).map_err(|error| {
            let mut error = error.at(&name);
            error.problems.append(&mut self.problems);
            error
        })
    }
}

/// The values of one parameter, at least one.
struct Values(Vec<String>);

impl Values {
    fn one(mut self) -> Result<String, Error> {
        match self.0.len() {
            1 => Ok(self.0.remove(0)),
            count => Err(de::Error::custom(format_args!("given {count} times, takes one value"))),
        }
    }
    fn parse<T: FromStr>(self, expected: &str) -> Result<T, Error> {
        let value = self.one()?;
        value.parse().map_err(|_| de::Error::custom(format_args!("'{value}' is not {expected}")))
    }
}

macro_rules! parsed {
    ($($method:ident, $visit:ident, $expected:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.parse($expected)?)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Values {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.one()?)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Repeated(self.0.into_iter()))
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.one()?.into_deserializer())
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    parsed! {
        deserialize_bool, visit_bool, "true or false";
        deserialize_i8, visit_i8, "an integer (i8)";
        deserialize_i16, visit_i16, "an integer (i16)";
        deserialize_i32, visit_i32, "an integer (i32)";
        deserialize_i64, visit_i64, "an integer (i64)";
        deserialize_u8, visit_u8, "a whole number (u8)";
        deserialize_u16, visit_u16, "a whole number (u16)";
        deserialize_u32, visit_u32, "a whole number (u32)";
        deserialize_u64, visit_u64, "a whole number (u64)";
        deserialize_f32, visit_f32, "a number";
        deserialize_f64, visit_f64, "a number";
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
    }
}

struct Repeated(std::vec::IntoIter<String>);

impl<'de> de::SeqAccess<'de> for Repeated {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|value| seed.deserialize(Values(vec![value]))).transpose()
    }
}
