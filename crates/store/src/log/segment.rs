//! Segments on disk, and what a restart makes of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use spanlake_model::{TenantId, WriterId};

use super::frame::{Broken, Frame, HEAD};
use crate::disk::{Disk, folder_of, write_whole};

/// Opens every segment; the digit is the format version.
const MAGIC: &[u8; 8] = b"SPANLOG1";
pub(super) const HEADER: usize = 8 + 16 + 8 + 4;

/// A closed segment that may still hold frames above a watermark.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) path: PathBuf,
    /// The last sequence of each tenant in it.
    pub(super) last: HashMap<TenantId, u64>,
}

/// What a restart found.
#[derive(Debug, Default)]
pub struct Recovered {
    pub(super) closed: Vec<Closed>,
    /// The highest sequence ever given; the next frame gets one more.
    pub last_sequence: u64,
    /// Bytes cut from the end: a write that never finished, never acknowledged.
    pub torn_bytes: u64,
    /// Frames that were acknowledged and cannot be read.
    pub damage: Vec<Damage>,
}

/// A segment with a hole in it. A whole copy is kept beside it as `….quarantined`, for whoever wants to rescue what is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The copy.
    pub path: PathBuf,
    /// Where the hole begins.
    pub offset: u64,
    /// What is wrong.
    pub why: &'static str,
}

pub(super) fn name(first_sequence: u64) -> String {
    format!("{first_sequence:020}.log")
}

pub(super) fn header(writer: WriterId, first_sequence: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend(MAGIC);
    bytes.extend(writer.as_bytes());
    bytes.extend(first_sequence.to_le_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

fn check_header(bytes: &[u8], writer: WriterId) -> Result<(), Broken> {
    let header = bytes.get(..HEADER).ok_or(Broken::bytes("no whole header"))?;
    let (content, crc) = header.split_at(HEADER - 4);
    if crc32c::crc32c(content).to_le_bytes() != crc {
        return Err(Broken::bytes("a header whose checksum does not fit"));
    }
    if &content[..8] != MAGIC {
        return Err(Broken::foreign("a segment of a version that this program does not read"));
    }
    if &content[8..24] != writer.as_bytes() {
        return Err(Broken::foreign("a segment of another writer"));
    }
    Ok(())
}

/// One segment read to its end.
pub(super) struct Scan {
    pub(super) last: HashMap<TenantId, u64>,
    pub(super) last_sequence: u64,
    /// Where the last sound frame ends.
    pub(super) sound: usize,
    /// Broken frames with sound ones behind them: where, and what is wrong.
    pub(super) holes: Vec<(usize, &'static str)>,
    /// Why nothing behind `sound` can be read, if anything is there.
    pub(super) tail: Option<Broken>,
}

/// Reads a segment, handing each sound frame to `each`.
pub(super) fn scan(bytes: &[u8], writer: WriterId, mut each: impl FnMut(Frame)) -> Scan {
    let mut scan = Scan { last: HashMap::new(), last_sequence: 0, sound: 0, holes: Vec::new(), tail: None };
    if let Err(broken) = check_header(bytes, writer) {
        scan.tail = Some(broken);
        return scan;
    }
    let mut at = HEADER;
    scan.sound = at;
    while at < bytes.len() {
        match Frame::read(&bytes[at..]) {
            Ok((frame, length)) => {
                scan.last.insert(frame.tenant, frame.sequence);
                scan.last_sequence = frame.sequence;
                at += length;
                scan.sound = at;
                each(frame);
            }
            Err(broken) => match next_sound(bytes, at).filter(|_| !broken.is_foreign) {
                Some(next) => {
                    scan.holes.push((at, broken.why));
                    at = next;
                }
                None => {
                    scan.tail = Some(broken);
                    break;
                }
            },
        }
    }
    scan
}

/// Where the frame behind a broken one begins, if the broken one's length can be believed because a sound frame follows.
fn next_sound(bytes: &[u8], broken: usize) -> Option<usize> {
    let length = bytes.get(broken..broken + 4)?.try_into().map(u32::from_le_bytes).ok()? as usize;
    let next = broken.checked_add(HEAD + length)?;
    (next < bytes.len() && Frame::read(&bytes[next..]).is_ok()).then_some(next)
}

/// Keeps a copy of a damaged segment beside it, unless an earlier start did.
pub(super) fn quarantine(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> std::io::Result<PathBuf> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".quarantined");
    let aside = PathBuf::from(aside);
    if !disk.list(folder_of(path))?.contains(&aside) {
        write_whole(disk, &aside, bytes)?;
    }
    Ok(aside)
}
