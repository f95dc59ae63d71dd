//! What the compactor guarantees, over a real catalog.

#![expect(clippy::unwrap_used, reason = "all of this is test code; clippy sees it only inside the test functions")]

mod erasing;
mod leases;
mod losing;
mod meddled;
mod merging;
mod oracle;
mod orphans;
mod packing;
mod removing;
mod running;
mod world;
