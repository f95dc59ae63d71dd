//! Segments on disk, and what a restart makes of them.
//!
//! A segment opens with its header, twice, so that damage to one copy costs nothing. Layout, little endian:
//!
//! ```text
//!   2 × ( "SPANLOG" │ u8 version │ 16 writer │ u64 first sequence │ u32 salt │ u32 crc ) │ frames
//! ```
//!
//! The first version had one header without a salt.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use spanlake_model::{TenantId, Timestamp, WriterId};

use super::frame::{Broken, Format, Frame, HEAD, LENGTH_MIN, Read};
use crate::disk::{Disk, folder_of, write_whole};

const MAGIC: &[u8; 7] = b"SPANLOG";
const VERSION_1: u8 = b'1';
const VERSION_2: u8 = b'2';

/// The version of the segments that are written. A reader takes this one and all before it.
pub const FORMAT_VERSION: u8 = VERSION_2 - b'0';

const HEADER_1: usize = 8 + 16 + 8 + 4;
const HEADER_2: usize = 8 + 16 + 8 + 4 + 4;
/// What a segment of today has before its frames.
pub(super) const HEADER: usize = 2 * HEADER_2;

/// A closed segment that may still hold frames above a watermark.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) path: PathBuf,
    /// The last sequence of each tenant in it.
    pub(super) last: HashMap<TenantId, u64>,
    pub(super) bytes: u64,
}

/// What a restart found.
#[derive(Debug, Default)]
pub struct Recovered {
    pub(super) closed: Vec<Closed>,
    /// The highest sequence ever given; the next frame gets one more.
    pub last_sequence: u64,
    /// When the latest of the frames that are still there was received.
    pub last_received: Option<Timestamp>,
    /// Bytes of a last write that never finished, never acknowledged: taken out.
    pub torn_bytes: u64,
    /// Where frames that were acknowledged cannot be read.
    pub damage: Vec<Damage>,
}

impl Recovered {
    /// Frames that were acknowledged and cannot be read, at the least.
    pub fn frames_damaged(&self) -> u64 {
        self.damage.iter().map(|damage| damage.frames).sum()
    }
}

/// A hole in a segment. A whole copy is kept beside it as `….quarantined`, for whoever wants to rescue what is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The copy.
    pub path: PathBuf,
    /// Where the hole begins.
    pub offset: u64,
    /// Frames in it, by the sequences that are missing; one where nothing sound follows, since nobody knows.
    pub frames: u64,
    /// What is wrong.
    pub why: &'static str,
}

pub(super) fn name(first_sequence: u64) -> String {
    format!("{first_sequence:020}.log")
}

