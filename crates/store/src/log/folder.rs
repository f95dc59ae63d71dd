//! The log's folder: held by one process, read once at start.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FlockOperation;
use spanlake_model::{Entropy, WriterId};

use super::frame::Frame;
use super::segment::{self, Closed, Damage, Hole, Recovered, Scan};
use crate::disk::{Disk, Space, write_whole};

/// Why the log's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process holds it.
    #[error("{0} is in use by another process; stop it, or give this one a data folder of its own")]
    InUse(PathBuf),
    /// The file that names the writer does not hold an id.
    #[error("{0} does not hold a writer id; restore it from the name in the catalog, or move the folder away")]
    NoWriter(PathBuf),
    /// A segment is sound and not for this program; nothing of it is touched.
    #[error("{path} holds {why}; start the version that wrote it, or restore the folder as it was")]
    Foreign {
        /// The segment.
        path: PathBuf,
        /// What it holds.
        why: &'static str,
    },
    /// The disk refuses.
    #[error("the log in {path} cannot be read or written")]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The log's folder, locked for this process until dropped.
pub struct LogFolder {
    pub(super) path: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    entropy: Arc<dyn Entropy>,
    writer: WriterId,
    _lock: File,
}

impl LogFolder {
    pub(super) fn open(
        path: &Path,
        disk: Arc<dyn Disk>,
        entropy: Arc<dyn Entropy>,
        new_writer: impl FnOnce() -> WriterId,
    ) -> Result<Self, FolderError> {
        let io = |source| FolderError::Io { path: path.to_path_buf(), source };
        disk.create_folder(path).map_err(io)?;
        let lock = lock(path)?;
        let writer = writer_id(path, disk.as_ref(), new_writer)?;
        // The process that named the writer may have been killed before this, and we are about to tell others the name.
        disk.sync_dir(path).map_err(io)?;
        Ok(Self { path: path.to_path_buf(), disk, entropy, writer, _lock: lock })
    }

    /// Whose log this is; made with the folder.
    pub fn writer(&self) -> WriterId {
        self.writer
    }

    /// Room where the log lies.
    pub fn space(&self, free_bytes_min: u64) -> Space {
        Space::new(self.disk.clone(), self.path.clone(), free_bytes_min)
    }

    /// What nobody outside can guess, for a new segment.
    pub(super) fn salt(&self) -> u32 {
        let mut salt = [0; 4];
        self.entropy.fill(&mut salt);
        u32::from_le_bytes(salt)
    }

    /// Reads every segment in order, hands each sound frame to `each`, takes out a last write that never finished and puts
    /// copies of damaged segments aside.
    ///
    /// Holds one segment in memory at a time: [`super::Config::segment_bytes_max`], and at most one batch and one frame
    /// more. What was handed out is durable when this answers, also when the process that wrote it was killed before its sync.
    ///
    /// # Errors
    /// When the disk refuses; what a segment holds is an error only if it is sound and not ours.
    pub fn recover(&self, mut each: impl FnMut(Frame)) -> Result<Recovered, FolderError> {
        let mut recovered = Recovered::default();
        let list = self.disk.list(&self.path).map_err(|source| self.failed(source))?;
        let segments = list.into_iter().filter(|path| path.extension().is_some_and(|e| e == "log"));
        let segments: Vec<_> = segments.map(|path| (segment::first_sequence(&path).unwrap_or(1), path)).collect();
        for (index, (first, path)) in segments.iter().enumerate() {
            let is_newest = index + 1 == segments.len();
            self.read_one(path, *first, is_newest, &mut recovered, &mut each)?;
            let read_bytes: u64 = recovered.closed.iter().map(|closed| closed.bytes).sum();
            let (read, all) = (index + 1, segments.len());
            tracing::info!(
                log.segments_read = read,
                log.segments = all,
                log.read_bytes = read_bytes,
                "reading the log"
            );
        }
        Ok(recovered)
    }

    fn failed(&self, source: io::Error) -> FolderError {
        FolderError::Io { path: self.path.clone(), source }
    }

    fn read_one(
        &self,
        path: &Path,
        first: u64,
        is_newest: bool,
        recovered: &mut Recovered,
        each: &mut dyn FnMut(Frame),
    ) -> Result<(), FolderError> {
        let bytes = self.disk.read(path).map_err(|source| self.failed(source))?;
        let scan = segment::scan(&bytes, self.writer, first, |frame| {
            recovered.last_received = recovered.last_received.max(Some(frame.received_at));
            each(frame);
        });
        if let Some(why) = scan.foreign {
            return Err(FolderError::Foreign { path: path.to_path_buf(), why });
        }
        // A segment's name holds the sequence that its first frame has or would have had.
        recovered.last_sequence = recovered.last_sequence.max(scan.last_sequence).max(first.saturating_sub(1));
        let (torn, damaged): (Vec<_>, Vec<_>) = scan.holes.iter().partition(|hole| is_newest && !hole.was_durable);
        self.note(path, &bytes, &damaged, recovered).map_err(|source| self.failed(source))?;
        if is_newest {
            let mended = self.take_out(path, &bytes, &scan, &torn).and_then(|()| self.sync(path));
            mended.map_err(|source| self.failed(source))?;
            recovered.torn_bytes = torn.iter().map(|hole| (hole.end - hole.start) as u64).sum();
        }
        recovered.closed.push(Closed { path: path.to_path_buf(), last: scan.last, bytes: bytes.len() as u64 });
        Ok(())
    }

    /// Notes what is damaged. A copy stays.
    fn note(&self, path: &Path, bytes: &[u8], damaged: &[&Hole], recovered: &mut Recovered) -> io::Result<()> {
        for hole in damaged {
            let copy = segment::quarantine(self.disk.as_ref(), path, bytes)?;
            let (offset, frames) = (hole.start as u64, hole.frames);
            recovered.damage.push(Damage { path: copy, offset, frames, why: hole.why });
        }
        Ok(())
    }

    /// Takes a last write that never finished out of the newest segment, so that it is not damage in an older one later.
    /// As a rule nothing of it was acknowledged; a copy of it is kept for the exception, a last write that rotted.
    fn take_out(&self, path: &Path, bytes: &[u8], scan: &Scan, torn: &[&Hole]) -> io::Result<()> {
        let Some(hole) = torn.first() else { return Ok(()) };
        if bytes.len() > segment::HEADER {
            let written: Vec<u8> = torn.iter().flat_map(|hole| &bytes[hole.start..hole.end]).copied().collect();
            segment::keep_torn(self.disk.as_ref(), path, &written)?;
        }
        if hole.end == bytes.len() {
            return self.disk.open(path)?.cut(hole.start as u64);
        }
        write_whole(self.disk.as_ref(), path, &segment::without(bytes, scan, torn))
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.disk.open(path)?.sync()
    }
}

fn lock(folder: &Path) -> Result<File, FolderError> {
    let path = folder.join("lock");
    let io = |source| FolderError::Io { path: folder.to_path_buf(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(io)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(FolderError::InUse(folder.to_path_buf())),
        Err(other) => Err(io(other.into())),
    }
}

fn writer_id(folder: &Path, disk: &dyn Disk, new: impl FnOnce() -> WriterId) -> Result<WriterId, FolderError> {
    let path = folder.join("writer");
    let io = |source| FolderError::Io { path: folder.to_path_buf(), source };
    match disk.read(&path) {
        Ok(bytes) => std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or(FolderError::NoWriter(path)),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            let writer = new();
            write_whole(disk, &path, writer.to_string().as_bytes()).map_err(io)?;
            Ok(writer)
        }
        Err(other) => Err(io(other)),
    }
}
