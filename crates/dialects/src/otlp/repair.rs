//! Text that strict JSON forbids and senders write all the same.

use crate::json;

/// Replaces what a strict reader refuses inside of values: by U+FFFD bytes that are not UTF-8 and escapes of half a surrogate pair,
/// by escapes control characters in strings, by strings numbers that no double holds.
pub(super) fn repair(bytes: &[u8]) -> String {
    json::repaired(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_replaced_and_a_whole_one_stays() {
        assert_eq!(repair(br#""\ud83d""#), r#""\ufffd""#);
        assert_eq!(repair(br#""\ud83dx\udc00""#), r#""\ufffdx\ufffd""#);
        assert_eq!(repair(br#""\ud83d\ude00""#), r#""\ud83d\ude00""#);
    }

    #[test]
    fn an_escaped_backslash_hides_what_follows() {
        assert_eq!(repair(br#""\\ud83d""#), r#""\\ud83d""#);
        assert_eq!(repair(br#""\\\ud83d""#), r#""\\\ufffd""#);
    }

    #[test]
    fn what_is_not_utf8_is_replaced_and_a_cut_escape_is_harmless() {
        assert_eq!(repair(b"\"\xff\""), "\"\u{fffd}\"");
        for cut in ["\"\\", "\"\\é", "\"\\ud8"] {
            assert_eq!(repair(cut.as_bytes()), cut);
        }
    }
}
