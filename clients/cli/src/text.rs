//! Text from elsewhere, made fit for a terminal.
//!
//! A span's name may hold escape sequences that move the cursor, rewrite what stands above, or type into a shell; and
//! characters that turn the direction of writing. They are shown as what they are.

use std::borrow::Cow;
use std::fmt::Write as _;

/// On one line, with nothing in it that a terminal acts upon.
pub fn line(text: &str) -> Cow<'_, str> {
    cleaned(text, is_control)
}

/// As [`line()`], with its line breaks and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    cleaned(text, |character| is_control(character) && !matches!(character, '\n' | '\t'))
}

/// At most so many characters, with an ellipsis where some are missing.
pub fn short(text: &str, characters_max: usize) -> String {
    let text = line(text);
    match text.char_indices().nth(characters_max) {
        None => text.into_owned(),
        Some(_) => text.chars().take(characters_max.saturating_sub(1)).chain(['…']).collect(),
    }
}

fn cleaned(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' if is_bad('\n') => clean.push_str("\\n"),
            '\r' if is_bad('\r') => clean.push_str("\\r"),
            '\t' if is_bad('\t') => clean.push_str("\\t"),
            // Writing to a String cannot fail.
            bad if is_bad(bad) => write!(clean, "\\u{{{:x}}}", u32::from(bad)).unwrap_or_default(),
            good => clean.push(good),
        }
    }
    Cow::Owned(clean)
}

/// C0, DEL, C1, and what turns the direction of writing.
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Takes control characters out of rows on their way to a terminal: they become question marks; line breaks and tabs stay.
/// Characters may arrive in pieces.
#[derive(Debug, Default)]
pub struct Cleaner {
    /// The first byte of two that make a control character of C1.
    is_held: bool,
}

/// What begins U+0080 to U+00BF.
const C1_LEAD: u8 = 0xC2;

impl Cleaner {
    /// What of `bytes`, and of what was held back, can be shown.
    pub fn clean(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut clean = Vec::with_capacity(bytes.len() + 1);
        for &byte in bytes {
            if std::mem::take(&mut self.is_held) {
                if (0x80..0xA0).contains(&byte) {
                    clean.push(b'?');
                    continue;
                }
                clean.push(C1_LEAD);
            }
            match byte {
                // Of a line break it is half; alone it would write over the line.
                b'\r' => {}
                C1_LEAD => self.is_held = true,
                b'\n' | b'\t' => clean.push(byte),
                0x00..0x20 | 0x7F => clean.push(b'?'),
                _ => clean.push(byte),
            }
        }
        clean
    }
}

/// Columns, the first line their names. Numbers stand to the right.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |row: &[String], column: usize| row.get(column).map(|cell| line(cell).into_owned()).unwrap_or_default();
    let is_number = |text: &str| text.starts_with(|first: char| first.is_ascii_digit() || first == '$');
    let mut text = String::new();
    let columns: Vec<(usize, bool)> = (0..header.len())
        .map(|column| {
            let cells = rows.iter().map(|row| cell(row, column));
            let width = cells.map(|cell| cell.chars().count()).chain([header[column].len()]).max().unwrap_or(0);
            let is_right = header[column] != header[0]
                && rows.iter().all(|row| cell(row, column).is_empty() || is_number(&cell(row, column)));
            (width, is_right)
        })
        .collect();
    let names: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    for row in std::iter::once(&names).chain(rows) {
        let mut at = String::new();
        for (column, (width, is_right)) in columns.iter().enumerate() {
            let cell = cell(row, column);
            let blank = " ".repeat(width - cell.chars().count());
            at += &if *is_right { format!("{blank}{cell}  ") } else { format!("{cell}{blank}  ") };
        }
        text += at.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2Jb\u{7}\u{9b}31mc\u{202e}d\r\ne\u{7f}";

    #[test]
    fn nothing_that_a_terminal_acts_upon_comes_through() {
        assert_eq!(line(HOSTILE), "a\\u{1b}[2Jb\\u{7}\\u{9b}31mc\\u{202e}d\\r\\ne\\u{7f}");
        assert_eq!(lines(HOSTILE), "a\\u{1b}[2Jb\\u{7}\\u{9b}31mc\\u{202e}d\\r\ne\\u{7f}");
        assert!(matches!(line("héllo 🐟"), Cow::Borrowed("héllo 🐟")));
    }

    #[test]
    fn rows_on_their_way_are_clean_however_they_are_cut() {
        for cut in 0..HOSTILE.len() {
            let (mut cleaner, bytes) = (Cleaner::default(), HOSTILE.as_bytes());
            let clean = [cleaner.clean(&bytes[..cut]), cleaner.clean(&bytes[cut..])].concat();
            assert_eq!(String::from_utf8(clean).unwrap(), "a?[2Jb??31mc\u{202e}d\ne?", "cut at {cut}");
        }
        assert_eq!(Cleaner::default().clean("§ é\t🐟".as_bytes()), "§ é\t🐟".as_bytes());
    }

    #[test]
    fn what_is_too_long_says_so() {
        assert_eq!(short("hello", 5), "hello");
        assert_eq!(short("héllo!", 5), "héll…");
        assert_eq!(short("a\nb", 10), "a\\nb");
    }

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let rows = vec![vec!["one\u{1b}".to_owned(), "12".to_owned()], vec!["a".to_owned(), "7".to_owned()]];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME        N\none\\u{1b}  12\na           7\n");
    }
}
