//! Who there is: tenants, apps, agents, members.

use async_trait::async_trait;
use spanlake_model::{AgentId, AppId, KeyId, Limits, MemberId, Role, Table, TenantId, Timestamp};

use crate::audit::Audit;
use crate::changes::Changes;
use crate::error::Error;
use crate::keys::Keys;
use crate::people::People;
use crate::sessions::Sessions;
use crate::tenancy::Tenancy;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// The app that is meant when none is named.
    pub default_app: AppId,
    /// How much it may use.
    pub limits: Limits,
    /// When it signed up.
    pub created_at: Timestamp,
}

/// An app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name, unique in the tenant.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its app.
    pub app: AppId,
    /// Its name, unique in the app.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A person in a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Their id in this tenant.
    pub id: MemberId,
    /// The tenant.
    pub tenant: TenantId,
    /// Lower case; unique in the tenant.
    pub email: String,
    /// An argon2id string.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
    /// When they joined.
    pub created_at: Timestamp,
}

/// All that sign-up makes, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// The tenant.
    pub tenant: Tenant,
    /// Its first app; `tenant.default_app` names it.
    pub app: App,
    /// Its owner.
    pub owner: Member,
}

/// Where a person can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The person.
    pub member: Member,
    /// The tenant.
    pub tenant: Tenant,
}

/// The accounts half of the catalog. Only auth uses it; and export, to see whether who asked for an export is still there.
///
/// Every call may fail as [`Error::Database`]. Adding something to a tenant, app, agent or member that is not there, or is
/// another tenant's, is [`Error::Changed`]: look first, and take this for the race it then is.
#[async_trait]
pub trait Accounts: Keys + People + Sessions + Tenancy + Audit + Changes {
    /// Makes a tenant, its default app and its owner, or nothing.
    ///
    /// # Errors
    /// [`Error::Exists`] when the email has signed up before and still owns that tenant.
    async fn sign_up(&self, account: NewAccount) -> Result<(), Error>;
    /// The tenant.
    async fn tenant(&self, tenant: TenantId) -> Result<Option<Tenant>, Error>;
    /// How many days the tenant keeps rows of the table; `None`: for ever. What it has not said is the table's own rule.
    async fn kept_days(&self, tenant: TenantId, table: Table) -> Result<Option<u32>, Error>;
    /// Sets it. Older rows are hidden at once, and go when the compactor comes by.
    async fn keep_days(&self, tenant: TenantId, table: Table, days: Option<u32>) -> Result<(), Error>;
    /// The tenant's own prices for calls of models, as they were set: a JSON list.
    async fn own_prices(&self, tenant: TenantId) -> Result<Option<String>, Error>;
    /// Sets them all. Every later read is priced by them, of whatever time its spans are.
    async fn set_own_prices(&self, tenant: TenantId, prices: &str) -> Result<(), Error>;
    /// The tenants that this address is a member of, at most `most`: the one it signed up, then as they were joined. Whoever runs a
    /// tenant can make any address a member there. The one read across tenants: login has no tenant yet.
    async fn accounts_of(&self, email: &str, most: u32) -> Result<Vec<Account>, Error>;
    /// Where this address is a member of this tenant.
    async fn account_in(&self, email: &str, tenant: TenantId) -> Result<Option<Account>, Error>;
    /// A member of the tenant.
    async fn member(&self, tenant: TenantId, member: MemberId) -> Result<Option<Member>, Error>;

    /// Adds an app. [`Error::Exists`] when the name is taken in the tenant.
    async fn add_app(&self, app: App) -> Result<(), Error>;
    /// The tenant's apps, oldest first.
    async fn apps(&self, tenant: TenantId) -> Result<Vec<App>, Error>;
    /// One app, if it is the tenant's.
    async fn app(&self, tenant: TenantId, app: AppId) -> Result<Option<App>, Error>;
    /// Gives an app of the tenant another name and returns it; `None` when the tenant has no such app. [`Error::Exists`] when
    /// the name is taken.
    async fn rename_app(&self, tenant: TenantId, app: AppId, name: &str) -> Result<Option<App>, Error>;
    /// Deletes an app of the tenant with its agents, and revokes its keys: all or nothing. Returns the keys that were revoked;
    /// `None` when the tenant has no such app, or it is the default app.
    async fn delete_app(&self, tenant: TenantId, app: AppId, at: Timestamp) -> Result<Option<Vec<KeyId>>, Error>;

    /// Adds an agent. [`Error::Exists`] when the name is taken in the app.
    async fn add_agent(&self, agent: Agent) -> Result<(), Error>;
    /// The tenant's agents, oldest first.
    async fn agents(&self, tenant: TenantId) -> Result<Vec<Agent>, Error>;
    /// One agent, if it is the tenant's.
    async fn agent(&self, tenant: TenantId, agent: AgentId) -> Result<Option<Agent>, Error>;
    /// Gives an agent of the tenant another name and returns it; `None` when the tenant has no such agent. [`Error::Exists`]
    /// when the name is taken.
    async fn rename_agent(&self, tenant: TenantId, agent: AgentId, name: &str) -> Result<Option<Agent>, Error>;
    /// Deletes an agent of the tenant and revokes its keys: all or nothing. Returns the keys that were revoked; `None` when the
    /// tenant has no such agent.
    async fn delete_agent(&self, tenant: TenantId, agent: AgentId, at: Timestamp) -> Result<Option<Vec<KeyId>>, Error>;
}