/// The sequence that the first frame of a segment has or would have had.
pub(super) fn first_sequence(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

pub(super) fn header(writer: WriterId, first_sequence: u64, salt: u32) -> Vec<u8> {
    let mut copy = Vec::with_capacity(HEADER_2);
    copy.extend(MAGIC);
    copy.push(VERSION_2);
    copy.extend(writer.as_bytes());
    copy.extend(first_sequence.to_le_bytes());
    copy.extend(salt.to_le_bytes());
    copy.extend(crc32c::crc32c(&copy).to_le_bytes());
    copy.repeat(2)
}

/// How a segment's frames are spelled, and where they begin; and what is wrong with a header that a copy makes up for.
struct Opening {
    format: Format,
    frames_at: usize,
    broken: Option<&'static str>,
    header: Vec<u8>,
}

fn open(bytes: &[u8], writer: WriterId) -> Result<Opening, Broken> {
    let opening = read_headers(bytes, writer)?;
    if bytes.len() < opening.frames_at { Err(Broken::bytes("no whole header")) } else { Ok(opening) }
}

fn read_headers(bytes: &[u8], writer: WriterId) -> Result<Opening, Broken> {
    let copies = [bytes, bytes.get(HEADER_2..).unwrap_or_default()].map(|copy| (copy, check_header(copy, writer)));
    let foreign = copies.iter().find_map(|(_, read)| read.err().filter(|broken| broken.is_foreign));
    match copies {
        [(copy, Ok(Format::Plain)), _] => {
            let header = copy[..HEADER_1].to_vec();
            Ok(Opening { format: Format::Plain, frames_at: HEADER_1, broken: None, header })
        }
        [(copy, Ok(format)), (_, other)] | [(_, other @ Err(_)), (copy, Ok(format @ Format::Salted(_)))] => {
            let (header, broken) = (copy[..HEADER_2].repeat(2), other.err().map(|broken| broken.why));
            Ok(Opening { format, frames_at: HEADER, broken, header })
        }
        [(_, Err(broken)), _] => Err(foreign.unwrap_or(broken)),
    }
}

fn check_header(bytes: &[u8], writer: WriterId) -> Result<Format, Broken> {
    let length = if bytes.get(7) == Some(&VERSION_1) { HEADER_1 } else { HEADER_2 };
    let header = bytes.get(..length).ok_or(Broken::bytes("no whole header"))?;
    let (content, crc) = header.split_at(length - 4);
    if crc32c::crc32c(content).to_le_bytes() != crc {
        return Err(Broken::bytes("a header whose checksum does not fit"));
    }
    let format = match (&content[..7] == MAGIC, content[7]) {
        (true, VERSION_1) => Format::Plain,
        (true, VERSION_2) => {
            Format::Salted(u32::from_le_bytes(content[32..36].try_into().expect("four bytes of forty")))
        }
        _ => return Err(Broken::foreign("a segment of a version that this program does not read")),
    };
    if &content[8..24] != writer.as_bytes() {
        return Err(Broken::foreign("a segment of another writer"));
    }
    Ok(format)
}

/// A place in a segment that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) start: usize,
    /// Where sound frames go on; the end of the segment if they do not.
    pub(super) end: usize,
    pub(super) why: &'static str,
    /// Missing sequences; one where nothing sound follows, since nobody knows.
    pub(super) frames: u64,
    /// Whether a later frame proves that what was here was durable once.
    pub(super) was_durable: bool,
}

/// One segment read to its end.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) last: HashMap<TenantId, u64>,
    /// 0 when no frame was read.
    pub(super) last_sequence: u64,
    pub(super) holes: Vec<Hole>,
    /// Why nothing of it may be touched.
    pub(super) foreign: Option<&'static str>,
    /// The header as it was written.
    header: Vec<u8>,
}

impl Scan {
    fn take(&mut self, read: &Read) {
        self.last.insert(read.frame.tenant, read.frame.sequence);
        self.last_sequence = read.frame.sequence;
        if read.begins_batch {
            self.holes.iter_mut().for_each(|hole| hole.was_durable = true);
        }
    }
}

/// Reads a segment whose name says `first`, handing each sound frame to `each`.
pub(super) fn scan(bytes: &[u8], writer: WriterId, first: u64, mut each: impl FnMut(Frame)) -> Scan {
    let mut scan = Scan::default();
    let hole = |start, end, why, frames| Hole { start, end, why, frames, was_durable: false };
    let Opening { format, frames_at, broken, header } = match open(bytes, writer) {
        Ok(opening) => opening,
        Err(broken) if broken.is_foreign => return Scan { foreign: Some(broken.why), ..scan },
        // Made, and not written to: nothing of it is broken.
        Err(_) if bytes.is_empty() => return scan,
        Err(broken) => return Scan { holes: vec![hole(0, bytes.len(), broken.why, 1)], ..scan },
    };
    scan.header = header;
    scan.holes.extend(broken.map(|why| hole(0, frames_at, why, 0)));
    let mut at = frames_at;
    let mut search = Search { bytes, format, left: SEARCH_FACTOR.saturating_mul(bytes.len()) };
    while at < bytes.len() {
        match Frame::read(&bytes[at..], format) {
            Ok(read) => {
                at += read.length;
                scan.take(&read);
                each(read.frame);
            }
            Err(broken) if broken.is_foreign => return Scan { foreign: Some(broken.why), ..scan },
            Err(broken) => {
                let missing = (scan.last_sequence + 1).max(first);
                let (end, frames) = search.next(at, missing).unwrap_or((bytes.len(), 1));
                scan.holes.push(hole(at, end, broken.why, frames));
                at = end;
            }
        }
    }
    scan
}

