//! What processes that remember who is who must ask for anew.

use async_trait::async_trait;
use spanlake_model::AccountChanges;

use crate::error::Error;

/// Changes that are kept; who has seen less than this many ago learns that they missed some.
pub const CHANGES_KEPT: u64 = 10_000;

/// What changed, for those who remember.
#[async_trait]
pub trait Changes: Send + Sync + 'static {
    /// What changed after this sequence. A change is in it from its commit on.
    async fn changes_after(&self, sequence: u64) -> Result<AccountChanges, Error>;
}
