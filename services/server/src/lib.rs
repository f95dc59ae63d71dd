//! The one binary: a role per service, or all of them in one process.
//!
//! ```text
//!   cli ─► Config ─► start(role) ─┬─ standalone: every service, handed to each other as objects
//!                                 └─ auth │ ingest │ query │ export │ compactor: one, the others over gRPC
//!                     Running ◄───┘  addresses; finish() = drained
//! ```
//!
//! This crate alone names the services; what it builds reads as a parts list. There is no fallback: a part that is
//! configured and missing is an error at start.

pub mod cli;
pub mod config;
pub mod demo;
mod metrics;
pub mod normalise;
mod parts;
mod reset;
mod roles;
mod serve;
mod standalone;

use std::net::SocketAddr;
use std::sync::Arc;

use spanlake_catalog::Catalog;
use spanlake_model::{Clock, Entropy, SystemClock, SystemEntropy};
use spanlake_transport::shutdown::Shutdown;

pub use config::Config;
pub use reset::reset_password;
pub use roles::Role;

/// What comes from outside the process, so that tests can bring their own.
#[derive(Clone)]
pub struct Outside {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
}

impl Default for Outside {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }
}

/// Where a started process listens. What a role does not serve is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Addresses {
    /// The public API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// OTLP/HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_http: Option<SocketAddr>,
    /// OTLP/gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_grpc: Option<SocketAddr>,
    /// Other services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<SocketAddr>,
    /// What operators read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<SocketAddr>,
}

/// A process that is ready.
pub struct Running {
    /// Where.
    pub addresses: Addresses,
    shutdown: Shutdown,
    ingest: Option<Arc<spanlake_ingest::Service>>,
    catalog: Option<Catalog>,
}

impl Running {
    /// The ingest service, where this process has one; for tests that flush.
    pub fn ingest(&self) -> Option<&Arc<spanlake_ingest::Service>> {
        self.ingest.as_ref()
    }

    /// Waits for the stop to be asked for, then drains inside out: listeners close, running requests end, what was
    /// acknowledged is flushed, the writer's lease is given back.
    ///
    /// # Errors
    /// When something had to be cut short; nothing acknowledged is lost by that, it comes back from the log.
    pub async fn finish(self) -> anyhow::Result<()> {
        let ended = self.shutdown.finish().await;
        if let Some(ingest) = self.ingest {
            ingest.drain().await?;
        }
        if let Some(catalog) = self.catalog {
            catalog.close().await;
        }
        Ok(ended?)
    }
}

/// Builds a role's parts and opens its ports. When it returns, the process is ready.
///
/// # Errors
/// Whatever is missing or in the way, in words for the operator. Nothing is half-started: what was opened is dropped.
pub async fn start(role: Role, config: Config, outside: Outside, shutdown: Shutdown) -> anyhow::Result<Running> {
    match role {
        Role::Standalone => standalone::start(config, outside, shutdown).await,
        role => roles::start(role, config, outside, shutdown).await,
    }
}
