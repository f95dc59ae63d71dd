//! The few things we ask of a file system, so that a test can put a worse one in its place.
//!
//! All calls block: use them off the async threads. Nothing written is durable before [`DiskFile::sync`], and no new,
//! renamed or removed name before [`Disk::sync_dir`] of its folder. What is made of these steps, and has to be durable as
//! a whole, is here too and the same for every disk: [`Disk::create_folder`], [`write_whole`].

mod space;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub use space::Space;

/// A file being appended to.
pub trait DiskFile: Send {
    /// Appends all of `bytes`.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything appended so far durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Lets the disk begin with what was appended so far, so that a sync at the end of a long file has little left to do and
    /// keeps nobody else's waiting. A hint: it makes no promise, and need do nothing.
    fn begin_writing(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// Cuts the file to `length` bytes.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// A file system.
pub trait Disk: Send + Sync + 'static {
    /// Makes a new file; one of that name must not exist.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an existing file for appending.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// The whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The files of a folder, sorted by name.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// Gives a file another name, replacing what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name; [`io::ErrorKind::AlreadyExists`] when that is taken, and of two who try one succeeds.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; one that is gone already is fine.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Whether there is a folder of this name.
    fn is_folder(&self, path: &Path) -> bool;
    /// Makes one folder; one that is there already is fine.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;
    /// Bytes that may still be written to the file system of `folder`.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;

    /// Makes a folder and those above it, each of them durable.
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let above = folder_of(folder);
        if self.is_folder(folder) {
            // Whoever made it may not have come to this yet. A folder above that is not ours to open was there before us.
            return self.sync_dir(above).or_else(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => Ok(()),
                _ => Err(error),
            });
        }
        self.create_folder(above)?;
        self.make_folder(folder)?;
        self.sync_dir(above)
    }
}

/// The folder that a file or folder lies in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file so that its name never holds less than all of it, also when the power goes; replaces what has the name.
///
/// # Errors
/// When the disk refuses; then what had the name still has it.
pub fn write_whole(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    // Of an earlier try.
    disk.remove(&temporary)?;
    let mut file = disk.create(&temporary)?;
    if let Err(error) = file.append(bytes).and_then(|()| file.sync()) {
        // A full disk would stay full of it.
        drop(file);
        disk.remove(&temporary)?;
        return Err(error);
    }
    disk.rename(&temporary, path)?;
    disk.sync_dir(folder_of(path))
}

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

struct LocalFile(File);

impl DiskFile for LocalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn begin_writing(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}

impl Disk for LocalDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(LocalFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LocalFile(OpenOptions::new().append(true).open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        match std::fs::create_dir(folder) {
            Err(there) if there.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            outcome => outcome,
        }
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let space = rustix::fs::statvfs(folder)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_who_give_a_name_the_second_is_refused_and_the_first_stays() {
        let folder = std::env::temp_dir().join(format!("spanlake-link-{}", std::process::id()));
        LocalDisk.create_folder(&folder).unwrap();
        let name = |name: &str| folder.join(name);
        write_whole(&LocalDisk, &name("a"), b"a").unwrap();
        write_whole(&LocalDisk, &name("b"), b"b").unwrap();
        LocalDisk.link(&name("a"), &name("c")).unwrap();
        let refused = LocalDisk.link(&name("b"), &name("c")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(LocalDisk.read(&name("c")).unwrap(), b"a");
        assert!(LocalDisk.free_bytes(&folder).unwrap() > 0);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
