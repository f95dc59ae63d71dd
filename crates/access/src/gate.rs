//! The one way in: from a request's headers to a [`Caller`].
//!
//! ```text
//!   headers ──► credential ──┬─ key ───► cache ──► auth (verify_key)
//!                            └─ token ─► Verifier (public keys from auth)
//!   header or query ──► app ─────────────► cache ──► auth (tenant, has_app)
//!                                              └──► Caller ──► scope, limits
//! ```

mod app;
mod away;
mod follow;
mod remember;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use http::request::Parts;
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use spanlake_model::{
    AgentId, AppId, Caller, Clock, Code, Day, Exhausted, Fault, FaultKind, KeyId, Limit, MemberId, Principal, Quota,
    Role, Scope, ScopeSet, Standing, TenantId, Timestamp,
};
use spanlake_proto::auth::{Auth, KeyIdentity, PresentedKey, TenantInfo};

use self::away::Away;
use self::remember::Remembered;
use self::tokens::Tokens;
use crate::credential::{self, Presented};
use crate::limiter::{LimitError, Limiter};

/// How long a revoked key is kept in mind, beyond the time its last answer may stand while auth is away: longer than a load that
/// began before the revocation can last and be cached.
const REVOKED_FOR: Duration = Duration::from_secs(60);

/// The longest that known callers can be let in while auth is away.
const KNOWN_WHILE_AWAY_MAX: Duration = Duration::from_secs(86_400);

/// How much the gate remembers, and for how long while auth is away. How long while auth answers is not for configuring: it is
/// what we promise about revocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Keys, tenants, apps and agents remembered, of each; about 600 bytes an entry. At the bound the least used go.
    pub known_max: u64,
    /// Refused keys, unknown apps and agents remembered, of each. At the bound the least used go.
    pub refused_max: u64,
    /// While auth or its database is away, whom it knew is let in for so many seconds after its last answer; at most a day.
    /// Nothing can be revoked while the database is down; a process that is cut off from it lets a revoked key in for so long.
    /// 0 refuses everybody with 503 once what is remembered is ten seconds old.
    pub known_while_away_seconds: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { known_max: 100_000, refused_max: 10_000, known_while_away_seconds: 300 }
    }
}

/// How a gate does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The last call to auth failed.
    pub is_auth_away: bool,
    /// How often what auth had said before it went away did for an answer.
    pub served_from_memory: u64,
    /// The shared limits are away: this process gives its share of them.
    pub are_limits_local: bool,
    /// Requests that a limit refused, by limit.
    pub refused: Vec<(&'static str, u64)>,
}

/// Verifies credentials and takes limits. Cloning is cheap and shares everything.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    auth: Arc<dyn Auth>,
    limiter: Arc<dyn Limiter>,
    clock: Arc<dyn Clock>,
    away: Arc<Away>,
    /// Requests that a limit refused, in the order of [`Limit::ALL`].
    refused: [AtomicU64; Limit::ALL.len()],
    tokens: Tokens,
    /// By SHA-256 of the whole key: a wrong secret never meets the answer for the right one, and no secret lies here.
    keys: Remembered<[u8; 32], Arc<KeyIdentity>>,
    revoked: Cache<KeyId, ()>,
    tenants: Remembered<TenantId, Arc<TenantInfo>>,
    apps: Remembered<(TenantId, AppId), ()>,
    agents: Remembered<(TenantId, AgentId), AppId>,
    /// What each member may do now. A token says what they could when it was made.
    members: Remembered<(TenantId, MemberId), Role>,
}

/// A verified credential, before the app is chosen.
struct Holder {
    tenant: TenantId,
    pin: Option<AppId>,
    agent: Option<AgentId>,
    scopes: ScopeSet,
    principal: Principal,
}

