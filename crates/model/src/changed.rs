//! What services that remember who is who must hear of.

use crate::{AgentId, AppId, KeyId, MemberId, TenantId};

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
