//! Settings of ingest.

use serde::{Deserialize, Serialize};
use spanlake_store::{file, log};

/// Settings of ingest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bytes of one request after decompression; a larger one is refused with 413.
    pub request_bytes_max: usize,
    /// Bytes of memtables and of requests on their way into them; above it requests are refused with 503 until a flush has made room.
    pub memory_bytes_max: u64,
    /// Bytes of one tenant's memtable; above it that tenant's requests are refused with 429 until a flush has made room.
    pub tenant_memory_bytes_max: u64,
    /// A tenant's memtable is flushed at this size.
    pub flush_bytes: u64,
    /// A tenant's memtable is flushed at this age, in seconds.
    pub flush_age_s: u64,
    /// A memtable of fewer bytes than this is small, and waits for [`Self::flush_small_age_s`] instead: many tenants with
    /// little to say would make as many tiny files.
    pub flush_small_bytes: u64,
    /// As above.
    pub flush_small_age_s: u64,
    /// Bytes of log that are kept at most, about: above it the memtables that hold its oldest segments are flushed, whatever
    /// their age and size. It bounds the time of a restart as well as the disk.
    pub log_bytes_max: u64,
    /// How often to look for memtables that are due, in milliseconds.
    pub flush_check_ms: u64,
    /// Memory for the keys of data files, by which spans that are sent again are recognised, in keys of 9 bytes; the day that was
    /// written to last stays. A day with more than a million keys has them rest on disk beside the log, and takes a byte or two
    /// of memory for each, 64 MiB at the most.
    pub known_keys_max: usize,
    /// Bytes that must be free where the log lies; below it requests are refused with 503 until there is room again. 0 does not look.
    pub disk_free_bytes_min: u64,
    /// The write-ahead log.
    pub log: log::Config,
    /// Data files.
    pub file: file::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            request_bytes_max: 64 << 20,
            memory_bytes_max: 512 << 20,
            tenant_memory_bytes_max: 384 << 20,
            flush_bytes: 64 << 20,
            flush_age_s: 300,
            flush_small_bytes: 1 << 20,
            flush_small_age_s: 1_800,
            log_bytes_max: 1 << 30,
            flush_check_ms: 500,
            known_keys_max: 20_000_000,
            disk_free_bytes_min: 256 << 20,
            log: log::Config::default(),
            file: file::Config::default(),
        }
    }
}
