//! What is in a file of an export.

use std::io::{self, ErrorKind, Read, Seek as _};

use sha2::{Digest, Sha256};

use super::footer;
use super::place::Content;
use crate::args::Format;
use crate::commands::export::rows::Rows;

/// A file's bytes.
pub(super) struct Measured {
    pub(super) bytes: u64,
    /// In hex.
    pub(super) sha256: String,
}

const BUFFER_BYTES: usize = 256 << 10;

/// Reads all of it once.
pub(super) fn read(content: impl Read) -> io::Result<Measured> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    each(content, |piece| {
        hash.update(piece);
        bytes += piece.len() as u64;
        Ok(())
    })?;
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Measured { bytes, sha256 })
}

/// How many rows it has, by its name: Parquet from its footer, text by counting.
pub(super) fn rows(name: &str, mut file: Box<dyn Content>) -> io::Result<u64> {
    if name.ends_with(".parquet") {
        return footer::rows(file);
    }
    file.rewind()?;
    let (plain, reader): (&str, Box<dyn Read>) = match (name.strip_suffix(".zst"), name.strip_suffix(".gz")) {
        (Some(plain), _) => (plain, Box::new(zstd::Decoder::new(file)?)),
        (None, Some(plain)) => (plain, Box::new(flate2::read::MultiGzDecoder::new(file))),
        (None, None) => (name, Box::new(file)),
    };
    let format = match plain.rsplit_once('.') {
        Some((_, "jsonl")) => Format::Jsonl,
        Some((_, "csv")) => Format::Csv,
        _ => {
            return Err(io::Error::new(ErrorKind::Unsupported, "its name says neither Parquet nor JSON lines nor CSV"));
        }
    };
    let mut rows = Rows::new(format, true);
    each(reader, |piece| rows.take(piece, &mut |_: &[u8]| Ok(())).map_err(io::Error::other))?;
    Ok(rows.count())
}

fn each(mut reader: impl Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
