//! Where the files of a run lie: in a folder here, or in a bucket.

use std::fs::{self, File};
use std::io::{Cursor, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use super::bucket::Bucket;
use crate::error::Error;

/// Of a manifest.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;
/// Folders below the one that is checked.
const DEPTH_MAX: usize = 8;

/// What can be read more than once.
pub(super) trait Content: Read + Seek {}
impl<T: Read + Seek> Content for T {}

/// The folder of a run. Names are below it, with slashes.
pub(super) enum Place {
    Folder(PathBuf),
    /// The prefix, without a slash at its end.
    Bucket(Box<Bucket>, String),
}

impl Place {
    /// A file of the run, whose name does not lead out of it; nothing when it is not there. One of a bucket is held in memory, as far as `bytes` and one more: whoever
    /// hears that it is longer need not read the rest.
    pub(super) async fn open(&self, name: &str, bytes: u64) -> Result<Option<Box<dyn Content>>, Error> {
        match self {
            Self::Folder(folder) => match File::open(folder.join(name)) {
                Ok(file) => Ok(Some(Box::new(file))),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(Error::file(&folder.join(name), error)),
            },
            Self::Bucket(bucket, prefix) => {
                let found = bucket.get(&format!("{prefix}/{name}"), bytes.saturating_add(1)).await?;
                Ok(found.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Content>))
            }
        }
    }

    /// The manifest's bytes.
    pub(super) async fn manifest(&self, name: &str) -> Result<Vec<u8>, Error> {
        let shown = self.shown(name);
        let content = self.open(name, MANIFEST_BYTES_MAX).await?;
        let content = content.ok_or_else(|| Error::invalid(format!("{shown} is not there")))?;
        let mut text = Vec::new();
        let read = content.take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut text);
        read.map_err(|error| Error::file(Path::new(&shown), error))?;
        if text.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(Error::invalid(format!("{shown} is too large for a manifest")));
        }
        Ok(text)
    }

    /// The folder above, which is the export's.
    pub(super) fn above(&self) -> Self {
        match self {
            Self::Folder(folder) => Self::Folder(crate::files::folder_of(folder).to_owned()),
            Self::Bucket(bucket, prefix) => {
                let above = prefix.rsplit_once('/').map(|(above, _)| above).unwrap_or_default();
                Self::Bucket(bucket.clone(), above.to_owned())
            }
        }
    }

    /// Names of all files there, and what could not be looked into.
    pub(super) async fn names(&self) -> Result<(Vec<String>, Vec<String>), Error> {
        match self {
            Self::Folder(folder) => Ok(names_below(folder)),
            Self::Bucket(bucket, prefix) => {
                let keys = bucket.list(&format!("{prefix}/")).await?;
                let names = keys.iter().filter_map(|key| key.strip_prefix(prefix)?.strip_prefix('/'));
                Ok((names.map(str::to_owned).collect(), Vec::new()))
            }
        }
    }

    /// Of a file, for people.
    pub(super) fn shown(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(name).display().to_string(),
            Self::Bucket(bucket, prefix) => format!("s3://{}/{prefix}/{name}", bucket.name),
        }
    }
}

fn names_below(folder: &Path) -> (Vec<String>, Vec<String>) {
    let (mut names, mut problems) = (Vec::new(), Vec::new());
    let mut waiting = vec![(folder.to_owned(), 0)];
    while let Some((inner, depth)) = waiting.pop() {
        let entries = match fs::read_dir(&inner) {
            Ok(entries) => entries.flatten(),
            Err(error) => {
                problems.push(format!("{}: {error}", inner.display()));
                continue;
            }
        };
        for path in entries.map(|entry| entry.path()) {
            if path.is_dir() && depth < DEPTH_MAX {
                waiting.push((path, depth + 1));
            } else if let Ok(name) = path.strip_prefix(folder) {
                names.push(name.to_string_lossy().into_owned());
            }
        }
    }
    (names, problems)
}
