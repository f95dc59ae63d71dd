//! The compactor's gRPC face.

mod grpc;

use async_trait::async_trait;
use spanlake_model::Fault;

pub use grpc::{Client, service};

/// What one look for work did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Files read and replaced.
    pub merged_files: u64,
    /// Files written in their place.
    pub written_files: u64,
    /// Files deleted from the store, because no reader can hold them any more.
    pub removed_files: u64,
}

/// Looks for work.
#[async_trait]
pub trait Compactor: Send + Sync + 'static {
    /// Looks once, now, and does what it finds.
    async fn run_once(&self) -> Result<Compacted, Fault>;
}
