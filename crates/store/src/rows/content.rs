//! Content stored once: what stands in `input` or `output` stands in `attributes` as a reference.
//!
//! Senders carry content in attributes, and normalising copies it into the columns `input` and `output`: stored as it
//! comes, every prompt would lie in a file twice. So a long value of `attributes` that can be put back, byte for byte, from
//! those two columns gives way to where it lies there:
//!
//! ```text
//!   input       [{"role":"system","parts":[…]},{"role":"user",…}]
//!   attributes  ␠{"gen_ai.input.messages":{"$text":[["input",0,1],["input",31,null]]},"server.port":443}
//! ```
//!
//! `$text` is the JSON string of the slices put together, `$json` the slices as they are. A slice is a column, a first byte,
//! and a length (null: to the end). Still JSON, so that any reader of a file can see what is meant; the space in front,
//! which canonical JSON never has, says that there are references.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr2, memmem};
use serde::{Deserialize, Serialize};

use super::escape::{spells, unescaped, write_escaped};

/// Shorter values cost about as much as a reference to them.
const VALUE_BYTES_MIN: usize = 64;
/// So much of a value is searched for; the rest is compared where that is found.
const PROBE_BYTES: usize = 32;
/// Places tried for a value, so that hostile content costs little more than honest.
const PLACES_MAX: usize = 8;
/// In front of attributes with references.
const MARK: char = ' ';
/// What a reference begins with. Both are as long.
const TEXT: &str = "{\"$text\":";
const JSON: &str = "{\"$json\":";

/// A reference that points nowhere: the columns are not of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the attributes refer to content that is not there")]
pub(super) struct Dangling;

/// The two columns of a row that its attributes may refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content<'a> {
    pub(super) input: Option<&'a str>,
    pub(super) output: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Column {
    Input,
    Output,
}

/// Column, first byte, length; without a length to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Slice(Column, usize, Option<usize>);

/// Canonical attributes with references for what stands in the content.
pub(super) fn refer<'a>(attributes: &'a str, content: Content<'_>) -> Cow<'a, str> {
    if attributes.len() < VALUE_BYTES_MIN
        || content.is_empty()
        || attributes.contains(TEXT)
        || attributes.contains(JSON)
    {
        return Cow::Borrowed(attributes);
    }
    let mut out = String::new();
    let mut kept = 0;
    for value in values(attributes).filter(|value| value.len() >= VALUE_BYTES_MIN) {
        let (token, slices) = match content.text(&attributes[value.clone()]) {
            Some(slices) => (TEXT, slices),
            None => match content.json(&attributes[value.clone()]) {
                Some(slice) => (JSON, vec![slice]),
                None => continue,
            },
        };
        if out.is_empty() {
            out.push(MARK);
        }
        out.push_str(&attributes[kept..value.start]);
        out.push_str(token);
        out.push_str(&serde_json::to_string(&slices).expect("names and numbers make JSON"));
        out.push('}');
        kept = value.end;
    }
    if kept == 0 {
        return Cow::Borrowed(attributes);
    }
    out.push_str(&attributes[kept..]);
    Cow::Owned(out)
}

/// Whether [`resolve`] has anything to do.
pub(super) fn has_references(stored: &str) -> bool {
    stored.starts_with(MARK)
}

