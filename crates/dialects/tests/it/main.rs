//! What clients send, and what we make of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are test code")]

mod build;
mod chat;
mod fixtures;
mod fuzz;
mod hostile;
mod leniency;
mod logs;
mod precedence;
mod rules;
mod usage;
mod wire;
