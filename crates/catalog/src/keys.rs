//! API keys.

use async_trait::async_trait;
use spanlake_model::{AgentId, AppId, KeyId, ScopeSet, TenantId, Timestamp};

use crate::audit::Actor;
use crate::error::Error;

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its public id, also inside the key's text.
    pub id: KeyId,
    /// Its tenant.
    pub tenant: TenantId,
    /// The app it is pinned to.
    pub app: Option<AppId>,
    /// The agent it is bound to; then it is an agent key.
    pub agent: Option<AgentId>,
    /// Its name.
    pub name: String,
    /// HMAC-SHA-256 of the whole key under pepper `pepper_version`.
    pub hash: Vec<u8>,
    /// Which pepper.
    pub pepper_version: u32,
    /// The key's last four characters, for recognising it.
    pub last4: String,
    /// What it may do.
    pub scopes: ScopeSet,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// About when it was last used.
    pub last_used_at: Option<Timestamp>,
    /// Who made it; `None` for keys from before that was noted.
    pub created_by: Option<Actor>,
}

/// A key to be stored.
pub type NewKey = ApiKey;

/// Keys. A part of [`crate::Accounts`].
#[async_trait]
pub trait Keys: Send + Sync + 'static {
    /// Stores a key.
    async fn add_key(&self, key: NewKey) -> Result<(), Error>;
    /// The tenant's keys, oldest first, revoked ones too.
    async fn keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>, Error>;
    /// The key with this id, whoever's: the verifier has no tenant yet. `None` also when its app or agent was deleted, so that
    /// a key made while that happened opens nothing.
    async fn key(&self, key: KeyId) -> Result<Option<ApiKey>, Error>;
    /// Revokes a key of the tenant, and withdraws the invitations and reset links it made. `false` when the tenant has no such key; revoking twice keeps the first
    /// time.
    async fn revoke_key(&self, tenant: TenantId, key: KeyId, at: Timestamp) -> Result<bool, Error>;
    /// Stores `successor` and lets the key `old` of its tenant end at `end`, or when it would have ended if that is sooner: both
    /// or nothing. `false`, and nothing stored, when `old` is no key of the tenant, was revoked, or has ended by `now`.
    async fn rotate_key(&self, old: KeyId, end: Timestamp, successor: NewKey, now: Timestamp) -> Result<bool, Error>;
    /// Notes that a key was used, if `at` is later than what is noted.
    async fn touch_key(&self, key: KeyId, at: Timestamp) -> Result<(), Error>;
}
