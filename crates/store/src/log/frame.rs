//! One frame: a request as it came, and what was decided about it.
//!
//! Layout, little endian; the CRC-32C covers everything after itself:
//!
//! ```text
//!   u32 length of what follows the crc │ u32 crc │ u64 sequence │ i64 received, ns
//!   16 tenant │ 16 app │ u8 agent? [16 agent] │ u8 encoding │ u8 compressed? │ u32 n, n × u32 rejected ordinals
//!   u32 body length before compression │ body
//! ```

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
    /// Spans of the body, by place, that were refused and must stay so when the log is read again.
    pub rejected: Vec<u32>,
    /// The request, decompressed.
    pub body: Bytes,
}

/// Bodies above this are compressed.
const COMPRESS_ABOVE: usize = 512;
/// A frame is never longer; protects the reader from a length made of noise.
pub(super) const LENGTH_MAX: usize = 1 << 30;
pub(super) const HEAD: usize = 8;

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
    pub(super) fn seal(&self) -> Sealed {
        let mut bytes = Vec::with_capacity(128 + self.body.len() / 2);
        bytes.extend(self.received_at.as_nanos().to_le_bytes());
        bytes.extend(self.tenant.as_bytes());
        bytes.extend(self.app.as_bytes());
        bytes.push(u8::from(self.agent.is_some()));
        if let Some(agent) = &self.agent {
            bytes.extend(agent.as_bytes());
        }
        bytes.push(self.encoding as u8);
        let body = compress(&self.body);
        bytes.push(u8::from(matches!(body, Cow::Owned(_))));
        bytes.extend(length(self.rejected.len()));
        self.rejected.iter().for_each(|ordinal| bytes.extend(ordinal.to_le_bytes()));
        bytes.extend(length(self.body.len()));
        bytes.extend_from_slice(&body);
        Sealed(bytes)
    }

    /// Reads the frame at the start of `bytes`; answers it and how long it is.
    pub(super) fn read(bytes: &[u8]) -> Result<(Self, usize), Broken> {
        let mut head = Reader(bytes);
        let length = head.u32()? as usize;
        let crc = head.u32()?;
        if length > LENGTH_MAX {
            return Err(Broken::bytes("a length that no frame has"));
        }
        let content = head.take(length)?;
        if crc32c::crc32c(content) != crc {
            return Err(Broken::bytes("a checksum that does not fit"));
        }
        Ok((Self::read_content(content)?, HEAD + length))
    }

    fn read_content(content: &[u8]) -> Result<Self, Broken> {
        let mut reader = Reader(content);
        let sequence = reader.u64()?;
        let received_at = Timestamp::from_nanos(reader.u64()?.cast_signed());
        let tenant = TenantId::from_bytes(reader.id()?);
        let app = AppId::from_bytes(reader.id()?);
        let agent = if reader.u8()? == 1 { Some(AgentId::from_bytes(reader.id()?)) } else { None };
        let encoding = match reader.u8()? {
            0 => Encoding::OtlpProtobuf,
            1 => Encoding::OtlpJson,
            _ => return Err(Broken::foreign("a frame in an encoding that this program does not read")),
        };
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

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("bodies are capped far below 4 GiB").to_le_bytes()
}

fn compress(body: &Bytes) -> Cow<'_, [u8]> {
    if body.len() <= COMPRESS_ABOVE {
        return Cow::Borrowed(body);
    }
    // Level 1: faster than the disk it spares. A failure to compress is no failure to store.
    zstd::bulk::compress(body, 1).map_or(Cow::Borrowed(body), Cow::Owned)
}

/// A frame ready to be given its place.
pub(super) struct Sealed(Vec<u8>);

impl Sealed {
    /// About how many bytes it will take.
    pub(super) fn len(&self) -> usize {
        self.0.len() + HEAD + 8
    }
    /// Appends the finished frame to `out`.
    pub(super) fn place(&self, sequence: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(length(8 + self.0.len()));
        out.extend([0; 4]);
        out.extend(sequence.to_le_bytes());
        out.extend_from_slice(&self.0);
        let crc = crc32c::crc32c(&out[start + HEAD..]);
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
