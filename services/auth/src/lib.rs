//! The auth service: tenants, people, apps, agents, keys and tokens.
//!
//! ```text
//!   HTTP  api::* ──► access::Gate ──► Caller ─┐
//!                                             ├──► Service ──► dyn catalog::Accounts
//!   other services ──► proto::auth::Auth ─────┘        └──► Passwords (argon2id, off the async threads, bounded)
//! ```
//!
//! Invariants
//! - No usable secret is stored: passwords as argon2id, keys as keyed hashes, refresh tokens as SHA-256 of 256 random bits.
//!   The signing key is derived from the master secret and is nowhere else.
//! - A secret is shown once, in an answer that says `Cache-Control: no-store`.
//! - An unknown person and a wrong password look and cost the same.
//! - Every session begins in one place (`service/session.rs`).
//! - What a member may do is asked for anew every ten seconds; their token only says who they are. Every tenant has an owner,
//!   nobody gives a role above their own, and an invitation works once, for seven days.
//! - A key never holds a scope that its maker lacks, and one that is pinned to an app or an agent never holds `admin`.

mod api;
mod config;
mod error;
mod guesses;
mod input;
mod password;
mod service;
mod signing;

pub use api::routes;
pub use config::{Argon2Config, Config, SignUp};
pub use error::Error;
pub use service::{NewReset, Service, create_reset_for};
