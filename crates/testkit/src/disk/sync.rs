//! What a sync was there for.

use std::path::PathBuf;

/// One call of a sync, with what had happened since the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// The file or folder.
    pub path: PathBuf,
    /// Which of the two.
    pub is_folder: bool,
    /// What it makes durable.
    pub changes: Vec<Change>,
}

/// What happened to a file or to a name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Bytes were appended to a file.
    Appended,
    /// A file was cut.
    Cut,
    /// A file got a name: it was made, linked or renamed to it.
    Named(String),
    /// A folder was made.
    Folder(String),
    /// A name was removed.
    Removed(String),
}
