//! How much one query and all of them may use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much one query and all of them may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a query may take, from its snapshot to its last row.
    pub deadline_ms: u64,
    /// Data files one query may open; more is refused with the advice to narrow the range.
    pub files_max: usize,
    /// Memory one query may hold; at the bound it fails.
    pub query_memory_bytes: usize,
    /// Memory all queries of this process may hold together; at the bound the one that asks fails and may be tried again.
    pub memory_bytes: usize,
    /// Parquet footers and indexes kept from one query to the next; at the bound the least recently used go.
    pub metadata_cache_bytes: usize,
    /// How many parts of a query run at the same time.
    pub partitions: usize,
    /// Rows that travel together.
    pub batch_rows: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            deadline_ms: 30_000,
            files_max: 4_096,
            query_memory_bytes: 256 << 20,
            memory_bytes: 1 << 30,
            metadata_cache_bytes: 64 << 20,
            partitions: 2,
            batch_rows: 8_192,
        }
    }
}

impl Config {
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}
