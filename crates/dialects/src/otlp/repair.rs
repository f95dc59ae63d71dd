//! Text that strict JSON forbids and senders write all the same.

use std::borrow::Cow;

use crate::json::lone_surrogates;

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
