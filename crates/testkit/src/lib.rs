//! What tests need and the product must never see: a clock to move, randomness to repeat, private databases and folders,
//! waiting, captured requests, and spans to send. A dev-dependency only.
//!
//! ```text
//!   outside world: ManualClock, SeededEntropy, Dice    services: postgres_url, redis_url, Database
//!   disk:          TemporaryFolder, SimulatedDisk      telemetry: captures (real SDKs), otlp (hand-made)
//!   time:          eventually                              certificates: Authority
//! ```
//!
//! Invariants
//! - Nothing sleeps for a fixed time: [`eventually`] looks until a condition holds, and fails after a deadline that is
//!   far beyond what a slow machine needs.
//! - A missing database is a failure that says how to run the tests, never a skipped test.
//! - What was made is removed on drop: folders, databases.

#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise; this crate is part of tests")]

mod captures;
mod certificates;
mod clock;
mod dice;
pub mod disk;
mod entropy;
mod folder;
pub mod otlp;
mod services;
mod wait;

pub use captures::{Capture, CapturedRequest, Encoding, SentSpan, captured_at, captures};
pub use certificates::Authority;
pub use clock::ManualClock;
pub use dice::Dice;
pub use disk::SimulatedDisk;
pub use entropy::SeededEntropy;
pub use folder::TemporaryFolder;
pub use services::{Database, postgres_url, redis_url};
pub use wait::{eventually, eventually_within};