/// The attributes as they were given to [`refer`].
pub(super) fn resolve<'a>(stored: &'a str, content: Content<'_>) -> Result<Cow<'a, str>, Dangling> {
    let Some(mut rest) = stored.strip_prefix(MARK) else { return Ok(Cow::Borrowed(stored)) };
    let mut out = String::with_capacity(stored.len() + content.bytes() + content.bytes() / 8);
    while let Some((at, is_text)) = reference(rest) {
        out.push_str(&rest[..at]);
        let mut slices = serde_json::Deserializer::from_str(&rest[at + TEXT.len()..]).into_iter::<Vec<Slice>>();
        let found = slices.next().and_then(Result::ok).ok_or(Dangling)?;
        let after = at + TEXT.len() + slices.byte_offset();
        rest = rest[after..].strip_prefix('}').ok_or(Dangling)?;
        let mut pieces = found.into_iter().map(|slice| content.slice(slice).ok_or(Dangling));
        if is_text {
            out.push('"');
            pieces.try_for_each(|piece| piece.map(|piece| write_escaped(&mut out, piece)))?;
            out.push('"');
        } else {
            pieces.try_for_each(|piece| piece.map(|piece| out.push_str(piece)))?;
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// Where the first reference begins, and whether it is one to text. In a string the quotes would have backslashes before
/// them, and [`refer`] leaves attributes alone that hold such members themselves.
fn reference(stored: &str) -> Option<(usize, bool)> {
    let starts = memmem::find_iter(stored.as_bytes(), "{\"$");
    starts.map(|at| (at, &stored[at..])).find_map(|(at, found)| match found {
        found if found.starts_with(TEXT) => Some((at, true)),
        found if found.starts_with(JSON) => Some((at, false)),
        _ => None,
    })
}

impl<'a> Content<'a> {
    fn is_empty(self) -> bool {
        self.bytes() < VALUE_BYTES_MIN / 2
    }

    fn bytes(self) -> usize {
        self.input.map_or(0, str::len) + self.output.map_or(0, str::len)
    }

    fn columns(self) -> impl Iterator<Item = (Column, &'a str)> {
        let columns = [(Column::Input, self.input), (Column::Output, self.output)];
        columns.into_iter().filter_map(|(column, content)| content.map(|content| (column, content)))
    }

    fn slice(self, Slice(column, start, length): Slice) -> Option<&'a str> {
        let (_, content) = self.columns().find(|(found, _)| *found == column)?;
        match length {
            Some(length) => content.get(start..start.checked_add(length)?),
            None => content.get(start..),
        }
    }

    /// Where the text of a JSON string stands. Of a list also when only what follows its bracket does, since the system's
    /// instructions are put in front of the messages.
    fn text(self, value: &str) -> Option<Vec<Slice>> {
        let escaped = value.strip_prefix('"')?.strip_suffix('"')?;
        self.columns().find_map(|(column, content)| {
            let found = find(content, escaped).map(|slice| vec![slice.in_column(column, content)]);
            found.or_else(|| {
                let rest = find(content, escaped.strip_prefix('[').filter(|_| content.starts_with('['))?)?;
                Some(vec![Slice(column, 0, Some(1)), rest.in_column(column, content)])
            })
        })
    }

    /// Where a value stands as it is spelled.
    fn json(self, value: &str) -> Option<Slice> {
        let probe = memmem::Finder::new(&value.as_bytes()[..PROBE_BYTES.min(value.len())]);
        self.columns().find_map(|(column, content)| {
            let mut places = probe.find_iter(content.as_bytes()).take(PLACES_MAX);
            let start = places.find(|at| content.as_bytes()[*at..].starts_with(value.as_bytes()))?;
            Some(Place { start, length: value.len() }.in_column(column, content))
        })
    }
}

/// Part of a content.
struct Place {
    start: usize,
    length: usize,
}

impl Place {
    fn in_column(self, column: Column, content: &str) -> Slice {
        let is_to_end = self.start + self.length == content.len();
        Slice(column, self.start, (!is_to_end).then_some(self.length))
    }
}

/// Where `content` holds the text that `escaped` spells canonically.
fn find(content: &str, escaped: &str) -> Option<Place> {
    let probe = unescaped(escaped.as_bytes(), PROBE_BYTES);
    let mut places = memmem::find_iter(content.as_bytes(), &probe).take(PLACES_MAX);
    let place = |start: usize| {
        let length = spells(escaped.as_bytes(), &content.as_bytes()[start..])?;
        Some(Place { start, length })
    };
    places.find_map(place)
}

/// The places of the values of a JSON object's members, strings with their quotes. Ends at what is no JSON.
fn values(object: &str) -> impl Iterator<Item = Range<usize>> {
    let (object, mut at) = (object.as_bytes(), 0);
    std::iter::from_fn(move || {
        // Past the brace or the comma, the key and the colon.
        let start = string_end(object, at + 1)? + 1;
        at = value_end(object, start)?;
        Some(start..at)
    })
}

/// Behind the closing quote of the string that opens at `at`.
fn string_end(json: &[u8], at: usize) -> Option<usize> {
    let mut at = (json.get(at) == Some(&b'"')).then_some(at + 1)?;
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Behind the value that begins at `at`.
fn value_end(json: &[u8], at: usize) -> Option<usize> {
    let (mut at, mut depth) = (at, 0_usize);
    loop {
        match json.get(at)? {
            b'"' => at = string_end(json, at)?,
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' if depth > 0 => (at, depth) = (at + 1, depth - 1),
            b'}' | b',' if depth == 0 => return None,
            _ => at += 1,
        }
        if depth == 0 && matches!(json.get(at), Some(b'}' | b',') | None) {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests;
