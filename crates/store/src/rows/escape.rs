//! How canonical JSON spells the text of a string.

use std::fmt::Write as _;

const CHUNK_BYTES: usize = 16;

/// How many bytes stand for themselves before the first that does not.
fn plain_run(bytes: &[u8]) -> usize {
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1F);
    // Without an early way out a chunk is a few vector instructions.
    let is_plain = |chunk: &&[u8]| !chunk.iter().fold(false, |special, byte| special | is_special(byte));
    let plain = bytes.chunks_exact(CHUNK_BYTES).take_while(is_plain).count() * CHUNK_BYTES;
    bytes[plain..].iter().position(is_special).map_or(bytes.len(), |more| plain + more)
}

/// The letter behind the backslash, for bytes that have one.
fn letter(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => return None,
    })
}

/// Appends text as it stands between the quotes of a JSON string.
pub(super) fn write_escaped(out: &mut String, mut text: &str) {
    loop {
        let (plain, rest) = text.split_at(plain_run(text.as_bytes()));
        out.push_str(plain);
        let Some(byte) = rest.bytes().next() else { return };
        match letter(byte) {
            Some(letter) => out.extend(['\\', char::from(letter)]),
            // Writing to a String cannot fail.
            None => write!(out, "\\u{byte:04x}").unwrap_or_default(),
        }
        text = &rest[1..];
    }
}

/// How many bytes of text `escaped` spells, if `text` begins with them and [`write_escaped`] would spell them so.
pub(super) fn spells(escaped: &[u8], text: &[u8]) -> Option<usize> {
    let (mut rest, mut at) = (escaped, 0);
    loop {
        let (plain, special) = rest.split_at(plain_run(rest));
        at += text.get(at..)?.starts_with(plain).then_some(plain.len())?;
        if special.is_empty() {
            return Some(at);
        }
        let byte = *text.get(at).filter(|byte| plain_run(&[**byte]) == 0)?;
        rest = match letter(byte) {
            Some(letter) => special.strip_prefix(&[b'\\', letter])?,
            None => special.strip_prefix(format!("\\u{byte:04x}").as_bytes())?,
        };
        at += 1;
    }
}

/// The beginning of the text that `escaped` spells, about `bytes_max` of it; less when something rare is in it.
pub(super) fn unescaped(escaped: &[u8], bytes_max: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes_max);
    let mut bytes = escaped.iter().copied();
    while text.len() < bytes_max {
        match bytes.next() {
            None => break,
            Some(b'\\') => match bytes.next() {
                Some(byte @ (b'"' | b'\\')) => text.push(byte),
                Some(b'n') => text.push(b'\n'),
                Some(b'r') => text.push(b'\r'),
                Some(b't') => text.push(b'\t'),
                _ => break,
            },
            Some(byte) => text.push(byte),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_is_spelled_as_json_spells_it_and_found_again(text in "(?s)[\\\\\"a-z\n\t\u{1}é]{0,80}", after in ".*") {
            let mut escaped = String::new();
            write_escaped(&mut escaped, &text);
            prop_assert_eq!(format!("\"{escaped}\""), serde_json::to_string(&text).unwrap());
            let followed = text.clone() + &after;
            prop_assert_eq!(spells(escaped.as_bytes(), followed.as_bytes()), Some(text.len()));
            prop_assert!(text.as_bytes().starts_with(&unescaped(escaped.as_bytes(), 32)));
        }

        #[test]
        fn only_the_canonical_spelling_counts(text in ".{0,40}", escaped in "(a|\\\\n|\\\\u0061|\\\\/|\"|.){0,40}") {
            if let Some(length) = spells(escaped.as_bytes(), text.as_bytes()) {
                let mut spelled = String::new();
                write_escaped(&mut spelled, &text[..length]);
                prop_assert_eq!(spelled, escaped);
            }
        }
    }
}
