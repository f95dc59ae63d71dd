//! The body of an export on its way: rows go through as they come, what is not a row is kept, and at the end it is known
//! whether all of it came. Memory is flat however long a row is.

use super::summary::Summary;
use crate::args::Format;
use crate::error::Error;

/// How the last line of JSON begins, and no other: ours begin with another key.
const TRAILER: &[u8] = br#"{"_export_meta""#;
/// A trailer holds counts and a cursor.
const TRAILER_BYTES_MAX: usize = 64 << 10;

/// Takes one page.
#[derive(Debug)]
pub(super) enum Rows {
    Lines(Lines),
    Table(Table),
}

/// JSON, a row a line, and the trailer.
#[derive(Debug, Default)]
pub(super) struct Lines {
    at: At,
    rows: u64,
}

#[derive(Debug)]
enum At {
    /// In a line that begins like the trailer so far.
    Start(Vec<u8>),
    Row,
    /// All of it so far.
    Trailer(Vec<u8>),
}

impl Default for At {
    fn default() -> Self {
        Self::Start(Vec::new())
    }
}

/// RFC 4180.
#[derive(Debug)]
pub(super) struct Table {
    /// The record with the names of the columns is still to come, or in it.
    is_header: bool,
    keeps_header: bool,
    is_quoted: bool,
    is_inside: bool,
    rows: u64,
}

impl Rows {
    /// A page; of a table that goes on, the header is left out.
    pub(super) fn new(format: Format, is_first: bool) -> Self {
        match format {
            Format::Jsonl | Format::Openai => Self::Lines(Lines::default()),
            Format::Csv => Self::Table(Table {
                is_header: true,
                keeps_header: is_first,
                is_quoted: false,
                is_inside: false,
                rows: 0,
            }),
        }
    }

    /// Takes what came, and writes the rows of it.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        write: &mut impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self {
            Self::Lines(lines) => lines.take(bytes, write),
            Self::Table(table) => table.take(bytes, write),
        }
    }

    /// Whole rows so far.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.rows,
            Self::Table(table) => table.rows,
        }
    }

    /// After the body: what became of the page, if it is whole. `known` is what its headers said.
    pub(super) fn finish(self, known: Option<Summary>) -> Result<Summary, Error> {
        let rows = self.count();
        let summary = match self {
            Self::Lines(Lines { at: At::Trailer(text), .. }) => read_trailer(&text)?,
            Self::Table(Table { is_header: false, is_inside: false, .. }) => {
                known.ok_or_else(|| broken("the server did not say how many rows there are"))?
            }
            Self::Lines(_) | Self::Table(_) => return Err(broken("it ends in the middle")),
        };
        if summary.exported != rows {
            return Err(broken(&format!("{rows} rows came where {} were sent", summary.exported)));
        }
        Ok(summary)
    }
}

fn broken(why: &str) -> Error {
    Error::Server(format!("the export is incomplete: {why}"))
}

fn read_trailer(text: &[u8]) -> Result<Summary, Error> {
    #[derive(serde::Deserialize)]
    struct Trailer {
        _export_meta: Summary,
    }
    let trailer = serde_json::from_slice::<Trailer>(text);
    trailer
        .map(|trailer| trailer._export_meta)
        .map_err(|error| broken(&format!("its last line says nothing ({error})")))
}

