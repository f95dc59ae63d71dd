//! Settings of the compactor.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use spanlake_store::file;

/// Settings of the compactor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A tenant's day is looked at when it has this many files, and that many neighbours are merged; 2 at the least.
    /// A smaller number makes fewer files and writes each row more often.
    pub least_files: u64,
    /// Bytes of Parquet that one merge reads at most: what bounds its memory, which is several times as much because rows are
    /// compressed in files. A file larger than half of it is never merged again, so it is also about the size files grow to.
    pub input_bytes_max: u64,
    /// Days looked at in one look at most, those with the most files first; the others wait for a later look.
    pub days_per_look_max: u32,
    /// Replaced files deleted in one look at most; the others wait for the next.
    pub removed_files_per_look_max: u32,
    /// How long a replaced file stays, in seconds. Longer than the longest query or export may run, or it will miss the file.
    pub lingering_s: u64,
    /// Pause between two looks for work, in seconds.
    pub look_interval_s: u64,
    /// Data files.
    pub file: file::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            least_files: 8,
            input_bytes_max: 128 << 20,
            days_per_look_max: 1_000,
            removed_files_per_look_max: 1_000,
            lingering_s: 600,
            look_interval_s: 30,
            file: file::Config::default(),
        }
    }
}

impl Config {
    /// Merging a single file would change nothing, for ever.
    pub(crate) fn least_files(&self) -> u64 {
        self.least_files.max(2)
    }
    pub(crate) const fn lingering(&self) -> Duration {
        Duration::from_secs(self.lingering_s)
    }
    pub(crate) const fn look_interval(&self) -> Duration {
        Duration::from_secs(self.look_interval_s)
    }
}
