//! A disk that forgets what it was not told to keep.
//!
//! ```text
//!   code under test ─► SimulatedDisk ─► a real folder (what a running process sees)
//!                          └─► Medium: what is durable, and what happened since the last sync of each file and folder
//!   power_loss(seed): the folder becomes something that a machine could find when the power is back
//! ```
//!
//! What may be lost: of each file what came since its last sync (any part of it, block by block, or zeroes or noise in its
//! place); of each folder any of the names that were made, changed or removed since its last sync. A file's own sync does
//! not keep its name, and a folder's sync does not keep what its files hold. What was synced is never touched.
//!
//! Removals that went round the disk (the store deletes through `object_store`) are found by comparing, and count as not
//! synced. Files that the disk was never told of, such as a lock, go with the power.

mod medium;
mod sync;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use spanlake_store::disk::{Disk, DiskFile, LocalDisk};

use self::medium::{FileNumber, Medium};
pub use self::sync::{Change, Sync};
use crate::Dice;

/// A handle of one life of a machine: after [`SimulatedDisk::killed`] or [`SimulatedDisk::power_loss`] it refuses
/// everything, so that what is left of the old process cannot reach the new one's files.
#[derive(Clone)]
pub struct SimulatedDisk {
    life: u64,
    state: Arc<Mutex<State>>,
}

type Ignored = Box<dyn Fn(&Sync) -> bool + Send>;

struct State {
    life: u64,
    medium: Medium,
    /// Operations that change something, in this life.
    operations: u64,
    stop_at: Option<u64>,
    stopped: bool,
    full_at: Option<u64>,
    /// Decides what the operation that the process stops in still does.
    dice: Dice,
    ignored: Option<Ignored>,
    syncs: Vec<Sync>,
}

/// What becomes of an operation.
enum Turn {
    Done,
    /// The process stops in it: it happens, or half of it, and nobody is told.
    Cut,
    /// The process stops before it.
    Never,
    Full,
}

impl SimulatedDisk {
    /// A disk whose files are those of `root`; what is there is durable.
    pub fn new(root: &Path) -> Self {
        let state = State {
            life: 0,
            medium: Medium::new(root),
            operations: 0,
            stop_at: None,
            stopped: false,
            full_at: None,
            dice: Dice::new(0),
            ignored: None,
            syncs: Vec::new(),
        };
        Self { life: 0, state: Arc::new(Mutex::new(state)) }
    }

    /// Stops the process in its `operations`th operation from now: that one happens, or half of it, or not; it fails, and
    /// so does everything after it.
    pub fn stop_after(&self, operations: u64, seed: u64) {
        let mut state = self.lock();
        state.stop_at = Some(state.operations + operations);
        state.dice = Dice::new(seed);
    }

    /// Whether the process has been stopped.
    pub fn is_stopped(&self) -> bool {
        let state = self.lock();
        state.stopped || state.life != self.life
    }

    /// Has no room for more from the `operations`th operation from now on, until [`SimulatedDisk::make_room`].
    pub fn fill_after(&self, operations: u64) {
        let mut state = self.lock();
        state.full_at = Some(state.operations + operations);
    }

    /// Has room again.
    pub fn make_room(&self) {
        self.lock().full_at = None;
    }

    /// Operations so far in this life.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Claims to have done the syncs that `which` picks and does nothing, in this life and all that follow.
    pub fn ignore(&self, which: impl Fn(&Sync) -> bool + Send + 'static) {
        self.lock().ignored = Some(Box::new(which));
    }

    /// The syncs of this life, each with what it was there for.
    pub fn syncs(&self) -> Vec<Sync> {
        self.lock().syncs.clone()
    }

    /// The process is gone and the machine runs on: the next process finds everything as it was.
    #[must_use]
    pub fn killed(&self) -> Self {
        self.next_life(&mut self.lock())
    }

    /// The power goes and comes back: the folder becomes one of those that a machine could find then.
    #[must_use]
    pub fn power_loss(&self, seed: u64) -> Self {
        let mut state = self.lock();
        state.medium.lose(&Dice::new(seed));
        self.next_life(&mut state)
    }

