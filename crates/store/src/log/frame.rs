//! One frame: a request as it came, and what was decided about it.
//!
//! Layout, little endian; the CRC-32C begins with the segment's salt and covers everything after itself:
//!
//! ```text
//!   u32 length of what follows the crc │ u32 crc │ u64 sequence │ u8 begins a batch? │ i64 received, ns
//!   16 tenant │ 16 app │ u8 agent? [16 agent] │ u8 encoding │ u8 compressed? │ u32 n, n × u32 rejected ordinals
//!   u32 body length before compression │ body
//! ```
//!
//! A frame that begins a batch proves that everything before it was durable: the sync came first. The first format had
//! neither that byte nor a salt.

use std::borrow::Cow;

use bytes::Bytes;
use spanlake_model::{AgentId, AppId, TenantId, Timestamp};

/// How the body is spelled. The numbers are written to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// An OTLP trace request in protobuf.
    OtlpProtobuf = 0,
    /// An OTLP trace request in JSON.
    OtlpJson = 1,
    /// An OTLP logs request in protobuf.
    OtlpLogsProtobuf = 2,
    /// An OTLP logs request in JSON.
    OtlpLogsJson = 3,
    /// Scores as they were admitted, with their ids, in JSON.
    Scores = 4,
}

impl Encoding {
    const ALL: [Self; 5] =
        [Self::OtlpProtobuf, Self::OtlpJson, Self::OtlpLogsProtobuf, Self::OtlpLogsJson, Self::Scores];
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Its place in the log; set by the log.
    pub sequence: u64,
    /// Whose.
    pub tenant: TenantId,
    /// The app of the caller.
    pub app: AppId,
    /// The agent of an agent key.
    pub agent: Option<AgentId>,
    /// When it came.
    pub received_at: Timestamp,
    /// How `body` is spelled.
    pub encoding: Encoding,
    /// Spans or log records of the body, by place, that were refused and must stay so when the log is read again.
    pub rejected: Vec<u32>,
    /// The request, decompressed.
    pub body: Bytes,
}

/// Whether bodies are compressed on their way into the log. Frames of either kind are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As they came. Costs nothing but space, of which the log needs little: it is trimmed as rows reach data files.
    #[default]
    None,
    /// zstd at its fastest level, 230 MB/s a core: for a volume that is slower than that.
    Zstd,
}

/// Bodies above this are compressed.
const COMPRESS_ABOVE: usize = 512;
/// How the frames of a segment are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The first.
    Plain,
    /// With a salt that only this segment has, so that neither a client's bytes nor what a disk finds of an older segment
    /// can be taken for a frame of it.
    Salted(u32),
}

/// A frame as it was read.
pub(super) struct Read {
    pub(super) frame: Frame,
    /// Whether everything before it was durable when it was written.
    pub(super) begins_batch: bool,
    /// How long it is.
    pub(super) length: usize,
}

/// A frame is never longer; protects the reader from a length made of noise.
pub(super) const LENGTH_MAX: usize = 1 << 30;
pub(super) const HEAD: usize = 8;
/// What a frame's place adds to it: sequence, and whether it begins a batch.
const PLACE: usize = 9;
/// No frame is shorter.
pub(super) const LENGTH_MIN: usize = HEAD + 8 + 8 + 16 + 16 + 3 + 4 + 4;

/// Bytes that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) why: &'static str,
    /// They are whole and sound, but not for this program: nothing may be cut or skipped.
    pub(super) is_foreign: bool,
}

impl Broken {
    pub(super) const fn bytes(why: &'static str) -> Self {
        Self { why, is_foreign: false }
    }
    pub(super) const fn foreign(why: &'static str) -> Self {
        Self { why, is_foreign: true }
    }
}

impl Frame {
    /// The part of a frame that does not depend on its place; done before the log's thread, so that it has little to do.
    pub(super) fn seal(&self, compression: Compression) -> Sealed {
        let body = compress(&self.body, compression);
        let mut bytes = Vec::with_capacity(128 + 4 * self.rejected.len() + body.len());
        bytes.extend(self.received_at.as_nanos().to_le_bytes());
        bytes.extend(self.tenant.as_bytes());
        bytes.extend(self.app.as_bytes());
        bytes.push(u8::from(self.agent.is_some()));
        if let Some(agent) = &self.agent {
            bytes.extend(agent.as_bytes());
        }
        bytes.push(self.encoding as u8);
        bytes.push(u8::from(matches!(body, Cow::Owned(_))));
        bytes.extend(length(self.rejected.len()));
        self.rejected.iter().for_each(|ordinal| bytes.extend(ordinal.to_le_bytes()));
        bytes.extend(length(self.body.len()));
        bytes.extend_from_slice(&body);
        Sealed(bytes)
    }

    /// Reads the frame at the start of `bytes`.
    pub(super) fn read(bytes: &[u8], format: Format) -> Result<Read, Broken> {
        let mut head = Reader(bytes);
        let length = head.u32()? as usize;
        let crc = head.u32()?;
        if length > LENGTH_MAX {
            return Err(Broken::bytes("a length that no frame has"));
        }
        let content = head.take(length)?;
        if format.checksum(content) != crc {
            return Err(Broken::bytes("a checksum that does not fit"));
        }
        let mut content = Reader(content);
        let sequence = content.u64()?;
        let begins_batch = match format {
            Format::Plain => false,
            Format::Salted(_) => content.u8()? == 1,
        };
        Ok(Read { frame: Self::read_content(sequence, content)?, begins_batch, length: HEAD + length })
    }

