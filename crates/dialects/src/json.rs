//! JSON as text: written, without white space, and with what a strict reader refuses taken out.

use std::fmt::Write as _;

/// A JSON string. NUL, which no store likes, becomes U+FFFD.
pub(crate) fn write_string(out: &mut String, text: &str) {
    out.reserve(text.len() + text.len() / 8 + 2);
    out.push('"');
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_run(rest.as_bytes()));
        out.push_str(plain);
        let Some(byte) = special.bytes().next() else { break };
        write_escape(out, byte);
        rest = &special[1..];
    }
    out.push('"');
}

/// A byte that stands for something else in JSON strings.
#[inline(always)] // Texts within JSON have one every few words.
fn write_escape(out: &mut String, byte: u8) {
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        0x08 => out.push_str("\\b"),
        0x0C => out.push_str("\\f"),
        0x00 => out.push('\u{FFFD}'),
        // Writing to a String cannot fail.
        _ => write!(out, "\\u{byte:04x}").unwrap_or_default(),
    }
}

/// How many bytes stand for themselves before the first that must be escaped; eight at a time, as escapes are frequent in JSON
/// within JSON and a longer stride would be left as often.
fn plain_run(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (position, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return position * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0x00..=0x1F);
    rest.iter().position(is_special).map_or(bytes.len(), |more| words.len() * 8 + more)
}

/// The highest bit of each byte that must be escaped: of the lowest such byte surely, and of none below it.
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST: u64 = ONES << 7;
    // Bytes below a bound borrow from their highest bit; so does zero, which is what a byte less itself is.
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) & HIGHEST
}

/// Readers give up below this.
const DEPTH_MAX: usize = 100;

/// JSON without the white space between its tokens, and without what strict readers refuse, so that one value spoils no object
/// that it becomes part of: it is [repaired], and becomes a string as a whole when it is nested too deeply.
/// What is not JSON becomes other text, never a panic.
pub(crate) fn compact(json: &str) -> String {
    let mut out = String::new();
    write_compact(&mut out, json);
    out
}

/// As [`compact`], behind what is there.
pub(crate) fn write_compact(out: &mut String, json: &str) {
    let start = out.len();
    if tidy(out, json, Space::Dropped) > DEPTH_MAX {
        out.truncate(start);
        write_string(out, json);
    }
}

/// JSON without what strict readers refuse inside of values: escapes of NUL and of half a surrogate pair become U+FFFD, control
/// characters become escapes, a number beyond what a double holds becomes a string.
pub(crate) fn repaired(json: &str) -> String {
    let mut out = String::new();
    tidy(&mut out, json, Space::Kept);
    out
}

/// What happens to the white space between tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    Kept,
    Dropped,
}

/// Writes the text tidied; answers how deep it is nested.
fn tidy(out: &mut String, json: &str, space: Space) -> usize {
    let bytes = json.as_bytes();
    out.reserve(json.len());
    let (mut kept, mut at, mut in_string) = (0, 0, false);
    let (mut depth, mut deepest) = (0_usize, 0);
    // Every cut is at an ASCII byte, so between characters.
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if in_string => match escape(bytes, at) {
                Escape::Half | Escape::Nul => {
                    out.push_str(&json[kept..at]);
                    out.push_str("\\ufffd");
                    at += UNIT;
                    kept = at;
                }
                whole => at += whole.length(),
            },
            b'"' => {
                in_string = !in_string;
                at += 1;
            }
            b' ' | b'\n' | b'\r' | b'\t' if !in_string && space == Space::Dropped => {
                out.push_str(&json[kept..at]);
                at += 1;
                kept = at;
            }
            0x00..=0x1F if in_string => {
                out.push_str(&json[kept..at]);
                write_escape(out, *byte);
                at += 1;
                kept = at;
            }
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
                at += 1;
            }
            b']' | b'}' if !in_string => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b'-' | b'0'..=b'9' if !in_string => {
                let end = at + number_bytes(&bytes[at..]);
                if is_beyond_double(&json[at..end]) {
                    out.push_str(&json[kept..at]);
                    write_string(out, &json[at..end]);
                    kept = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    out.push_str(&json[kept..]);
    deepest
}

fn number_bytes(bytes: &[u8]) -> usize {
    let is_of_number = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
    bytes.iter().position(|byte| !is_of_number(byte)).unwrap_or(bytes.len())
}

/// Without an exponent that takes some three hundred digits.
fn is_beyond_double(number: &str) -> bool {
    let may_be = number.len() > 300 || number.bytes().any(|byte| matches!(byte, b'e' | b'E'));
    may_be && number.parse().is_ok_and(f64::is_infinite)
}

/// What a JSON string says; `None` when it is none.
pub(crate) fn unquote(text: &str) -> Option<String> {
    if text.len() < 2 || !text.starts_with('"') || !text.ends_with('"') {
        return None;
    }
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&lone_surrogates(text)?).ok())
}

