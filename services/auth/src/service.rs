//! The logic: what the HTTP routes and the other services ask.

mod account;
mod audit;
mod closing;
mod holdings;
mod key;
mod limits;
mod password;
mod people;
mod prices;
mod refused;
mod retention;
mod rotation;
mod session;
mod things;

pub(crate) use account::{Me, SignedUp};
pub(crate) use audit::require_owner;
pub(crate) use key::{KeyRequest, MadeKey, NewKey};
pub(crate) use limits::{NewLimits, Used};
pub use password::{NewReset, create_reset_for};
pub(crate) use people::Joined;
pub(crate) use prices::Found;
pub(crate) use rotation::{Rotated, Rotation};
pub(crate) use session::Tokens;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use spanlake_access::secret::MasterSecret;
use spanlake_catalog::{Accounts, Act, Actor};
use spanlake_model::{AccountChanges, AgentId, AppId, Caller, Clock, Entropy, Fault, MemberId, Role, TenantId};
use spanlake_proto::auth::{Auth, KeyIdentity, PresentedKey, TenantInfo};
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::error::Error;
use crate::guesses::Guesses;
use crate::password::Passwords;
use crate::signing::Signing;

/// The auth service. Cloning is cheap and shares everything but who is asking.
#[derive(Clone)]
pub struct Service {
    accounts: Arc<dyn Accounts>,
    secret: Arc<MasterSecret>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    passwords: Arc<Passwords>,
    guesses: Arc<Guesses>,
    signing: Arc<Signing>,
    /// Turns of what goes on record beside an answer.
    noting: Arc<Semaphore>,
    config: Arc<Config>,
    /// Where the request being served came from, if that is known.
    address: Option<IpAddr>,
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
        let secret = Arc::new(secret);
        let signing = Signing::new(Arc::clone(&secret), config.signing_key, config.access_token, clock.now())?;
        let passwords = Passwords::new(&config, Arc::clone(&entropy))?;
        Ok(Self {
            accounts,
            secret,
            guesses: Arc::new(Guesses::new(Arc::clone(&clock))),
            clock,
            entropy,
            passwords: Arc::new(passwords),
            signing: Arc::new(signing),
            noting: Arc::new(Semaphore::new(refused::WRITTEN_AT_ONCE)),
            config: Arc::new(config),
            address: None,
        })
    }

    /// Proxies before us that say where a request came from.
    pub(crate) fn proxies(&self) -> u8 {
        self.config.proxies
    }

    /// The service for a request from there.
    pub(crate) fn from(&self, address: Option<IpAddr>) -> Self {
        Self { address, ..self.clone() }
    }

    /// The service for this caller's request: what they change through it goes on their tenant's record.
    pub(crate) fn by(&self, caller: &Caller) -> Self {
        self.acting(caller.principal().into())
    }

    fn acting(&self, actor: Actor) -> Self {
        let address = self.address.map(|address| address.to_string());
        let act = Act { actor, address, at: self.clock.now() };
        Self { accounts: self.accounts.by(act), ..self.clone() }
    }

    /// The public keys of access tokens, as served.
    pub(crate) fn key_set(&self) -> Result<String, Error> {
        Ok(self.signing.at(self.clock.now())?.key_set.clone())
    }
}

#[async_trait]
impl Auth for Service {
    async fn verify_key(&self, key: &PresentedKey) -> Result<KeyIdentity, Fault> {
        Ok(self.verify(key).await?)
    }
    async fn jwks(&self) -> Result<String, Fault> {
        Ok(self.key_set()?)
    }
    async fn tenant(&self, tenant: TenantId) -> Result<TenantInfo, Fault> {
        let found = self.accounts.tenant(tenant).await.map_err(Error::from)?;
        let found = found.ok_or_else(|| Fault::not_found("tenant"))?;
        let spans_left = self.spans_left(tenant, &found.limits).await?;
        Ok(TenantInfo { default_app: found.default_app, limits: found.limits, spans_left })
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
    async fn changes(&self, after: Option<u64>) -> Result<AccountChanges, Fault> {
        let mut changes = self.accounts.changes_after(after.unwrap_or(0)).await.map_err(Error::from)?;
        // Whoever only begins to listen remembers nothing that they would have to forget.
        changes.changed = changes.changed.filter(|_| after.is_some());
        Ok(changes)
    }
}