impl Gate {
    /// A gate before this auth and this limiter.
    pub fn new(auth: Arc<dyn Auth>, limiter: Arc<dyn Limiter>, clock: Arc<dyn Clock>, config: Config) -> Self {
        let Config { known_max, refused_max, known_while_away_seconds } = config;
        let while_away = Duration::from_secs(known_while_away_seconds.into()).min(KNOWN_WHILE_AWAY_MAX);
        let away = Arc::<Away>::default();
        Self(Arc::new(Inner {
            tokens: Tokens::new(Arc::clone(&auth), Arc::clone(&clock)),
            keys: Remembered::new(known_max, refused_max, while_away, Arc::clone(&clock), Arc::clone(&away)),
            revoked: Cache::builder().max_capacity(known_max).time_to_live(while_away + REVOKED_FOR).build(),
            tenants: Remembered::new(known_max, refused_max, while_away, Arc::clone(&clock), Arc::clone(&away)),
            apps: Remembered::new(known_max, refused_max, while_away, Arc::clone(&clock), Arc::clone(&away)),
            agents: Remembered::new(known_max, refused_max, while_away, Arc::clone(&clock), Arc::clone(&away)),
            members: Remembered::new(known_max, refused_max, while_away, Arc::clone(&clock), Arc::clone(&away)),
            auth,
            limiter,
            clock,
            away,
            refused: Default::default(),
        }))
    }

