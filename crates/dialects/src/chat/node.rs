//! JSON that is read only where it is looked at: numbers keep their digits, and one bad string spoils no other.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Json;
use crate::{json, python};

/// JSON may be packed as a string into JSON this often.
const ROUNDS_MAX: usize = 3;

/// The content as JSON of an object or a list: itself, what a JSON string says, or a Python literal translated.
pub(super) fn parse(content: &str) -> Option<Cow<'_, str>> {
    let mut text = Cow::Borrowed(content.trim());
    for _ in 0..ROUNDS_MAX {
        match text.as_bytes().first()? {
            b'{' | b'[' => break,
            b'"' => text = Cow::Owned(json::unquote(&text)?.trim().to_owned()),
            _ => return None,
        }
    }
    if is_json(&text) {
        return Some(text);
    }
    // Only where Python could have written it: a look at the beginning is cheap, a translation is not.
    let begins = text[1..].trim_start_matches([' ', '[', '{', '\n']);
    if !begins.starts_with('\'') {
        return None;
    }
    python::to_json(&text).filter(|json| is_json(json)).map(Cow::Owned)
}

fn is_json(text: &str) -> bool {
    text.starts_with(['{', '[']) && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// A JSON value, unread.
#[derive(Clone, Copy)]
pub(super) struct Node<'a>(&'a str);

impl<'a> Node<'a> {
    /// Of text that is JSON.
    pub(super) fn new(json: &'a str) -> Self {
        Self(json.trim())
    }

    pub(super) fn object(self) -> Option<Object<'a>> {
        if !self.0.starts_with('{') {
            return None;
        }
        serde_json::Deserializer::from_str(self.0).deserialize_map(Members).ok().map(Object)
    }

    pub(super) fn list(self) -> Option<Vec<Node<'a>>> {
        if !self.0.starts_with('[') {
            return None;
        }
        let list: Vec<&'a RawValue> = serde_json::from_str(self.0).ok()?;
        Some(list.into_iter().map(|raw| Node::new(raw.get())).collect())
    }

    /// What a string says, NUL replaced: so it is in whatever JSON it becomes part of, and nothing else is read the second time.
    pub(super) fn text(self) -> Option<String> {
        let text = json::unquote(self.0)?;
        Some(if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text })
    }

    /// As [`Self::text`], unless it says nothing.
    pub(super) fn word(self) -> Option<String> {
        self.text().filter(|text| !text.trim().is_empty())
    }

    /// Whether it is `null` or says nothing.
    pub(super) fn is_empty(self) -> bool {
        matches!(self.0, "null" | "\"\"" | "[]" | "{}")
    }

    /// The value, compact.
    pub(super) fn json(self) -> Json {
        Json(json::compact(self.0))
    }
}

/// The members of a JSON object, in order.
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'a> Object<'a> {
    /// The member, unless it is `null`. Of a key that comes twice, the last counts.
    pub(super) fn get(&self, key: &str) -> Option<Node<'a>> {
        let (_, node) = self.0.iter().rev().find(|(name, _)| name == key)?;
        Some(*node).filter(|node| node.0 != "null")
    }

    /// The first of these members that is there.
    pub(super) fn first(&self, keys: &[&str]) -> Option<Node<'a>> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The first of these members that is text and says something.
    pub(super) fn word(&self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| self.get(key)?.word())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| &**key)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, Node<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<&RawValue>()? {
            let raw: &'de RawValue = map.next_value()?;
            let quoted = key.get();
            let plain = quoted.trim_matches('"');
            // A key without escapes stands there as it is.
            let key = match plain.contains('\\') {
                true => Cow::Owned(json::unquote(quoted).unwrap_or_default()),
                false => Cow::Borrowed(plain),
            };
            members.push((key, Node::new(raw.get())));
        }
        Ok(members)
    }
}
