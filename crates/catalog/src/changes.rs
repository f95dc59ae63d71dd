//! What processes that remember who is who must ask for anew.

use async_trait::async_trait;
use spanlake_model::{AgentId, AppId, KeyId, MemberId, TenantId};

use crate::error::Error;

/// Changes that are kept; who has seen less than this many ago learns that they missed some.
pub const CHANGES_KEPT: u64 = 10_000;

/// Something that is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// A key was revoked.
    Key(KeyId),
    /// A member has another role, or is gone.
    Member(TenantId, MemberId),
    /// An app was deleted.
    App(TenantId, AppId),
    /// An agent was deleted.
    Agent(TenantId, AgentId),
    /// A tenant has other limits, or is gone.
    Tenant(TenantId),
}

/// What changed since somebody looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountChanges {
    /// The last change there is: where to go on from.
    pub sequence: u64,
    /// In their order; `None`: more than are kept, so that everything may have changed.
    pub changed: Option<Vec<Changed>>,
}

/// What changed, for those who remember.
#[async_trait]
pub trait Changes: Send + Sync + 'static {
    /// What changed after this sequence. A change is in it from its commit on.
    async fn changes_after(&self, sequence: u64) -> Result<AccountChanges, Error>;
}
