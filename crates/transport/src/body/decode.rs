//! Decompression into a bounded buffer, piece by piece.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use http::{HeaderMap, header};
use spanlake_model::Fault;
use zstd::stream::raw::{DParameter, Decoder as RawZstd, InBuffer, Operation, OutBuffer};

/// Why a body is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Too many bytes on the wire.
    Encoded,
    /// Too many bytes after decompression.
    Decoded,
    /// It expands more than any honest body does.
    Ratio,
    /// An encoding we do not read, or several.
    Encoding(String),
    /// It is not what its encoding says, or it ended early.
    Broken(&'static str),
    /// Nothing came for too long.
    Stalled,
    /// Nobody has room for it.
    NotHeld(Fault),
    /// The decoder panicked.
    Crashed,
}

/// A `Content-Encoding` we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(value) = values.next() else { return Ok(Self::Identity) };
        let name = String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase();
        match (name.as_str(), values.next()) {
            ("" | "identity", None) => Ok(Self::Identity),
            ("gzip" | "x-gzip", None) => Ok(Self::Gzip),
            ("zstd", None) => Ok(Self::Zstd),
            (_, None) => Err(Refusal::Encoding(name)),
            (_, Some(_)) => Err(Refusal::Encoding(format!("{name}, …"))),
        }
    }
}

/// An honest compressed body of telemetry shrinks ten- to fortyfold.
const RATIO_MAX: usize = 100;
/// Small bodies may expand more: a megabyte of one letter is a few kilobytes of gzip, and harmless.
const RATIO_FREE_BYTES: usize = 4 << 20;
/// 8 MiB, what RFC 8878 asks decoders to support; zstd would take 128 MiB at a frame's word.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const ZSTD_CHUNK_BYTES: usize = 64 << 10;

const BROKEN_GZIP: &str = "The body is not valid gzip, though Content-Encoding says so.";
const BROKEN_ZSTD: &str =
    "The body is not valid zstd with a window of at most 8 MiB, though Content-Encoding says zstd.";

/// Takes encoded pieces, keeps decoded bytes.
pub(super) struct Decoder {
    encoded_bytes: usize,
    decoded_bytes_max: usize,
    form: Form,
}

enum Form {
    Identity(Buffer),
    Gzip(Box<MultiGzDecoder<Buffer>>),
    Zstd(Box<Zstd>),
}

impl Decoder {
    /// With room for so many bytes of the body as it is on the wire.
    pub(super) fn new(encoding: Encoding, encoded_bytes: usize, decoded_bytes_max: usize) -> Result<Self, Refusal> {
        let bytes = Vec::with_capacity(encoded_bytes);
        let buffer = Buffer { bytes, max: decoded_bytes_max, overflowed: false };
        let form = match encoding {
            Encoding::Identity => Form::Identity(buffer),
            Encoding::Gzip => Form::Gzip(Box::new(MultiGzDecoder::new(buffer))),
            Encoding::Zstd => Form::Zstd(Box::new(Zstd::new(buffer).map_err(|_| Refusal::Crashed)?)),
        };
        Ok(Self { encoded_bytes: 0, decoded_bytes_max, form })
    }

    /// Whether there is nothing to decode: a copy is less work than a change of threads.
    pub(super) fn only_copies(&self) -> bool {
        matches!(self.form, Form::Identity(_))
    }

    /// Bytes of the body so far.
    pub(super) fn decoded_bytes(&self) -> usize {
        match &self.form {
            Form::Identity(buffer) => buffer.bytes.len(),
            Form::Gzip(gzip) => gzip.get_ref().bytes.len(),
            Form::Zstd(zstd) => zstd.buffer.bytes.len(),
        }
    }

    pub(super) fn push(&mut self, data: &[u8]) -> Result<(), Refusal> {
        self.encoded_bytes = self.encoded_bytes.saturating_add(data.len());
        let ratio_max = self.encoded_bytes.saturating_mul(RATIO_MAX).max(RATIO_FREE_BYTES);
        let max = self.decoded_bytes_max.min(ratio_max);
        let (written, broken, buffer) = match &mut self.form {
            Form::Identity(buffer) => {
                let written = buffer.write_all(data);
                (written, "", buffer)
            }
            Form::Gzip(gzip) => {
                gzip.get_mut().max = max;
                let written = gzip.write_all(data);
                (written, BROKEN_GZIP, gzip.get_mut())
            }
            Form::Zstd(zstd) => {
                zstd.buffer.max = max;
                let written = zstd.push(data);
                (written, BROKEN_ZSTD, &mut zstd.buffer)
            }
        };
        match written {
            Ok(()) => Ok(()),
            Err(_) if buffer.overflowed && max < self.decoded_bytes_max => Err(Refusal::Ratio),
            Err(_) if buffer.overflowed => Err(Refusal::Decoded),
            Err(_) => Err(Refusal::Broken(broken)),
        }
    }

    /// The whole body. No bytes at all are an empty body in every encoding.
    pub(super) fn finish(self) -> Result<Vec<u8>, Refusal> {
        if self.encoded_bytes == 0 {
            return Ok(Vec::new());
        }
        match self.form {
            Form::Identity(buffer) => Ok(buffer.bytes),
            Form::Gzip(mut gzip) => {
                let finished = gzip.try_finish();
                match finished {
                    Ok(()) => Ok(std::mem::take(&mut gzip.get_mut().bytes)),
                    Err(_) if gzip.get_ref().overflowed => Err(Refusal::Decoded),
                    Err(_) => Err(Refusal::Broken(BROKEN_GZIP)),
                }
            }
            Form::Zstd(zstd) if zstd.frame_ended => Ok(zstd.buffer.bytes),
            Form::Zstd(_) => Err(Refusal::Broken(BROKEN_ZSTD)),
        }
    }
}

/// Bytes up to `max`; a write beyond it fails and is remembered.
struct Buffer {
    bytes: Vec<u8>,
    max: usize,
    overflowed: bool,
}

impl Write for Buffer {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let needed = self.bytes.len() + data.len();
        if needed > self.max {
            self.overflowed = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if needed > self.bytes.capacity() {
            // Doubling, but never beyond the cap.
            let capacity = (self.bytes.capacity() * 2).clamp(needed, self.max);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Zstd {
    raw: RawZstd<'static>,
    buffer: Buffer,
    chunk: Vec<u8>,
    frame_ended: bool,
}

impl Zstd {
    fn new(buffer: Buffer) -> io::Result<Self> {
        let mut raw = RawZstd::new()?;
        raw.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
        Ok(Self { raw, buffer, chunk: vec![0; ZSTD_CHUNK_BYTES], frame_ended: false })
    }

    fn push(&mut self, data: &[u8]) -> io::Result<()> {
        let mut input = InBuffer::around(data);
        if data.is_empty() {
            return Ok(());
        }
        loop {
            let mut output = OutBuffer::around(&mut self.chunk[..]);
            let wanted = self.raw.run(&mut input, &mut output)?;
            let written = output.pos();
            self.buffer.write_all(&self.chunk[..written])?;
            self.frame_ended = wanted == 0;
            // One more step after a frame's end would begin the next frame, so look at that first.
            if input.pos() == data.len() && (self.frame_ended || written < ZSTD_CHUNK_BYTES) {
                return Ok(());
            }
        }
    }
}
