//! Exports into files, for warehouses: asked for once, written by whoever takes them, each run ended by a manifest.
//!
//! ```text
//!   POST /v1/exports ──► catalog::Exports ◄── claim ── worker ──► attempt ──► dyn RowSource (query: one snapshot, by day or window)
//!                             ▲                                     │
//!   GET …, cancel ────────────┘ progress, runs, manifests ◄─────────┴──► files ──► encoder ──► store::export::Outlet (folder, bucket)
//! ```
//!
//! The argument why a warehouse that merges all runs is exact is in docs/adr/0024-export-jobs.md.

mod attempt;
mod columns;
mod destinations;
mod encoder;
mod files;
mod http;
mod manifest;
mod packer;
mod schedule;
mod scores;
mod spec;
mod text;
mod traces;
mod worker;

use std::sync::Arc;

use spanlake_access::Gate;
use spanlake_access::seal::SealingKey;
use spanlake_access::secret::SecretError;
use spanlake_catalog::{Accounts, Exports, Recorder};
use spanlake_model::{Clock, Entropy};
use spanlake_proto::query::RowSource;
use tokio_util::sync::CancellationToken;

use crate::Config;

pub use destinations::{Configured, Credentials, Destinations};
pub use spec::Destination;
pub use worker::Worker;

/// What exports into files are made with.
#[derive(Clone)]
pub struct Parts {
    /// Where they are kept.
    pub exports: Arc<dyn Exports>,
    /// Who may still ask.
    pub accounts: Arc<dyn Accounts>,
    /// Who has the rows.
    pub source: Arc<dyn RowSource>,
    /// Where files go.
    pub destinations: Arc<dyn Destinations>,
    /// Where it is recorded who asked for what.
    pub recorder: Recorder,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Settings.
    pub config: Config,
}

/// Exports into files: what the API and the worker share.
pub struct Jobs {
    parts: Parts,
    key: Option<SealingKey>,
}

impl Jobs {
    /// # Errors
    /// When the key for credentials is set and is none.
    pub fn new(parts: Parts) -> Result<Self, SecretError> {
        let key = parts.config.credentials_key.expose();
        let key = if key.is_empty() { None } else { Some(SealingKey::parse(key)?) };
        Ok(Self { parts, key })
    }

    /// Works on exports until told to stop, on as many at the same time as the settings say.
    pub async fn run(&self, shutdown: CancellationToken) {
        let workers: Vec<_> = (0..self.parts.config.runs_at_once.max(1)).map(|_| self.worker()).collect();
        futures::future::join_all(workers.iter().map(|worker| worker.run(shutdown.clone()))).await;
    }

    /// One that works on exports; any number may.
    pub fn worker(&self) -> Worker {
        Worker::new(&self.parts, self.key.clone(), self.parts.entropy.as_ref())
    }
}

/// The HTTP routes, all behind `gate`.
pub fn routes(jobs: Arc<Jobs>, gate: Gate) -> spanlake_transport::Api {
    http::routes(jobs, gate)
}
