//! A disk that fails.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spanlake_store::disk::{Disk, DiskFile, LocalDisk};

use super::plan::{Call, Process};

/// The machine's, but for what is planned.
pub(crate) struct FaultyDisk(pub(crate) Arc<Process>);

struct FaultyFile {
    inner: Box<dyn DiskFile>,
    process: Arc<Process>,
}

fn broken() -> io::Error {
    io::Error::other("the disk fails")
}

impl FaultyDisk {
    fn reads<T>(&self, name: &'static str, done: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.0.around_blocking(Call::reads(name), broken, || {}, done)
    }
    fn changes<T>(&self, name: &'static str, done: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.0.around_blocking(Call::changes(name), broken, || {}, done)
    }
    fn file(&self, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { inner, process: self.0.clone() })
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.changes("disk.create", || LocalDisk.create(path)).map(|file| self.file(file))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.reads("disk.open", || LocalDisk.open(path)).map(|file| self.file(file))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.reads("disk.read", || LocalDisk.read(path))
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.reads("disk.list", || LocalDisk.list(folder))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.changes("disk.rename", || LocalDisk.rename(from, to))
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.changes("disk.link", || LocalDisk.link(from, to))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.changes("disk.remove", || LocalDisk.remove(path))
    }
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.changes("disk.make_folder", || LocalDisk.make_folder(folder))
    }
    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.changes("disk.sync_dir", || LocalDisk.sync_dir(folder))
    }
    /// Cannot fail, so that there is nothing to plan.
    fn is_folder(&self, path: &Path) -> bool {
        LocalDisk.is_folder(path)
    }
    /// Asked as often as time passes, so that its calls have no numbers.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        LocalDisk.free_bytes(folder)
    }
}

impl DiskFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let inner = std::cell::RefCell::new(&mut self.inner);
        let half = || drop(inner.borrow_mut().append(&bytes[..bytes.len() / 2]));
        let done = || inner.borrow_mut().append(bytes);
        self.process.around_blocking(Call::changes("disk.append"), broken, half, done)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.process.around_blocking(Call::changes("disk.sync"), broken, || {}, || self.inner.sync())
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.process.around_blocking(Call::changes("disk.cut"), broken, || {}, || self.inner.cut(length))
    }
}