/// A segment without some of its holes.
pub(super) fn without(bytes: &[u8], scan: &Scan, holes: &[&Hole]) -> Vec<u8> {
    let mut kept = scan.header.clone();
    let mut at = kept.len();
    for hole in holes.iter().filter(|hole| hole.start > 0) {
        kept.extend_from_slice(&bytes[at..hole.start]);
        at = hole.end;
    }
    kept.extend_from_slice(&bytes[at..]);
    kept
}

/// Bytes that may be checked in search of sound frames, as a multiple of the segment's: a hole full of things that look
/// like frames costs no more. Beyond it only a broken frame's own length leads on.
const SEARCH_FACTOR: usize = 8;

/// Looks for the sound frame behind a broken one.
struct Search<'a> {
    bytes: &'a [u8],
    format: Format,
    left: usize,
}

impl Search<'_> {
    /// Where it begins, and how many are missing before it, when `missing` is the sequence of the broken one.
    fn next(&mut self, broken: usize, missing: u64) -> Option<(usize, u64)> {
        self.by_length(broken, missing).or_else(|| self.by_bytes(broken, missing))
    }

    /// The broken frame's length can be believed if a sound frame follows.
    fn by_length(&self, broken: usize, missing: u64) -> Option<(usize, u64)> {
        let length = number(self.bytes, broken)? as usize;
        let next = broken.checked_add(HEAD + length).filter(|next| *next < self.bytes.len())?;
        let read = Frame::read(&self.bytes[next..], self.format).ok()?;
        Some((next, read.frame.sequence.saturating_sub(missing)))
    }

    /// Byte by byte. Not without a salt: a client could have put what looks like a frame into its request.
    fn by_bytes(&mut self, broken: usize, missing: u64) -> Option<(usize, u64)> {
        if self.format == Format::Plain {
            return None;
        }
        for start in broken + 1..self.bytes.len().saturating_sub(LENGTH_MIN) {
            let Some(length) = self.plausible(start, start - broken, missing) else { continue };
            self.left = self.left.checked_sub(length)?;
            if let Ok(read) = Frame::read(&self.bytes[start..], self.format) {
                return Some((start, read.frame.sequence - missing));
            }
        }
        None
    }

    /// The length of what could be a frame: it ends within the segment, and its sequence is one that can follow a hole of
    /// so many bytes.
    fn plausible(&self, start: usize, hole: usize, missing: u64) -> Option<usize> {
        let length = number(self.bytes, start)? as usize;
        let sequence = self.bytes.get(start + HEAD..start + HEAD + 8)?.try_into().map(u64::from_le_bytes).ok()?;
        let between = sequence.checked_sub(missing)?;
        let is_one =
            (1..=(hole / LENGTH_MIN) as u64 + 1).contains(&between) && length <= self.bytes.len() - start - HEAD;
        is_one.then_some(length)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().map(u32::from_le_bytes).ok()
}

/// Keeps a copy of a damaged segment beside it, unless an earlier start did.
pub(super) fn quarantine(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> std::io::Result<PathBuf> {
    let aside = beside(path, ".quarantined");
    if !disk.list(folder_of(path))?.contains(&aside) {
        write_whole(disk, &aside, bytes)?;
    }
    Ok(aside)
}

/// Torn writes that are kept; each is one batch of the log at most.
const TORN_MAX: usize = 8;

/// Keeps what is taken out of the newest segment, and lets the oldest of those that are kept go.
pub(super) fn keep_torn(disk: &dyn Disk, path: &Path, torn: &[u8]) -> std::io::Result<()> {
    write_whole(disk, &beside(path, ".torn"), torn)?;
    let kept = disk.list(folder_of(path))?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "torn"));
    // By name, so by sequence.
    let kept: Vec<_> = kept.collect();
    kept[..kept.len().saturating_sub(TORN_MAX)].iter().try_for_each(|oldest| disk.remove(oldest))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(ending);
    PathBuf::from(aside)
}
