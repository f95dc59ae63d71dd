//! The logic: what the HTTP routes and the other services ask.

mod account;
mod key;
mod people;
mod prices;
mod retention;
mod rotation;
mod session;
mod things;

pub(crate) use account::{Me, SignedUp};
pub(crate) use key::{KeyRequest, NewKey};
pub(crate) use people::Joined;
pub(crate) use prices::Found;
pub(crate) use rotation::{Rotated, Rotation};
pub(crate) use session::Tokens;

use std::sync::Arc;

use async_trait::async_trait;
use spanlake_access::secret::{MasterSecret, SIGNING_VERSION};
use spanlake_access::token::{Issuer, Jwks};
use spanlake_catalog::Accounts;
use spanlake_model::{AgentId, AppId, Clock, Entropy, Fault, MemberId, Role, TenantId};
use spanlake_proto::auth::{Auth, KeyIdentity, PresentedKey, TenantInfo};

use crate::config::Config;
use crate::error::Error;
use crate::password::Passwords;

/// The auth service.
pub struct Service {
    accounts: Arc<dyn Accounts>,
    secret: MasterSecret,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    passwords: Passwords,
    issuer: Issuer,
    config: Config,
}

impl Service {
    /// The service over these accounts. Signs a token and hashes a password once, so that a build or a setting that
    /// cannot is found out at the start.
    ///
    /// # Errors
    /// [`Error::Token`] or [`Error::Password`].
    pub fn new(
        accounts: Arc<dyn Accounts>,
        secret: MasterSecret,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        config: Config,
    ) -> Result<Self, Error> {
        let issuer = Issuer::new(&secret.signing_seed(SIGNING_VERSION), config.access_token)?;
        let passwords = Passwords::new(&config, Arc::clone(&entropy))?;
        Ok(Self { accounts, secret, clock, entropy, passwords, issuer, config })
    }

    /// The public keys of access tokens, as served.
    pub(crate) fn key_set(&self) -> String {
        Jwks { keys: vec![self.issuer.public_key().clone()] }.to_json()
    }
}

#[async_trait]
impl Auth for Service {
    async fn verify_key(&self, key: &PresentedKey) -> Result<KeyIdentity, Fault> {
        Ok(self.verify(key).await?)
    }
    async fn jwks(&self) -> Result<String, Fault> {
        Ok(self.key_set())
    }
    async fn tenant(&self, tenant: TenantId) -> Result<TenantInfo, Fault> {
        let found = self.accounts.tenant(tenant).await.map_err(Error::from)?;
        let found = found.ok_or_else(|| Fault::not_found("tenant"))?;
        Ok(TenantInfo { default_app: found.default_app, limits: found.limits })
    }
    async fn has_app(&self, tenant: TenantId, app: AppId) -> Result<bool, Fault> {
        Ok(self.accounts.app(tenant, app).await.map_err(Error::from)?.is_some())
    }
    async fn find_agent(&self, tenant: TenantId, agent: AgentId) -> Result<Option<AppId>, Fault> {
        Ok(self.accounts.agent(tenant, agent).await.map_err(Error::from)?.map(|agent| agent.app))
    }
    async fn member_role(&self, tenant: TenantId, member: MemberId) -> Result<Role, Fault> {
        let found = self.accounts.member(tenant, member).await.map_err(Error::from)?;
        found.map(|member| member.role).ok_or_else(|| Fault::not_found("member"))
    }
}
