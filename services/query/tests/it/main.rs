//! The routes and the scan, over a real engine on pieces in memory.
#![recursion_limit = "256"]
#![allow(unreachable_pub, dead_code, clippy::unwrap_used, reason = "a test binary: no public face, and it may panic")]

mod costs;
mod erasing;
mod face;
mod isolation;
mod logs;
mod newest;
mod pages;
mod scan;
mod spans;
mod traces;
// The engine's own pieces in memory, so that both are tested over the same.
#[path = "../../../../crates/engine/tests/it/world.rs"]
mod world;
