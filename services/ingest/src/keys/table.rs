//! Up to which version a writer knows a table's files.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{Mutex, OnceCell};

use crate::error::Error;

/// How far one tenant's table is known. Nothing is known of a table that this writer holds no rows of.
#[derive(Debug, Default)]
pub(super) struct KnownTable {
    begun: OnceCell<()>,
    version: AtomicU64,
    /// One at a time looks for more.
    looking: Mutex<()>,
    /// Rows of it are in memory without having been compared with the files of their days.
    held: AtomicBool,
}

impl KnownTable {
    /// Before the first row: what is in files now is read day by day when it is needed.
    pub(super) async fn begin(&self, version: impl AsyncFnOnce() -> Result<u64, Error>) -> Result<(), Error> {
        let begin = async || {
            self.version.store(version().await?, Ordering::Release);
            Ok(())
        };
        self.begun.get_or_try_init(begin).await.copied()
    }

    /// Makes sure that everything up to `wanted` is known, by `look`, which is told what is and answers what is then.
    pub(super) async fn advance(
        &self,
        wanted: u64,
        look: impl AsyncFnOnce(u64) -> Result<u64, Error>,
    ) -> Result<u64, Error> {
        if !self.begun.initialized() || self.version() >= wanted {
            return Ok(self.version());
        }
        let _one = self.looking.lock().await;
        let known = self.version();
        if known >= wanted {
            return Ok(known);
        }
        let reached = look(known).await?;
        self.version.fetch_max(reached, Ordering::AcqRel);
        Ok(self.version())
    }

    /// A commit of ours has moved the table on; nobody else came between, or it would have been refused.
    pub(super) fn moved(&self, known: u64, version: u64) {
        // If it fails, a look has read our own file meanwhile.
        let _ = self.version.compare_exchange(known, version, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Its rows are neither shown nor flushed until they are compared with files. Answers whether they were held before.
    pub(super) fn hold(&self) -> bool {
        self.held.swap(true, Ordering::AcqRel)
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    pub(super) fn release(&self) {
        self.held.store(false, Ordering::Release);
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}