impl Lines {
    fn take(&mut self, mut bytes: &[u8], write: &mut impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        while !bytes.is_empty() {
            match &mut self.at {
                At::Start(held) => {
                    let common =
                        TRAILER[held.len()..].iter().zip(bytes).take_while(|(one, other)| one == other).count();
                    held.extend_from_slice(&bytes[..common]);
                    bytes = &bytes[common..];
                    if held.len() == TRAILER.len() {
                        self.at = At::Trailer(std::mem::take(held));
                    } else if !bytes.is_empty() {
                        write(held)?;
                        self.at = At::Row;
                    }
                }
                At::Row => {
                    let end = bytes.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
                    let (row, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                    write(row)?;
                    bytes = rest;
                    if end.is_some() {
                        self.rows += 1;
                        self.at = At::default();
                    }
                }
                At::Trailer(text) => {
                    if text.len() + bytes.len() > TRAILER_BYTES_MAX {
                        return Err(broken("its last line does not end"));
                    }
                    text.extend_from_slice(bytes);
                    bytes = &[];
                }
            }
        }
        Ok(())
    }
}

impl Table {
    fn take(&mut self, bytes: &[u8], write: &mut impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let mut rows = bytes;
        for (at, byte) in bytes.iter().enumerate() {
            self.is_inside = true;
            match byte {
                // A quote within quotes is two, so that it changes nothing.
                b'"' => self.is_quoted = !self.is_quoted,
                b'\n' if !self.is_quoted => {
                    self.is_inside = false;
                    if !self.is_header {
                        self.rows += 1;
                        continue;
                    }
                    self.is_header = false;
                    if !self.keeps_header {
                        rows = &bytes[at + 1..];
                    }
                }
                _ => {}
            }
        }
        if self.is_header && !self.keeps_header { Ok(()) } else { write(rows) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "{\"trace_id\":\"a\"}\n{\"_export\":1}\n{\"_export_meta\":{\"total\":9,\"exported\":2,\"skipped\":1,\
        \"skip_reasons\":{\"no_input\":1},\"next_cursor\":\"c\"}}\n";
    const TABLE: &str = "a,b\r\n1,\"x\r\ny\"\r\n2,\"\"\"\r\n\"\"\"\r\n";

    /// What is written of `body` that comes in two pieces, and what it says.
    fn page(mut rows: Rows, body: &str, cut: usize, known: Option<Summary>) -> (String, Result<Summary, Error>) {
        let mut written = Vec::new();
        for piece in [&body.as_bytes()[..cut], &body.as_bytes()[cut..]] {
            let mut write = |bytes: &[u8]| {
                written.extend_from_slice(bytes);
                Ok(())
            };
            if let Err(error) = rows.take(piece, &mut write) {
                return (String::from_utf8(written).unwrap(), Err(error));
            }
        }
        (String::from_utf8(written).unwrap(), rows.finish(known))
    }

    fn two() -> Option<Summary> {
        Some(Summary { exported: 2, ..Summary::default() })
    }

    #[test]
    fn rows_go_through_and_the_trailer_is_kept_wherever_the_body_is_cut() {
        for cut in 0..=LINES.len() {
            let (written, summary) = page(Rows::new(Format::Jsonl, true), LINES, cut, None);
            assert_eq!(written, "{\"trace_id\":\"a\"}\n{\"_export\":1}\n", "cut at {cut}");
            let summary = summary.unwrap();
            assert_eq!((summary.total, summary.exported, summary.skipped), (Some(9), 2, 1));
            assert_eq!(summary.next_cursor.as_deref(), Some("c"));
            assert_eq!(summary.skip_reasons["no_input"], 1);
        }
    }

    #[test]
    fn a_table_is_told_by_its_records_wherever_the_body_is_cut() {
        for cut in 0..=TABLE.len() {
            let (written, summary) = page(Rows::new(Format::Csv, true), TABLE, cut, two());
            assert_eq!(written, TABLE, "cut at {cut}");
            assert_eq!(summary.unwrap().exported, 2);
            let (written, summary) = page(Rows::new(Format::Csv, false), TABLE, cut, two());
            assert_eq!(written, TABLE.strip_prefix("a,b\r\n").unwrap(), "cut at {cut}");
            assert!(summary.is_ok());
        }
    }

    #[test]
    fn a_body_that_stops_short_is_never_whole() {
        for end in 0..LINES.len() - 1 {
            let (_, summary) = page(Rows::new(Format::Openai, true), &LINES[..end], 0, None);
            assert_eq!(summary.unwrap_err().code(), 5, "ends at {end}");
        }
        for end in 0..TABLE.len() {
            assert!(page(Rows::new(Format::Csv, true), &TABLE[..end], 0, two()).1.is_err(), "ends at {end}");
        }
        assert!(page(Rows::new(Format::Csv, true), TABLE, 0, None).1.is_err(), "of an unknown number of rows");
    }

    #[test]
    fn rows_that_were_lost_or_follow_the_trailer_are_noticed() {
        let fewer = LINES.replace("{\"trace_id\":\"a\"}\n", "");
        assert!(
            page(Rows::new(Format::Jsonl, true), &fewer, 0, None).1.unwrap_err().to_string().contains("1 rows came")
        );
        let longer = format!("{LINES}{{\"trace_id\":\"b\"}}\n");
        assert!(page(Rows::new(Format::Jsonl, true), &longer, 7, None).1.is_err());
        let endless = format!("{}{}", &LINES[..LINES.len() - 1], " ".repeat(TRAILER_BYTES_MAX));
        assert!(page(Rows::new(Format::Jsonl, true), &endless, 7, None).1.is_err());
    }
}