    /// Who sent this request, if they may do `scope`.
    ///
    /// # Errors
    /// `unauthenticated` without a good credential; `forbidden` without the scope, or when a pinned key names another
    /// app; `not_found` for an app that is not the tenant's; `service_unavailable` when auth cannot answer.
    pub async fn admit(&self, parts: &Parts, scope: Scope) -> Result<Caller, Fault> {
        self.admit_headers(&parts.headers, parts.uri.query(), scope).await
    }
    /// As [`Self::admit`], for requests that are not HTTP/1 shaped: gRPC metadata is headers without a query.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub async fn admit_headers(&self, headers: &HeaderMap, query: Option<&str>, scope: Scope) -> Result<Caller, Fault> {
        let caller = self.identify(headers, query).await?;
        caller.require(scope).map(|()| caller)
    }
    /// Who sent this request, whatever they may do.
    ///
    /// # Errors
    /// As [`Self::admit`], but for the scope.
    pub async fn caller(&self, parts: &Parts) -> Result<Caller, Fault> {
        self.identify(&parts.headers, parts.uri.query()).await
    }
    /// Takes all of `costs` from the tenant's limits, or nothing. Answers how each limit that was taken from stands then; of the
    /// month's spans nothing is told.
    ///
    /// # Errors
    /// `rate_limited` with the time after which the same request passes; `payload_too_large` when it never will;
    /// `service_unavailable` when nobody can count.
    pub async fn take(&self, caller: &Caller, costs: &[(Limit, u64)]) -> Result<Vec<Standing>, Fault> {
        let tenant = self.tenant(caller.tenant()).await?;
        self.within_month(&tenant, costs)?;
        let taken = self.0.limiter.take(caller.tenant(), &tenant.limits, costs).await;
        if let Err(LimitError::Exhausted(Exhausted { limit, .. }) | LimitError::TooLarge { limit, .. }) = &taken {
            let counts = Limit::ALL.iter().zip(&self.0.refused);
            counts.filter(|(one, _)| *one == limit).for_each(|(_, count)| _ = count.fetch_add(1, Ordering::Relaxed));
        }
        taken.map_err(Fault::from)
    }

    /// How it does, for whoever watches.
    pub fn reading(&self) -> Reading {
        let refused = Limit::ALL.map(Limit::as_str).into_iter().zip(&self.0.refused);
        Reading {
            is_auth_away: self.0.away.is_away(),
            served_from_memory: self.0.away.served(),
            are_limits_local: self.0.limiter.is_degraded(),
            refused: refused.map(|(limit, count)| (limit, count.load(Ordering::Relaxed))).collect(),
        }
    }
    /// How many queries of the caller's tenant may run at the same time; `None`: as many as the installation lets a tenant run.
    ///
    /// # Errors
    /// `service_unavailable` when auth cannot answer.
    pub async fn queries_at_once(&self, caller: &Caller) -> Result<Option<u32>, Fault> {
        Ok(self.tenant(caller.tenant()).await?.limits.queries_at_once)
    }
    /// Auth says what is left every ten seconds, and counts what has reached a data file: the month's limit is passed by what comes
    /// in meanwhile.
    fn within_month(&self, tenant: &TenantInfo, costs: &[(Limit, u64)]) -> Result<(), Fault> {
        let asked: u64 = costs.iter().filter(|(limit, _)| *limit == Limit::Spans).map(|(_, cost)| cost).sum();
        let Some(most) = tenant.limits.spans_per_month.filter(|_| tenant.spans_left.is_some_and(|left| asked > left))
        else {
            return Ok(());
        };
        let wait = until_next_month(self.0.clock.now());
        let message = format!("This account's {most} spans of this month are used up; it goes on next month, UTC.");
        let quota = Quota { name: "spans-per-month", most, window: MONTH };
        Err(Fault::new(Code::RateLimited, message).retry_after(wait).quota(quota))
    }
    /// Passes when the app is the caller's tenant's.
    ///
    /// # Errors
    /// `not_found` when it is not; `service_unavailable` when auth cannot answer.
    pub async fn own_app(&self, caller: &Caller, app: AppId) -> Result<(), Fault> {
        self.has_app(caller.tenant(), app).await
    }
    /// The app of one of the caller's agents; `None` when their tenant has no such agent.
    ///
    /// # Errors
    /// `service_unavailable` when auth cannot answer.
    pub async fn agent_app(&self, caller: &Caller, agent: AgentId) -> Result<Option<AppId>, Fault> {
        let tenant = caller.tenant();
        let ask = async { self.0.auth.find_agent(tenant, agent).await?.ok_or_else(|| Fault::not_found("agent")) };
        match self.0.agents.get((tenant, agent), ask).await {
            Ok(app) => Ok(Some(app)),
            Err(fault) if fault.kind() == FaultKind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }
    /// Refuses a key from now on, whatever is remembered or being loaded of it. For whoever revoked it, after the
    /// commit. Other processes follow when what they remember has aged.
    pub async fn revoke(&self, key: KeyId) {
        self.0.revoked.insert(key, ()).await;
    }

    /// Asks anew what a member may do. For whoever changed that, after the commit. A request that was asking meanwhile may still
    /// leave the old answer, for ten seconds; other processes follow when what they remember has aged.
    pub async fn forget_member(&self, tenant: TenantId, member: MemberId) {
        self.0.members.forget((tenant, member)).await;
    }

    /// Asks anew whether the tenant has this app. For whoever deleted it, after the commit; other processes follow within ten
    /// seconds.
    pub async fn forget_app(&self, tenant: TenantId, app: AppId) {
        self.0.apps.forget((tenant, app)).await;
    }
    /// Asks anew what this tenant may use, and whether there is one. For whoever changed that, after the commit.
    pub async fn forget_tenant(&self, tenant: TenantId) {
        self.0.tenants.forget(tenant).await;
    }

    /// Lets nobody of the caller's tenant in any more, and forgets what it used. For whoever deleted it, after the commit and after
    /// each of its keys was revoked here.
    ///
    /// Counters that cannot be reached now end by themselves within the hour.
    pub async fn forget_closed(&self, caller: &Caller) {
        let tenant = caller.tenant();
        self.forget_tenant(tenant).await;
        if let Principal::Member(member, _) = caller.principal() {
            self.forget_member(tenant, member).await;
        }
        if let Err(error) = self.0.limiter.forget(tenant).await {
            tracing::warn!(error = %error, tenant.id = %tenant, "the counters of a deleted tenant are left to end by themselves");
        }
    }

    /// Asks anew whether the tenant has this agent. As [`Self::forget_app`].
    pub async fn forget_agent(&self, tenant: TenantId, agent: AgentId) {
        self.0.agents.forget((tenant, agent)).await;
    }

    async fn identify(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Caller, Fault> {
        let holder = match credential::read(headers)? {
            Presented::Key(_, key) => self.key_holder(&key).await?,
            Presented::Token(token) => self.token_holder(&token).await?,
        };
        let named = app::named(headers, query);
        let app = self.choose_app(&holder, named).await?;
        let Holder { tenant, agent, scopes, principal, .. } = holder;
        Ok(Caller::verified(tenant, app, agent, scopes, principal))
    }

    async fn key_holder(&self, key: &PresentedKey) -> Result<Holder, Fault> {
        let digest = Sha256::digest(key.expose()).into();
        let ask = async { self.0.auth.verify_key(key).await.map(Arc::new) };
        let identity = self.0.keys.get(digest, ask).await?;
        let is_expired = identity.expires_at.is_some_and(|end| end <= self.0.clock.now());
        if is_expired || self.0.revoked.contains_key(&identity.key) {
            return Err(refused_key());
        }
        Ok(Holder {
            tenant: identity.tenant,
            pin: identity.app,
            agent: identity.agent,
            scopes: identity.scopes,
            principal: Principal::Key(identity.key),
        })
    }

    async fn token_holder(&self, token: &str) -> Result<Holder, Fault> {
        let verified = self.0.tokens.verify(token).await?;
        let role = self.role(verified.tenant, verified.member).await?;
        Ok(Holder {
            tenant: verified.tenant,
            pin: None,
            agent: None,
            scopes: role.scopes(),
            principal: Principal::Member(verified.member, role),
        })
    }

    async fn role(&self, tenant: TenantId, member: MemberId) -> Result<Role, Fault> {
        let ask = async { self.0.auth.member_role(tenant, member).await };
        self.0.members.get((tenant, member), ask).await.map_err(|fault| match fault.kind() {
            FaultKind::NotFound => {
                Fault::new(Code::Unauthenticated, "Whoever this access token was made for is no member any more.")
            }
            _ => fault,
        })
    }

    async fn choose_app(&self, holder: &Holder, named: Result<Option<AppId>, Fault>) -> Result<AppId, Fault> {
        let tenant = holder.tenant;
        if let Some(pin) = holder.pin {
            return app::within_pin(pin, named?);
        }
        let default = self.tenant(tenant).await?.default_app;
        let Some(app) = named? else { return Ok(default) };
        if app != default {
            self.has_app(tenant, app).await?;
        }
        Ok(app)
    }

    async fn has_app(&self, tenant: TenantId, app: AppId) -> Result<(), Fault> {
        let ask = async { self.0.auth.has_app(tenant, app).await?.then_some(()).ok_or_else(app::unknown) };
        self.0.apps.get((tenant, app), ask).await
    }

    async fn tenant(&self, tenant: TenantId) -> Result<Arc<TenantInfo>, Fault> {
        let ask = async { self.0.auth.tenant(tenant).await.map(Arc::new) };
        self.0.tenants.get(tenant, ask).await.map_err(|fault| match fault.kind() {
            FaultKind::NotFound => {
                Fault::new(Code::Unauthenticated, "The account of this credential no longer exists.")
            }
            _ => fault,
        })
    }
}

/// The longest month, as the window of a limit.
const MONTH: Duration = Duration::from_secs(31 * 86_400);

/// How long until the next month begins, UTC; days are tried one by one, since months have no one length.
fn until_next_month(now: Timestamp) -> Duration {
    let month = |at: Timestamp| at.to_string().get(..7).map(str::to_owned);
    let days = (1..=31).map(|day| Day(Day::of(now).0 + day).start());
    days.into_iter().find(|day| month(*day) != month(now)).map_or(MONTH, |first| first.since(now))
}

/// What is said of a key that is unknown, revoked, expired or wrong: always the same.
pub fn refused_key() -> Fault {
    Fault::new(
        Code::Unauthenticated,
        "This key is not valid: it is unknown, expired or revoked. Make a new one, or check which one you send.",
    )
}
