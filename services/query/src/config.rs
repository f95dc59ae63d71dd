//! What query may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What query may take, beside the engine's own bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a scan for an export may take, its reader's slowness included.
    pub scan_deadline_ms: u64,
    /// How long reading rows for an export into files may take, from its snapshot to its last row.
    pub rows_deadline_ms: u64,
    /// Full rows of a scan that are sorted at a time: what bounds its memory.
    pub scan_chunk_rows: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { scan_deadline_ms: 600_000, rows_deadline_ms: 6 * 3_600_000, scan_chunk_rows: 2_048 }
    }
}

impl Config {
    pub(crate) fn scan_deadline(&self) -> Duration {
        Duration::from_millis(self.scan_deadline_ms)
    }

    pub(crate) fn rows_deadline(&self) -> Duration {
        Duration::from_millis(self.rows_deadline_ms)
    }
}