    fn read_content(sequence: u64, mut reader: Reader<'_>) -> Result<Self, Broken> {
        let received_at = Timestamp::from_nanos(reader.u64()?.cast_signed());
        let tenant = TenantId::from_bytes(reader.id()?);
        let app = AppId::from_bytes(reader.id()?);
        let agent = if reader.u8()? == 1 { Some(AgentId::from_bytes(reader.id()?)) } else { None };
        let number = reader.u8()?;
        let encoding = Encoding::ALL.into_iter().find(|encoding| *encoding as u8 == number);
        let encoding = encoding.ok_or(Broken::foreign("a frame in an encoding that this program does not read"))?;
        let compressed = reader.u8()? == 1;
        let count = reader.u32()? as usize;
        let rejected = (0..count).map(|_| reader.u32()).collect::<Result<_, _>>()?;
        let body_length = reader.u32()? as usize;
        let body = if compressed {
            let body = zstd::bulk::decompress(reader.0, body_length)
                .map_err(|_| Broken::bytes("a body that does not unpack"))?;
            Bytes::from(body)
        } else {
            Bytes::copy_from_slice(reader.0)
        };
        Ok(Self { sequence, tenant, app, agent, received_at, encoding, rejected, body })
    }
}

impl Format {
    fn checksum(self, content: &[u8]) -> u32 {
        match self {
            Self::Plain => crc32c::crc32c(content),
            Self::Salted(salt) => crc32c::crc32c_append(salt, content),
        }
    }
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("bodies are capped far below 4 GiB").to_le_bytes()
}

fn compress(body: &Bytes, compression: Compression) -> Cow<'_, [u8]> {
    match compression {
        // A failure to compress is no failure to store.
        Compression::Zstd if body.len() > COMPRESS_ABOVE => {
            zstd::bulk::compress(body, 1).map_or(Cow::Borrowed(body), Cow::Owned)
        }
        Compression::Zstd | Compression::None => Cow::Borrowed(body),
    }
}

/// A frame ready to be given its place.
pub(super) struct Sealed(Vec<u8>);

impl Sealed {
    /// How many bytes it will take.
    pub(super) fn len(&self) -> usize {
        HEAD + PLACE + self.0.len()
    }

    /// Appends the finished frame to `out`, in the newest format.
    pub(super) fn place(&self, sequence: u64, begins_batch: bool, salt: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(length(PLACE + self.0.len()));
        out.extend([0; 4]);
        out.extend(sequence.to_le_bytes());
        out.push(u8::from(begins_batch));
        out.extend_from_slice(&self.0);
        let crc = Format::Salted(salt).checksum(&out[start + HEAD..]);
        out[start + 4..start + HEAD].copy_from_slice(&crc.to_le_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Broken::bytes("fewer bytes than it says"))?;
        self.0 = rest;
        Ok(taken)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        self.take(N).map(|taken| taken.try_into().expect("of that length"))
    }
    fn u8(&mut self) -> Result<u8, Broken> {
        self.array::<1>().map(|[byte]| byte)
    }
    fn u32(&mut self) -> Result<u32, Broken> {
        self.array().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Result<u64, Broken> {
        self.array().map(u64::from_le_bytes)
    }
    fn id(&mut self) -> Result<[u8; 16], Broken> {
        self.array()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_whether_or_not_it_was_compressed() {
        for (compression, length) in
            [Compression::None, Compression::Zstd].map(|kind| [(kind, 10), (kind, 9_000)]).concat()
        {
            let frame = Frame {
                sequence: 7,
                tenant: TenantId::from_bytes([1; 16]),
                app: AppId::from_bytes([2; 16]),
                agent: Some(AgentId::from_bytes([3; 16])),
                received_at: Timestamp::from_secs(9),
                encoding: Encoding::OtlpProtobuf,
                rejected: vec![0, 7],
                body: Bytes::from(vec![b'a'; length]),
            };
            let mut bytes = Vec::new();
            frame.seal(compression).place(7, true, 5, &mut bytes);
            let read = Frame::read(&bytes, Format::Salted(5)).unwrap();
            assert_eq!((read.frame, read.length), (frame, bytes.len()));
            assert_eq!(bytes.len() < length, compression == Compression::Zstd && length > COMPRESS_ABOVE);
        }
    }

    #[test]
    fn every_encoding_comes_back_and_one_that_is_not_known_is_for_another_program() {
        for number in 0..=u8::MAX {
            let mut frame = Frame {
                sequence: 7,
                tenant: TenantId::from_bytes([1; 16]),
                app: AppId::from_bytes([2; 16]),
                agent: None,
                received_at: Timestamp::from_secs(9),
                encoding: Encoding::OtlpProtobuf,
                rejected: Vec::new(),
                body: Bytes::from_static(b"body"),
            };
            let mut sealed = frame.seal(Compression::None);
            // After the time of receipt, tenant, app, and that there is no agent.
            sealed.0[8 + 16 + 16 + 1] = number;
            let mut bytes = Vec::new();
            sealed.place(7, true, 5, &mut bytes);
            let read = Frame::read(&bytes, Format::Salted(5)).map(|read| read.frame);
            match Encoding::ALL.get(usize::from(number)) {
                Some(encoding) => {
                    frame.encoding = *encoding;
                    assert_eq!(read, Ok(frame));
                }
                None => assert!(read.unwrap_err().is_foreign, "{number}"),
            }
        }
    }
}
