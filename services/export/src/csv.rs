//! One span as one record of a table: RFC 4180, and safe to open in a spreadsheet.
//!
//! Columns are the fields of a line of JSON in their order. Text with something in it that could be taken for a formula
//! begins with an apostrophe, as spreadsheets themselves write such text. Nothing is an empty cell; a text that is empty is
//! a pair of quotes. What is an object or a list is its JSON.

use std::borrow::Cow;

use spanlake_model::Money;

use crate::line::Beside;
use crate::row::Row;

const COLUMNS: [&str; 19] = [
    "trace_id",
    "span_name",
    "type",
    "model",
    "latency_ms",
    "timestamp",
    "input",
    "output",
    "metadata",
    "span_id",
    "parent_span_id",
    "kind",
    "status",
    "user_id",
    "session_id",
    "tags",
    "input_tokens",
    "output_tokens",
    "cost",
];

/// Where a record ends.
const END: &[u8] = b"\r\n";

/// Where the column of scores stands among them.
const SCORES_AT: usize = 9;

/// The columns of an answer.
pub(crate) fn answer_columns() -> impl Iterator<Item = &'static str> {
    columns(true)
}

/// The columns of a file of a job.
pub(crate) fn job_columns(with_scores: bool) -> impl Iterator<Item = &'static str> {
    columns(with_scores).chain(["app_id"])
}

fn columns(with_scores: bool) -> impl Iterator<Item = &'static str> {
    let (before, after) = COLUMNS.split_at(SCORES_AT);
    before.iter().chain(with_scores.then_some(&"scores")).chain(after).copied()
}

/// The first record: the names of the columns.
pub(crate) fn names<'a>(columns: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut record = Vec::from_iter(columns).join(",").into_bytes();
    record.extend(END);
    record
}

/// Appends the record of the row, its end included.
pub(crate) fn write(row: &Row<'_>, beside: Beside<'_>, records: &mut Vec<u8>) {
    let mut cells = vec![
        Cell::plain(row.trace_id),
        Cell::text(row.name),
        Cell::plain(row.coarse_type()),
        Cell::optional(row.model),
        Cell::number(row.latency_ms),
        Cell::plain(row.start),
        row.input.map_or(Cell::Nothing, Cell::content),
        row.output.map_or(Cell::Nothing, Cell::content),
        Cell::text(row.metadata),
        Cell::plain(row.span_id),
        Cell::number(row.parent_span_id),
        Cell::text(row.kind),
        Cell::plain(row.status.as_str()),
        Cell::optional(row.user_id),
        Cell::optional(row.session_id),
        Cell::list(&row.tags),
        Cell::number(row.input_tokens),
        Cell::number(row.output_tokens),
        Cell::number(row.cost.map(Money::as_dollars)),
    ];
    if let Some(scores) = beside.scores {
        cells.insert(SCORES_AT, Cell::text(scores));
    }
    if beside.app {
        cells.push(Cell::plain(row.app_id));
    }
    write_cells(&cells, records);
}

/// Appends a record, its end included.
pub(crate) fn write_cells(cells: &[Cell<'_>], records: &mut Vec<u8>) {
    for (position, cell) in cells.iter().enumerate() {
        if position > 0 {
            records.push(b',');
        }
        cell.write(records);
    }
    records.extend(END);
}

/// As [`write_cells`], of ids.
pub(crate) fn write_words<'a>(words: impl Iterator<Item = Option<&'a str>>, records: &mut Vec<u8>) {
    write_cells(&words.map(Cell::number).collect::<Vec<_>>(), records);
}

/// What stands between two commas.
pub(crate) enum Cell<'a> {
    Nothing,
    /// Ours: a number, a time, an id, a word. Needs neither quotes nor guard.
    Plain(String),
    /// Somebody else's.
    Text(Cow<'a, str>),
}

impl<'a> Cell<'a> {
    pub(crate) fn plain(value: impl ToString) -> Self {
        Self::Plain(value.to_string())
    }
    pub(crate) fn number(value: Option<impl ToString>) -> Self {
        value.map_or(Self::Nothing, Self::plain)
    }
    pub(crate) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
    pub(crate) fn optional(text: Option<&'a str>) -> Self {
        text.map_or(Self::Nothing, Self::text)
    }
    /// As its JSON.
    pub(crate) fn list<T: AsRef<str>>(words: &[T]) -> Self {
        let words: serde_json::Value = words.iter().map(AsRef::as_ref).collect();
        Self::Text(Cow::Owned(words.to_string()))
    }
    /// What a span took or gave; of a JSON string, what it says, as a line of JSON has it.
    fn content(text: &'a str) -> Self {
        let said = text.trim_start().starts_with('"').then(|| serde_json::from_str(text).ok()).flatten();
        said.map_or_else(|| Self::text(text), |said: String| Self::Text(Cow::Owned(said)))
    }

    fn write(&self, record: &mut Vec<u8>) {
        match self {
            Self::Nothing => {}
            Self::Plain(text) => record.extend(text.as_bytes()),
            Self::Text(text) => {
                let is_guarded = may_be_a_formula(text);
                let is_quoted = text.is_empty() || text.contains([',', '"', '\r', '\n']);
                if is_quoted {
                    record.push(b'"');
                }
                if is_guarded {
                    record.push(b'\'');
                }
                for byte in text.bytes() {
                    // A quote within quotes is two; one without would have made quotes necessary.
                    if byte == b'"' {
                        record.push(b'"');
                    }
                    record.push(byte);
                }
                if is_quoted {
                    record.push(b'"');
                }
            }
        }
    }
}

/// The beginnings that OWASP's page on CSV injection names, full-width ones included, also after white space, which some
/// programs take off.
fn may_be_a_formula(text: &str) -> bool {
    text.starts_with(['\t', '\r', '\n']) || text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut record = Vec::new();
        Cell::text(text).write(&mut record);
        String::from_utf8(record).unwrap()
    }

    #[test]
    fn text_is_quoted_where_rfc_4180_wants_it_and_nowhere_else() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("{\"a\":1}", "\"{\"\"a\"\":1}\""),
        ] {
            assert_eq!(written(text), expected);
        }
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_made_text() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "-"] {
            assert!(written(text).trim_start_matches('"').starts_with('\''), "{text:?}: {}", written(text));
        }
        for text in ["1+1", "a=b", "'=1", "hello - world"] {
            assert_eq!(written(text), text);
        }
        assert_eq!(written("=cmd|\"/c calc\"!A1"), "\"'=cmd|\"\"/c calc\"\"!A1\"");
    }

    #[test]
    fn a_json_string_says_what_it_says_and_other_json_stays() {
        let content = |text: &str| {
            let mut record = Vec::new();
            Cell::content(text).write(&mut record);
            String::from_utf8(record).unwrap()
        };
        assert_eq!(content(r#""hi\nthere""#), "\"hi\nthere\"");
        assert_eq!(content(r#""=1""#), "'=1");
        assert_eq!(content("[1, 2]"), "\"[1, 2]\"");
        assert_eq!(content("\"not closed"), "\"\"\"not closed\"");
    }
}
