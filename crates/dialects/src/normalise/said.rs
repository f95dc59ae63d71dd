//! Names of which several carriers say something, as one canonical JSON object.

use std::borrow::Cow;

use super::canonical;
use crate::sent::Value;

/// What one carrier says of one name.
pub(super) struct Entry<'s> {
    pub(super) name: Cow<'s, str>,
    /// The lower, the sooner the carrier is believed.
    pub(super) rank: usize,
    pub(super) said: Said<'s>,
}

pub(super) enum Said<'s> {
    /// A value as sent.
    Value(&'s Value<'s>),
    /// JSON.
    Json(&'s str),
}

/// Of each name what its first carrier says that `counts`, in JSON; of a carrier that repeats a name, what it says last.
pub(super) fn object(mut entries: Vec<Entry<'_>>, counts: impl Fn(&str) -> bool) -> String {
    // Stable: of a name that a carrier repeats the last is the last one here.
    entries.sort_by(|a, b| a.name.cmp(&b.name).then(a.rank.cmp(&b.rank)));
    let mut out = String::with_capacity(2 + 32 * entries.len());
    out.push('{');
    for of_name in entries.chunk_by(|a, b| a.name == b.name) {
        for of_carrier in of_name.chunk_by(|a, b| a.rank == b.rank) {
            let before = out.len();
            if before > 1 {
                out.push(',');
            }
            let Some(entry) = of_carrier.last() else { continue };
            canonical::write_string(&mut out, &entry.name);
            out.push(':');
            let start = out.len();
            entry.said.write(&mut out);
            if counts(&out[start..]) {
                break;
            }
            out.truncate(before);
        }
    }
    out.push('}');
    out
}

impl Said<'_> {
    fn write(&self, out: &mut String) {
        match self {
            Self::Value(value) => canonical::write_value(out, value),
            Self::Json(json) => canonical::write_compact(out, json),
        }
    }
}