/// The text with U+FFFD for each escape of half a surrogate pair, which a strict reader refuses. `None` when there is none.
pub(crate) fn lone_surrogates(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut repaired: Option<String> = None;
    let (mut kept, mut at) = (0, 0);
    while let Some(offset) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += offset;
        match escape(bytes, at) {
            Escape::Half => {
                let out = repaired.get_or_insert_with(|| String::with_capacity(text.len()));
                out.push_str(&text[kept..at]);
                out.push_str("\\ufffd");
                at += UNIT;
                kept = at;
            }
            whole => at = (at + whole.length()).min(bytes.len()),
        }
    }
    repaired.map(|mut out| {
        out.push_str(&text[kept..]);
        out
    })
}

/// How long a `\u` and its four digits are.
const UNIT: usize = 6;

/// What a backslash in a string begins.
enum Escape {
    /// A surrogate pair, in two escapes.
    Pair,
    /// Half of one.
    Half,
    /// The code unit 0.
    Nul,
    /// Anything else. What is escaped is one ASCII byte or the rest of a `\u`, neither of which begins an escape.
    Other,
}

impl Escape {
    fn length(&self) -> usize {
        match self {
            Self::Pair => 2 * UNIT,
            Self::Half | Self::Nul => UNIT,
            Self::Other => 2,
        }
    }
}

fn escape(bytes: &[u8], at: usize) -> Escape {
    match code_unit(bytes, at) {
        Some(0xD800..=0xDBFF) if matches!(code_unit(bytes, at + UNIT), Some(0xDC00..=0xDFFF)) => Escape::Pair,
        Some(0xD800..=0xDFFF) => Escape::Half,
        Some(0) => Escape::Nul,
        _ => Escape::Other,
    }
}

/// The UTF-16 code unit that is escaped at this place, if one is.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at.checked_add(UNIT)?)?;
    let digits = escape.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0_u16, |unit, digit| Some(unit << 4 | (*digit as char).to_digit(16)? as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_escaped_as_json_asks_wherever_it_stands() {
        for byte in 1..=0x7F_u8 {
            for before in 0..20 {
                let text = format!("{}{}é{}", "x".repeat(before), char::from(byte), "y".repeat(9));
                let mut out = String::new();
                write_string(&mut out, &text);
                assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text, "{byte}");
                assert_eq!(out, serde_json::to_string(&text).unwrap());
            }
        }
    }

    #[test]
    fn only_the_space_between_tokens_goes() {
        assert_eq!(compact("{ \"a b\" :\n[1, \"\\\" x\"] }"), r#"{"a b":[1,"\" x"]}"#);
        assert_eq!(compact(r#"["é\\", "\é", "\ud83d\ude00"]"#), r#"["é\\","\é","\ud83d\ude00"]"#);
    }

    #[test]
    fn what_no_reader_takes_is_replaced() {
        assert_eq!(compact(r#"["\u0000", "\ud83d", "\\ud83d"]"#), r#"["\ufffd","\ufffd","\\ud83d"]"#);
        assert_eq!(unquote(r#""\ud83d!""#).as_deref(), Some("\u{FFFD}!"));
        assert_eq!(compact("\"\\"), "\"\\");
        assert_eq!(
            compact("[1e5, 0.5e999, -1, 12345678901234567890123]"),
            r#"[1e5,"0.5e999",-1,12345678901234567890123]"#
        );
        let long = "9".repeat(400);
        assert_eq!(compact(&long), format!("\"{long}\""));
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert_eq!(compact(&deep), format!("\"{deep}\""));
        assert_eq!(compact("[\"a\nb\u{0}\"]"), "[\"a\\nb\u{FFFD}\"]");
        assert_eq!(repaired("{ \"a\" : [1e999, \"\t\"] }"), "{ \"a\" : [\"1e999\", \"\\t\"] }");
    }
}
