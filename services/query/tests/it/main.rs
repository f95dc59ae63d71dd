//! The routes and the scan, over a real engine on pieces in memory.
#![recursion_limit = "256"]
#![allow(unreachable_pub, dead_code, clippy::unwrap_used, reason = "a test binary: no public face, and it may panic")]

mod costs;
mod disconnected;
mod erasing;
mod face;
mod facets;
mod filters;
mod isolation;
mod logs;
mod long_sessions;
mod metrics;
mod newest;
mod pages;
mod plans;
mod rows;
mod scan;
mod sessions;
mod spans;
mod stories;
mod traces;
mod unread;
// The engine's own pieces in memory, so that both are tested over the same.
#[path = "../../../../crates/engine/tests/it/world.rs"]
mod world;
