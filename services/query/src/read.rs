//! Plans over one snapshot.

pub(crate) mod columns;
pub(crate) mod filter;
pub(crate) mod logs;
pub(crate) mod order;
pub(crate) mod scan;
pub(crate) mod spans;
pub(crate) mod traces;
