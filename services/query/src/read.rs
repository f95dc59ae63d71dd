//! Plans over one snapshot.

mod attribution;
pub(crate) mod columns;
pub(crate) mod facets;
pub(crate) mod filter;
pub(crate) mod logs;
pub(crate) mod metadata;
pub(crate) mod metrics;
pub(crate) mod order;
mod parts;
mod pieces;
pub(crate) mod row;
pub(crate) mod rows;
pub(crate) mod scan;
pub(crate) mod scores;
pub(crate) mod sessions;
pub(crate) mod sort_key;
pub(crate) mod spans;
mod trace_set;
pub(crate) mod traces;
