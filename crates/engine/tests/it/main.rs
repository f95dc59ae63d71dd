//! What a snapshot promises, over real Parquet files in memory.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test binary: no public face, and it may panic")]

mod bounds;
mod calls;
mod erased;
mod near;
mod pieces;
mod prices;
mod rows;
mod world;
