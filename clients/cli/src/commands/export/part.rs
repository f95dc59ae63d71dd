//! A file that is not whole yet, and what is needed to go on with it.
//!
//! ```text
//!   FILE.part       rows                ── whole ──► FILE
//!   FILE.part.json  how far, of what    ── whole ──► removed
//! ```
//!
//! Rows are on the disk before the state says so, and the state is replaced as a whole; so after any crash the state names
//! a length up to which the rows are good, and a cursor from which the others come again.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::query::Query;
use super::summary::Summary;
use crate::client::Client;
use crate::error::Error;
use crate::files;

/// Of the state as it is written.
const VERSION: u32 = 1;

/// What an export is of: it goes on only with the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) url: String,
    pub(super) app: Option<String>,
    pub(super) query: Vec<(String, String)>,
}

impl Source {
    pub(super) fn of(client: &Client, query: &Query, cursor: Option<&str>) -> Self {
        let cursor = cursor.map(|cursor| ("cursor".to_owned(), cursor.to_owned()));
        let query = query.identity().chain(cursor).collect();
        Self { url: client.url.clone(), app: client.app.clone(), query }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    version: u32,
    source: Source,
    /// Whole pages of rows.
    bytes: u64,
    summary: Summary,
}

/// `FILE.part`, which nobody else writes to meanwhile.
#[derive(Debug)]
pub(super) struct Part {
    target: PathBuf,
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Of whole pages.
    kept_bytes: u64,
    /// Whether there is something to go on with.
    is_kept: bool,
}

impl Part {
    /// Begins anew; unless an unfinished export is there, which must not be lost by chance.
    pub(super) fn begin(target: &Path, may_discard: bool) -> Result<Self, Error> {
        let part = Self::open(target)?;
        if !may_discard && part.bytes > 0 && read_state(&part.path)?.is_some() {
            return Err(Error::invalid(format!(
                "{} holds an unfinished export: go on with it with --all, or begin again with --force",
                part.path.display()
            )));
        }
        part.cut(0)
    }

    /// Goes on with what is there of the same source, if anything is; otherwise begins.
    pub(super) fn resume(target: &Path, source: &Source, may_discard: bool) -> Result<(Self, Option<Summary>), Error> {
        let part = Self::open(target)?;
        let state = match read_state(&part.path)? {
            Some(state) if state.source == *source && state.bytes <= part.bytes => state,
            // Without rows there is nothing to lose: its file got its name, and the state was about to go.
            Some(_) if !may_discard && part.bytes > 0 => {
                return Err(Error::invalid(format!(
                    "{} holds an unfinished export with other filters or of another Spanlake: repeat its command to go on \
                     with it, or begin again with --force",
                    part.path.display()
                )));
            }
            Some(_) | None => return Ok((part.cut(0)?, None)),
        };
        Ok((part.cut(state.bytes)?, Some(state.summary)))
    }

    fn open(target: &Path) -> Result<Self, Error> {
        let target = real(target)?;
        let path = suffixed(&target, ".part");
        let open = || {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Ok(()) => Ok(file),
                Err(TryLockError::WouldBlock) => Err(ErrorKind::ResourceBusy.into()),
                Err(TryLockError::Error(error)) => Err(error),
            }
        };
        let file = open().map_err(|error| match error.kind() {
            ErrorKind::ResourceBusy => Error::invalid(format!("another spanlake is writing to {}", path.display())),
            _ => Error::file(&path, error),
        })?;
        let bytes = file.metadata().map_err(|error| Error::file(&path, error))?.len();
        // Until it is decided what to do with it, what was there stays.
        Ok(Self { target, path, file, bytes, kept_bytes: bytes, is_kept: bytes > 0 })
    }

    fn cut(mut self, bytes: u64) -> Result<Self, Error> {
        if bytes == 0 {
            files::remove(&state_path(&self.path)).map_err(|error| Error::file(&self.path, error))?;
        }
        (self.kept_bytes, self.is_kept) = (bytes, bytes > 0);
        self.back()?;
        Ok(self)
    }

    /// Without the page that was begun last.
    pub(super) fn back(&mut self) -> Result<(), Error> {
        let back = || {
            self.file.set_len(self.kept_bytes)?;
            (&self.file).seek(SeekFrom::Start(self.kept_bytes))
        };
        back().map_err(|error| Error::file(&self.path, error))?;
        self.bytes = self.kept_bytes;
        Ok(())
    }

    /// Its name.
    pub(super) fn shown(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// Appends rows.
    pub(super) fn write(&mut self, rows: &[u8]) -> Result<(), Error> {
        self.file.write_all(rows).map_err(|error| Error::file(&self.path, error))?;
        self.bytes += rows.len() as u64;
        Ok(())
    }

    /// From here on it can go on.
    pub(super) fn keep(&mut self, source: &Source, summary: &Summary) -> Result<(), Error> {
        let state = State { version: VERSION, source: source.clone(), bytes: self.bytes, summary: summary.clone() };
        let state_path = state_path(&self.path);
        let text = serde_json::to_vec(&state).map_err(|error| Error::file(&state_path, error.into()))?;
        self.file.sync_data().map_err(|error| Error::file(&self.path, error))?;
        files::replace(&state_path, &text).map_err(|error| Error::file(&state_path, error))?;
        (self.kept_bytes, self.is_kept) = (self.bytes, true);
        Ok(())
    }

    /// It is whole: gives it its name.
    pub(super) fn finish(mut self) -> Result<u64, Error> {
        let finish = || {
            self.file.sync_all()?;
            fs::rename(&self.path, &self.target)?;
            files::remove(&state_path(&self.path))?;
            files::sync_folder_of(&self.target)
        };
        finish().map_err(|error| Error::file(&self.target, error))?;
        // Nothing of it is called `.part` any more.
        self.is_kept = true;
        Ok(self.bytes)
    }
}

impl Drop for Part {
    /// What nobody can go on with is not left lying about.
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Through links: what they point at is replaced, not the link.
fn real(target: &Path) -> Result<PathBuf, Error> {
    match fs::canonicalize(target) {
        Ok(path) if path.is_file() => Ok(path),
        Ok(path) => {
            Err(Error::invalid(format!("{} is no file; leave out --output for standard output", path.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(target.to_owned()),
        Err(error) => Err(Error::file(target, error)),
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn state_path(part: &Path) -> PathBuf {
    suffixed(part, ".json")
}

fn read_state(part: &Path) -> Result<Option<State>, Error> {
    let path = state_path(part);
    match fs::read(&path) {
        Ok(text) => match serde_json::from_slice::<State>(&text) {
            Ok(state) if state.version == VERSION => Ok(Some(state)),
            Ok(_) | Err(_) => Err(Error::invalid(format!(
                "{} cannot be read by this spanlake; remove it and {} to begin again",
                path.display(),
                part.display()
            ))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(&path, error)),
    }
}

#[cfg(test)]
mod tests;
