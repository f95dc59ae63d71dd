//! Each adapter over a real server on the loopback: it answers as the object behind it would, and no stranger gets in.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod auth;
mod calls;
mod ingest;
mod query;
mod world;
