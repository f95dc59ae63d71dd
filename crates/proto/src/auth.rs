//! What every service asks of auth.

mod grpc;

use std::fmt;

use async_trait::async_trait;
use spanlake_model::{
    AccountChanges, AgentId, AppId, Fault, KeyId, Limits, MemberId, Role, ScopeSet, TenantId, Timestamp,
};

pub use grpc::{Client, service};

/// A key as presented: its secret. Prints as `***`.
#[derive(Clone)]
pub struct PresentedKey(String);

impl PresentedKey {
    /// Wraps what the client sent.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }
    /// The secret itself; for verifying and for the wire, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PresentedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whom a verified key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyIdentity {
    /// The key's public id.
    pub key: KeyId,
    /// Its tenant.
    pub tenant: TenantId,
    /// The app it is pinned to; `None` means the tenant's default app unless the request names another.
    pub app: Option<AppId>,
    /// The agent it is bound to.
    pub agent: Option<AgentId>,
    /// What it may do.
    pub scopes: ScopeSet,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

/// What every service needs to know of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantInfo {
    /// The app that is meant when none is named.
    pub default_app: AppId,
    /// How much it may use.
    pub limits: Limits,
    /// Spans that it may still store this month; `None`: any number.
    pub spans_left: Option<u64>,
}

/// Answers who is who. In a cluster behind gRPC, in standalone the auth service itself.
/// `access` puts a cache before it; nobody else calls it.
#[async_trait]
pub trait Auth: Send + Sync + 'static {
    /// Whom a key belongs to.
    ///
    /// # Errors
    /// `unauthenticated` when it is unknown, revoked or expired; `service_unavailable` when the catalog cannot be read.
    async fn verify_key(&self, key: &PresentedKey) -> Result<KeyIdentity, Fault>;

    /// The public keys of access tokens: a JSON Web Key Set.
    async fn jwks(&self) -> Result<String, Fault>;

    /// What every service needs to know of a tenant.
    ///
    /// # Errors
    /// `not_found` when there is none.
    async fn tenant(&self, tenant: TenantId) -> Result<TenantInfo, Fault>;

    /// Whether `app` is the tenant's.
    async fn has_app(&self, tenant: TenantId, app: AppId) -> Result<bool, Fault>;

    /// The app an agent of the tenant belongs to; `None` when the tenant has no such agent.
    async fn find_agent(&self, tenant: TenantId, agent: AgentId) -> Result<Option<AppId>, Fault>;

    /// What a member of the tenant may do now, whatever their token says.
    ///
    /// # Errors
    /// `not_found` when they are no member, or no longer.
    async fn member_role(&self, tenant: TenantId, member: MemberId) -> Result<Role, Fault>;

    /// What changed after this sequence; `None` at the beginning, when nothing is remembered yet.
    async fn changes(&self, after: Option<u64>) -> Result<AccountChanges, Fault>;
}
