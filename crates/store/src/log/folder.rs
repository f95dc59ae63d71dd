//! The log's folder: held by one process, read once at start.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FlockOperation;
use spanlake_model::WriterId;

use super::frame::{Broken, Frame};
use super::segment::{self, Closed, Damage, Recovered};
use crate::disk::{Disk, write_whole};

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
    writer: WriterId,
    _lock: File,
}

impl LogFolder {
    pub(super) fn open(
        path: &Path,
        disk: Arc<dyn Disk>,
        new_writer: impl FnOnce() -> WriterId,
    ) -> Result<Self, FolderError> {
        let io = |source| FolderError::Io { path: path.to_path_buf(), source };
        disk.create_folder(path).map_err(io)?;
        let lock = lock(path)?;
        let writer = writer_id(path, disk.as_ref(), new_writer)?;
        Ok(Self { path: path.to_path_buf(), disk, writer, _lock: lock })
    }

    /// Whose log this is; made with the folder.
    pub fn writer(&self) -> WriterId {
        self.writer
    }

    /// Reads every segment in order, hands each sound frame to `each`, cuts a torn tail and puts damaged segments aside.
    ///
    /// # Errors
    /// When the disk refuses; what a segment holds is never an error.
    pub fn recover(&self, mut each: impl FnMut(Frame)) -> Result<Recovered, FolderError> {
        let mut recovered = Recovered::default();
        let list = self.disk.list(&self.path).map_err(|source| self.failed(source))?;
        let paths: Vec<_> = list.into_iter().filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
        for (index, path) in paths.iter().enumerate() {
            self.read_one(path, index + 1 == paths.len(), &mut recovered, &mut each)?;
        }
        Ok(recovered)
    }

    fn failed(&self, source: io::Error) -> FolderError {
        FolderError::Io { path: self.path.clone(), source }
    }

    fn read_one(
        &self,
        path: &Path,
        newest: bool,
        recovered: &mut Recovered,
        each: &mut dyn FnMut(Frame),
    ) -> Result<(), FolderError> {
        let bytes = self.disk.read(path).map_err(|source| self.failed(source))?;
        let scan = segment::scan(&bytes, self.writer, each);
        if let Some(Broken { why, is_foreign: true }) = scan.tail {
            return Err(FolderError::Foreign { path: path.to_path_buf(), why });
        }
        // A segment's name holds the sequence that its first frame has or would have had.
        let named = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok()).unwrap_or(1);
        recovered.last_sequence = recovered.last_sequence.max(scan.last_sequence).max(named.saturating_sub(1));
        self.mend(path, newest, &bytes, &scan, recovered).map_err(|source| self.failed(source))?;
        recovered.closed.push(Closed { path: path.to_path_buf(), last: scan.last });
        Ok(())
    }

    /// Notes what is broken and cuts a torn end. Nothing that was written is thrown away: a copy stays.
    fn mend(
        &self,
        path: &Path,
        newest: bool,
        bytes: &[u8],
        scan: &segment::Scan,
        recovered: &mut Recovered,
    ) -> io::Result<()> {
        let tail = scan.tail.map(|broken| (scan.sound, broken.why));
        let torn = tail.filter(|_| newest);
        for (offset, why) in scan.holes.iter().copied().chain(tail.filter(|_| !newest)) {
            let copy = segment::quarantine(self.disk.as_ref(), path, bytes)?;
            recovered.damage.push(Damage { path: copy, offset: offset as u64, why });
        }
        if torn.is_some() {
            // As a rule a write that never finished, so that nothing of it was acknowledged; the copy is for the exception.
            if scan.sound > 0 {
                segment::quarantine(self.disk.as_ref(), path, bytes)?;
            }
            recovered.torn_bytes += (bytes.len() - scan.sound) as u64;
            self.cut(path, scan.sound)?;
        }
        Ok(())
    }

    fn cut(&self, path: &Path, sound: usize) -> io::Result<()> {
        let mut file = self.disk.open(path)?;
        file.cut(sound as u64)?;
        file.sync()
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