    /// Changes bytes that were durable, as an old disk does.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        self.lock().medium.damage(path, change);
    }

    fn next_life(&self, state: &mut State) -> Self {
        state.life += 1;
        (state.operations, state.stop_at, state.stopped, state.full_at) = (0, None, false, None);
        state.syncs.clear();
        Self { life: state.life, state: self.state.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Counts an operation; `grows` when it needs room.
    fn turn(&self, grows: bool) -> (MutexGuard<'_, State>, Turn) {
        let mut state = self.lock();
        if state.life != self.life || state.stopped {
            return (state, Turn::Never);
        }
        let number = state.operations;
        state.operations += 1;
        if state.stop_at.is_some_and(|at| number >= at) {
            state.stopped = true;
            let turn = if state.dice.chance(50) { Turn::Cut } else { Turn::Never };
            return (state, turn);
        }
        let full = grows && state.full_at.is_some_and(|at| number >= at);
        (state, if full { Turn::Full } else { Turn::Done })
    }

    /// An operation that happens wholly or not at all.
    fn operate<T>(&self, grows: bool, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let (mut state, turn) = self.turn(grows);
        match turn {
            Turn::Done => work(&mut state),
            Turn::Cut => work(&mut state).and_then(|_| Err(gone())),
            Turn::Never => Err(gone()),
            Turn::Full => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn file(&self, number: FileNumber, path: &Path, real: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(SimulatedFile { disk: self.clone(), number, path: path.to_owned(), real })
    }
}

fn gone() -> io::Error {
    io::Error::other("the process that held this disk has ended")
}

impl State {
    /// Whether this sync is to do something.
    fn note(&mut self, sync: Sync) -> bool {
        let ignored = self.ignored.as_ref().is_some_and(|ignored| ignored(&sync));
        self.syncs.push(sync);
        !ignored
    }
}

impl Disk for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let made = self.operate(true, |state| Ok((LocalDisk.create(path)?, state.medium.create(path))))?;
        Ok(self.file(made.1, path, made.0))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let opened = self.operate(false, |state| Ok((LocalDisk.open(path)?, state.medium.number(path)?)))?;
        Ok(self.file(opened.1, path, opened.0))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        LocalDisk.read(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        LocalDisk.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(false, |state| {
            LocalDisk.rename(from, to)?;
            state.medium.rename(from, to)
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(true, |state| {
            LocalDisk.link(from, to)?;
            state.medium.link(from, to)
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operate(false, |state| {
            LocalDisk.remove(path)?;
            state.medium.remove(path);
            Ok(())
        })
    }

    fn is_folder(&self, path: &Path) -> bool {
        LocalDisk.is_folder(path)
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.operate(true, |state| {
            LocalDisk.make_folder(folder)?;
            state.medium.make_folder(folder);
            Ok(())
        })
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.operate(false, |state| {
            let Some(changes) = state.medium.folder_changes(folder) else { return Ok(()) };
            if state.note(Sync { path: folder.to_owned(), is_folder: true, changes }) {
                state.medium.sync_folder(folder);
            }
            Ok(())
        })
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let state = self.lock();
        if state.full_at.is_some_and(|at| state.operations >= at) { Ok(0) } else { LocalDisk.free_bytes(folder) }
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    number: FileNumber,
    path: PathBuf,
    real: Box<dyn DiskFile>,
}

impl DiskFile for SimulatedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut state, turn) = self.disk.turn(true);
        let (taken, outcome) = match turn {
            Turn::Done => (bytes, Ok(())),
            Turn::Cut => (&bytes[..state.dice.below(bytes.len() + 1)], Err(gone())),
            Turn::Never => return Err(gone()),
            Turn::Full => (&bytes[..bytes.len() / 2], Err(io::ErrorKind::StorageFull.into())),
        };
        self.real.append(taken)?;
        state.medium.append(self.number, taken);
        outcome
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.operate(false, |state| {
            let changes = state.medium.file_changes(self.number);
            if state.note(Sync { path: self.path.clone(), is_folder: false, changes }) {
                state.medium.sync_file(self.number);
            }
            Ok(())
        })
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.disk.operate(false, |state| {
            self.real.cut(length)?;
            state.medium.cut(self.number, length);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
