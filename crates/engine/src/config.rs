//! How much one query and all of them may use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::turns;

/// How much one query and all of them may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a query may take, from its snapshot to its last row.
    pub deadline_ms: u64,
    /// Data files one query may open; more is refused with the advice to narrow the range. An export may open any
    /// number, one after another.
    pub files_max: usize,
    /// Memory one query may hold; at the bound it fails.
    pub query_memory_bytes: usize,
    /// Memory all queries of this process may hold together; at the bound the one that asks fails and may be tried again.
    pub memory_bytes: usize,
    /// Queries that run at the same time, exports apart; others wait for their turn, tenant by tenant.
    pub queries_at_once: usize,
    /// Of one tenant.
    pub tenant_queries_at_once: usize,
    /// Queries of one tenant that may wait; one more is refused with 429.
    pub tenant_queries_waiting: usize,
    /// Scans for exports that run at the same time.
    pub scans_at_once: usize,
    /// Of one tenant. As many more may wait as queries may.
    pub tenant_scans_at_once: usize,
    /// Bytes of data files one query may read; at the bound it fails. An export may read any number.
    pub query_read_bytes: u64,
    /// Which traces, sessions and users which files hold, about 4 bytes each, kept from one query to the next; at the bound the least used
    /// go.
    pub trace_index_bytes: usize,
    /// What single data files came to in metrics, facets and sorted lists, kept from one query to the next; at the bound the least used go.
    pub answers_bytes: usize,
    /// Rows from which on what a data file came to is kept; smaller ones are merged soon.
    pub piece_rows: u64,
    /// Rows whose trees are held at a time to settle which usage counts; a query over more does it in several rounds, each over
    /// some of the traces.
    pub tree_rows: u64,
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
            queries_at_once: 8,
            tenant_queries_at_once: 4,
            tenant_queries_waiting: 64,
            scans_at_once: 4,
            tenant_scans_at_once: 2,
            query_read_bytes: 16 << 30,
            trace_index_bytes: 64 << 20,
            answers_bytes: 128 << 20,
            piece_rows: 16_384,
            tree_rows: 1_000_000,
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

    pub(crate) fn query_turns(&self) -> turns::Bounds {
        turns::Bounds {
            at_once: self.queries_at_once,
            of_tenant: self.tenant_queries_at_once,
            waiting_of_tenant: self.tenant_queries_waiting,
        }
    }

    pub(crate) fn scan_turns(&self) -> turns::Bounds {
        turns::Bounds {
            at_once: self.scans_at_once,
            of_tenant: self.tenant_scans_at_once,
            waiting_of_tenant: self.tenant_queries_waiting,
        }
    }
}
