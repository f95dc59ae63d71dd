//! The number of rows in a Parquet file's footer.
//!
//! A file ends with its metadata, their length (4 bytes, little-endian) and `PAR1`. The metadata are a Thrift struct in the
//! compact protocol, <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>, whose field 3 is
//! the number of rows; what stands before it is skipped. That is all of Parquet that a client needs here.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

const MAGIC: &[u8; 4] = b"PAR1";
/// Of a footer; ours are a few KB.
const FOOTER_BYTES_MAX: u64 = 64 << 20;
const NUM_ROWS: i16 = 3;
/// Structs within structs: a footer has four.
const DEPTH_MAX: u32 = 16;

// Types of the compact protocol that are told apart here.
const STOP: u8 = 0;
const I64: u8 = 6;

/// Reads the footer only.
pub(super) fn rows(mut file: impl Read + Seek) -> io::Result<u64> {
    let size = file.seek(SeekFrom::End(0))?;
    if size < 12 {
        return Err(damaged());
    }
    let mut tail = [0; 8];
    file.seek(SeekFrom::Start(size - 8))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if magic != *MAGIC || length > FOOTER_BYTES_MAX || length > size - 12 {
        return Err(damaged());
    }
    file.seek(SeekFrom::Start(size - 8 - length))?;
    let mut footer = Vec::new();
    file.take(length).read_to_end(&mut footer)?;
    num_rows(&mut Reader(&footer)).ok_or_else(damaged)
}

fn damaged() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "its footer is not Parquet's")
}

fn num_rows(reader: &mut Reader<'_>) -> Option<u64> {
    let mut last = 0;
    while let Some((id, kind)) = reader.field(last)? {
        if id == NUM_ROWS {
            return (kind == I64).then(|| reader.signed())?.and_then(|rows| rows.try_into().ok());
        }
        reader.skip(kind, 0)?;
        last = id;
    }
    None
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn pass(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Zigzag.
    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Id and type of the next field; nothing at the end of the struct.
    fn field(&mut self, last: i16) -> Option<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head == STOP {
            return Some(None);
        }
        let id = match head >> 4 {
            0 => i16::try_from(self.signed()?).ok()?,
            delta => last.checked_add(i16::from(delta))?,
        };
        Some(Some((id, head & 0x0f)))
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match kind {
            // True and false are in the type.
            1 | 2 => Some(()),
            3 => self.pass(1),
            4..=6 => self.unsigned().map(|_| ()),
            7 => self.pass(8),
            8 => {
                let length = self.unsigned()?;
                self.pass(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.unsigned()? } else { u64::from(head >> 4) };
                (0..count).try_for_each(|_| self.skip_element(head & 0x0f, depth))
            }
            11 => {
                let count = self.unsigned()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                (0..count).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 0x0f, depth)
                })
            }
            12 => {
                while let Some((_, kind)) = self.field(0)? {
                    self.skip(kind, depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    /// In a list a truth value is a byte of its own.
    fn skip_element(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            1 | 2 => self.pass(1),
            other => self.skip(other, depth + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Three rows, written by pyarrow 26: `pq.write_table(pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]}), …)`.
    const SAMPLE: &[u8] = include_bytes!("three.parquet");

    #[test]
    fn a_footer_says_how_many_rows_there_are() {
        assert_eq!(rows(Cursor::new(SAMPLE)).unwrap(), 3);
    }

    #[test]
    fn a_file_that_is_cut_or_changed_is_an_error_or_another_number_but_no_panic() {
        for end in 0..SAMPLE.len() {
            assert!(rows(Cursor::new(&SAMPLE[..end])).is_err(), "ends at {end}");
        }
        for place in 0..SAMPLE.len() {
            let mut changed = SAMPLE.to_vec();
            changed[place] ^= 0xff;
            let _ = rows(Cursor::new(changed));
        }
    }

    #[test]
    fn depth_and_counts_of_an_attacker_are_bounded() {
        let endless = [0x1c; 1_000];
        assert_eq!(num_rows(&mut Reader(&endless)), None);
        // A list of 2^63 truth values.
        let list = [0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(num_rows(&mut Reader(&list)), None);
    }
}
