//! Who is calling and what they may do: keys, tokens, limits.
//!
//! ```text
//!   request ──► credential ──┬─ key ──► Gate ──► dyn Auth      (cached for seconds)
//!                            └─ token ► Gate ──► Verifier      (here, with auth's public keys)
//!                                        │
//!                                        └─► Caller ──► scope, Limiter (memory │ Redis)
//! ```
//!
//! Invariants
//! - Only [`Gate`] makes a [`Caller`](spanlake_model::Caller) out of a credential.
//! - A key with a wrong checksum costs no call to anyone.
//! - What auth said is believed for ten seconds at most, however often it is used; an expired key ends at once.
//! - A token is verified by Ed25519 with all its claims, whatever its header asks for.
//! - Secrets print as `***`. Keys are remembered by their hash.
//! - A limit is taken whole or not at all; while the shared count is away, each process gives its share by its own.
//!
//! ```
//! use spanlake_access::key::{self, Kind};
//! use spanlake_model::{KeyId, SystemEntropy};
//! let id = KeyId::from_bytes([7; 16]);
//! let text = key::generate(Kind::Workspace, id, &SystemEntropy);
//! assert_eq!(key::parse(&text).map(|parsed| parsed.id), Ok(id));
//! assert!(key::parse(&text.to_lowercase()).is_err());
//! ```

mod base62;
pub mod credential;
pub mod gate;
pub mod key;
pub mod limiter;
pub mod seal;
pub mod secret;
pub mod token;

pub use gate::{Config, Gate, Reading};
pub use limiter::{LimitError, Limiter, MemoryLimiter, RedisLimiter, SharedLimiter};
