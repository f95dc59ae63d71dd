//! What the plumbing guarantees, over real sockets wherever a socket matters.
#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests, which does not reach their helpers")]

mod body;
mod config;
mod envelope;
mod extract;
mod health;
mod layers;
mod listener;
mod log;
mod openapi;
mod shutdown;
mod support;
mod tls;
