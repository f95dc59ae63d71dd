//! Building blocks for reading JSON that is nearly right: whatever has the wrong shape becomes a default, never an error.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

const PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDING);

/// One JSON value that is not a list or an object; those are read over.
pub(super) enum Scalar<'de> {
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    Text(Cow<'de, str>),
}

impl Scalar<'_> {
    pub(super) fn text(self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Unsigned(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(value) => value.into_owned(),
        }
    }

    pub(super) fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            Self::Int(value) => u64::try_from(*value).ok(),
            // Some encoders write 1.7e18.
            Self::Float(value) if *value >= 0.0 && *value < u64::MAX as f64 => Some(*value as u64),
            Self::Text(value) => value.trim().parse().ok(),
            Self::Null | Self::Bool(_) | Self::Float(_) => None,
        }
    }

    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Unsigned(value) => i64::try_from(*value).ok(),
            Self::Float(value) if value.fract() == 0.0 && value.abs() < i64::MAX as f64 => Some(*value as i64),
            Self::Text(value) => value.trim().parse().ok(),
            Self::Null | Self::Bool(_) | Self::Float(_) => None,
        }
    }

    /// Rust reads `NaN`, `Infinity` and `-Infinity` as the JSON mapping of protobuf writes them.
    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Unsigned(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Text(value) => value.trim().parse().ok(),
            Self::Null | Self::Bool(_) => None,
        }
    }

    pub(super) fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(value) => value.trim().to_ascii_lowercase().parse().ok(),
            _ => None,
        }
    }

    /// A number, or a name of the enum: `name` gives the number of one.
    pub(super) fn enumeration(&self, name: impl Fn(&str) -> Option<i32>) -> i32 {
        let by_name = match self {
            Self::Text(value) => name(&value.trim().to_ascii_uppercase()),
            _ => None,
        };
        by_name.or_else(|| self.int().and_then(|value| i32::try_from(value).ok())).unwrap_or(0)
    }

    pub(super) fn base64(&self) -> Option<Vec<u8>> {
        let Self::Text(value) = self else { return None };
        STANDARD.decode(value.as_bytes()).or_else(|_| URL_SAFE.decode(value.as_bytes())).ok()
    }

    /// An id of `length` bytes: hex in any case, or base64 from senders who use the plain JSON mapping of protobuf.
    /// Anything else has no bytes, which [`crate::normalise`] refuses.
    pub(super) fn id(&self, length: usize) -> Vec<u8> {
        let Self::Text(value) = self else { return Vec::new() };
        if value.len() == 2 * length {
            return hex::decode(value.as_bytes()).unwrap_or_default();
        }
        self.base64().filter(|bytes| bytes.len() == length).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Int(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Scalar::Unsigned(value), Scalar::Int))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Float(value))
    }
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }
    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }
    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(value)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Null)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Null)
    }
}

/// A message read from a JSON object, key by key.
pub(super) trait Fields: Default {
    /// Takes the value of `key` from `map`, or reads over it. Keys in snake case are meant too. It lies `depth` lists and maps
    /// deep in the value of an attribute.
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A, depth: usize) -> Result<(), A::Error>;

    /// What a value that is no object means.
    fn scalar(_value: Scalar<'_>) -> Self {
        Self::default()
    }
}

/// Reads a `T` from whatever stands there, `depth` lists and maps deep in the value of an attribute.
pub(super) struct Object<T> {
    depth: usize,
    of: PhantomData<T>,
}

impl<T> Object<T> {
    pub(super) const fn at(depth: usize) -> Self {
        Self { depth, of: PhantomData }
    }
}

impl<'de, T: Fields> DeserializeSeed<'de> for Object<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Fields> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut value = T::default();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            value.field(&key.0, &mut map, self.depth)?;
        }
        Ok(value)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
        ScalarVisitor.visit_seq(seq).map(T::scalar)
    }
    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::scalar(Scalar::Null))
    }
    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::scalar(Scalar::Bool(value)))
    }
    fn visit_i64<E>(self, value: i64) -> Result<T, E> {
        Ok(T::scalar(Scalar::Int(value)))
    }
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<T, E> {
        ScalarVisitor.visit_u64(value).map(T::scalar)
    }
    fn visit_f64<E>(self, value: f64) -> Result<T, E> {
        Ok(T::scalar(Scalar::Float(value)))
    }
    fn visit_str<E>(self, value: &str) -> Result<T, E> {
        Ok(T::scalar(Scalar::Text(Cow::Borrowed(value))))
    }
}

struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match deserializer.deserialize_str(ScalarVisitor)? {
            Scalar::Text(text) => Key(text),
            other => Key(Cow::Owned(other.text())),
        })
    }
}

/// Reads a list of `T`, or null for an empty one; anything else is an error. For what telemetry hangs on: read leniently,
/// a request of the wrong shape would be answered "kept" and hold nothing.
pub(super) struct StrictList<T>(List<T>);

impl<T> StrictList<T> {
    pub(super) const fn at(depth: usize) -> Self {
        Self(List::at(depth))
    }
}

impl<'de, T: Fields> DeserializeSeed<'de> for StrictList<T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Fields> Visitor<'de> for StrictList<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<T>, A::Error> {
        self.0.visit_seq(seq)
    }
    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
}

/// Reads a list of `T`; anything but a list is an empty one.
pub(super) struct List<T> {
    depth: usize,
    of: PhantomData<T>,
}

impl<T> List<T> {
    pub(super) const fn at(depth: usize) -> Self {
        Self { depth, of: PhantomData }
    }
}

impl<'de, T: Fields> DeserializeSeed<'de> for List<T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Fields> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(Object::at(self.depth))? {
            values.push(value);
        }
        Ok(values)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        ScalarVisitor.visit_map(map).map(|_| Vec::new())
    }
    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
    fn visit_bool<E>(self, _: bool) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
    fn visit_i64<E>(self, _: i64) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
    fn visit_u64<E>(self, _: u64) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
    fn visit_f64<E>(self, _: f64) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
    fn visit_str<E>(self, _: &str) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
}
