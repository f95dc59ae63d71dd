//! Text that strict JSON forbids and senders write all the same.

use std::borrow::Cow;

/// Replaces, by U+FFFD, what a strict reader refuses inside strings: escapes of half a surrogate pair, and bytes that are
/// not UTF-8. Answers `None` when there is nothing of that kind, so the text is broken for another reason.
pub(super) fn repair(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    match (lone_surrogates(&text), &text) {
        (Some(repaired), _) => Some(repaired),
        (None, Cow::Owned(_)) => Some(text.into_owned()),
        (None, Cow::Borrowed(_)) => None,
    }
}

fn lone_surrogates(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut repaired: Option<String> = None;
    let (mut kept, mut at) = (0, 0);
    while let Some(offset) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += offset;
        match escaped(bytes, at) {
            Some(0xD800..=0xDBFF) if matches!(escaped(bytes, at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(0xD800..=0xDFFF) => {
                let out = repaired.get_or_insert_with(|| String::with_capacity(text.len()));
                out.push_str(&text[kept..at]);
                out.push_str("\\ufffd");
                at += 6;
                kept = at;
            }
            // Whatever is escaped is one ASCII byte or the rest of a `\u`, neither of which begins an escape.
            _ => at = (at + 2).min(bytes.len()),
        }
    }
    repaired.map(|mut out| {
        out.push_str(&text[kept..]);
        out
    })
}

/// The code unit of the `\uXXXX` at `at`.
fn escaped(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at.checked_add(6)?)?;
    let digits = escape.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0_u16, |unit, digit| Some(unit << 4 | (*digit as char).to_digit(16)? as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_replaced_and_a_whole_one_stays() {
        assert_eq!(repair(br#""\ud83d""#).unwrap(), r#""\ufffd""#);
        assert_eq!(repair(br#""\ud83dx\udc00""#).unwrap(), r#""\ufffdx\ufffd""#);
        assert_eq!(repair(br#""\ud83d\ude00""#), None);
    }

    #[test]
    fn an_escaped_backslash_hides_what_follows() {
        assert_eq!(repair(br#""\\ud83d""#), None);
        assert_eq!(repair(br#""\\\ud83d""#).unwrap(), r#""\\\ufffd""#);
    }

    #[test]
    fn what_is_not_utf8_is_replaced_and_a_cut_escape_is_harmless() {
        assert_eq!(repair(b"\"\xff\"").unwrap(), "\"\u{fffd}\"");
        assert_eq!(repair(br"\"), None);
        assert_eq!(repair("\\é".as_bytes()), None);
        assert_eq!(repair(br"\ud8"), None);
    }
}
