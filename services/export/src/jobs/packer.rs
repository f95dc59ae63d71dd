//! Text packed as it is written, into memory.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::spec::Compression;

/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// Text on its way into a file.
pub(crate) enum Packer {
    Zstd(ZstdEncoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
    Plain(Vec<u8>),
}

impl Packer {
    pub(crate) fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
            Compression::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::default())),
            Compression::None => Self::Plain(Vec::new()),
        })
    }

    pub(crate) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(text),
            Self::Gzip(encoder) => encoder.write_all(text),
            Self::Plain(bytes) => bytes.write_all(text),
        }
    }

    /// Bytes of the file so far; what the packer still ponders over is not among them.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Zstd(encoder) => encoder.get_ref().len(),
            Self::Gzip(encoder) => encoder.get_ref().len(),
            Self::Plain(bytes) => bytes.len(),
        }
    }

    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Plain(bytes) => Ok(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_was_packed_is_unpacked_by_others() {
        let text = "a line of text\n".repeat(100_000);
        for compression in [Compression::Zstd, Compression::Gzip, Compression::None] {
            let mut packer = Packer::new(compression).unwrap();
            for part in text.as_bytes().chunks(70_001) {
                packer.write(part).unwrap();
            }
            assert!(packer.bytes() > 0, "{compression:?}");
            let packed = packer.finish().unwrap();
            let mut back = String::new();
            match compression {
                Compression::Zstd => zstd::Decoder::new(&packed[..]).unwrap().read_to_string(&mut back).unwrap(),
                Compression::Gzip => flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut back).unwrap(),
                Compression::None => (&packed[..]).read_to_string(&mut back).unwrap(),
            };
            assert!(back == text, "{compression:?}");
        }
    }
}
