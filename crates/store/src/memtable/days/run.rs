//! Keys on disk: a sorted run of hashes in a file without a name, which is gone with its last reader.
//!
//! ```text
//!   hash ─► filter: not here (nearly always)
//!             └─► fences: which page ─► one read of 4 KiB ─► here or not
//! ```

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use parquet::bloom_filter::Sbbf;

use super::shard::find;

/// Entries read at once.
const PAGE: usize = 512;
const ENTRY_BYTES: usize = size_of::<u64>();
/// A filter has a byte or two for each key, and of the largest runs less: then more looks go to the disk in vain.
const FILTER_BYTES_MAX: usize = 32 << 20;

/// Sorted entries, each hash once.
#[derive(Debug)]
pub(super) struct Run {
    file: File,
    len: usize,
    /// The first entry of each page.
    fences: Vec<u64>,
    filter: Sbbf,
}

impl Run {
    /// Writes sorted entries, about `expected` of them, into a new file of this folder.
    ///
    /// # Errors
    /// The disk refuses; then nothing stays on it.
    pub(super) fn write(folder: &Path, entries: impl Iterator<Item = u64>, expected: usize) -> io::Result<Self> {
        let mut run = Self {
            file: tempfile::tempfile_in(folder)?,
            len: 0,
            fences: Vec::with_capacity(expected.div_ceil(PAGE)),
            filter: Sbbf::new_with_num_of_bytes(expected.min(FILTER_BYTES_MAX)),
        };
        let mut file = BufWriter::with_capacity(1 << 20, &run.file);
        for entry in entries {
            if run.len.is_multiple_of(PAGE) {
                run.fences.push(entry);
            }
            run.filter.insert(&(entry >> 1));
            file.write_all(&entry.to_le_bytes())?;
            run.len += 1;
        }
        file.flush()?;
        drop(file);
        Ok(run)
    }

    /// Two runs as one.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn merge(folder: &Path, one: &Self, other: &Self) -> io::Result<Self> {
        let failure = Cell::new(None);
        let entries = super::shard::merged(one.entries(&failure), other.entries(&failure));
        let merged = Self::write(folder, entries, one.len + other.len)?;
        failure.into_inner().map_or(Ok(merged), Err)
    }

    /// Whether the hash is here, and had ended.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn finished(&self, hash: u64) -> io::Result<Option<bool>> {
        if !self.filter.check(&(hash >> 1)) {
            return Ok(None);
        }
        // The hash's own bit is clear, its entry's may be set.
        let Some(page) = self.fences.partition_point(|first| *first <= hash | 1).checked_sub(1) else {
            return Ok(None);
        };
        Ok(find(&self.page(page)?, hash))
    }

    /// Entries on disk.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.filter.num_blocks() * 32 + self.fences.capacity() * ENTRY_BYTES
    }

    /// All entries in order, up to the first that cannot be read.
    fn entries(&self, failure: &Cell<Option<io::Error>>) -> impl Iterator<Item = u64> {
        let pages =
            (0..self.fences.len()).map_while(|page| self.page(page).map_err(|error| failure.set(Some(error))).ok());
        pages.flatten()
    }

    fn page(&self, page: usize) -> io::Result<Vec<u64>> {
        let first = page * PAGE;
        let mut bytes = vec![0; PAGE.min(self.len - first) * ENTRY_BYTES];
        self.file.read_exact_at(&mut bytes, (first * ENTRY_BYTES) as u64)?;
        let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
        Ok(entries.iter().map(|entry| u64::from_le_bytes(*entry)).collect())
    }
}
