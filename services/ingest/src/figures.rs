//! What the service has done and holds, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start.
#[derive(Default)]
pub(crate) struct Figures {
    accepted: AtomicU64,
    refused: AtomicU64,
    flush_failures: AtomicU64,
}

impl Figures {
    /// A request was answered: so many of its spans, log records or scores were kept, so many refused one by one.
    pub(crate) fn answered(&self, accepted: u64, refused: u64) {
        self.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.refused.fetch_add(refused, Ordering::Relaxed);
    }
    pub(crate) fn could_not_flush(&self) {
        self.flush_failures.fetch_add(1, Ordering::Relaxed);
    }
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
    pub(crate) fn flush_failures(&self) -> u64 {
        self.flush_failures.load(Ordering::Relaxed)
    }
}

/// How an ingest service does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Segments of the log, the open one among them.
    pub log_segments: u64,
    /// Bytes in them.
    pub log_bytes: u64,
    /// Frames that were acknowledged and could not be read at the start; copies of their segments lie beside the log.
    pub log_frames_damaged: u64,
    /// Rows that are in no file yet, replaced ones among them.
    pub memtable_rows: u64,
    /// About what they take.
    pub memtable_bytes: u64,
    /// Spans, log records and scores that were kept.
    pub accepted_rows: u64,
    /// Those that were refused in requests that were not.
    pub refused_rows: u64,
    /// Rounds of flushing in which a table could not be.
    pub flush_failures: u64,
    /// It takes nothing in any more and must be started again.
    pub is_stopped: bool,
}
