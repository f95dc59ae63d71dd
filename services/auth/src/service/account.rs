//! Signing up, logging in, and who one is.

use spanlake_catalog::{self as catalog, Account, Actor, Agent, ApiKey, App, Member, NewAccount, Tenant};
use spanlake_model::{AppId, Caller, Code, Fault, Limits, MemberId, Principal, Role, ScopeSet, TenantId};

use super::{Service, Tokens};
use crate::config::SignUp;
use crate::error::Error;
use crate::input;

/// The app that every tenant begins with.
const FIRST_APP: &str = "default";

/// Accounts of one address that a login without a tenant is compared with. A stranger can make any address a member of their own tenants,
/// so the first account is not always its person's; and whoever guesses pays for so many whether they are there or not.
const ACCOUNTS_COMPARED: u32 = 4;

/// What signing up made.
pub(crate) struct SignedUp {
    pub(crate) account: NewAccount,
    pub(crate) tokens: Tokens,
}

/// Who a credential belongs to.
pub(crate) struct Me {
    pub(crate) tenant: Tenant,
    pub(crate) member: Option<Member>,
    pub(crate) key: Option<ApiKey>,
    pub(crate) app: Option<App>,
    pub(crate) agent: Option<Agent>,
    pub(crate) scopes: ScopeSet,
}

impl Service {
    /// Makes a tenant with its first app and its owner, and logs the owner in.
    pub(crate) async fn sign_up(&self, email: &str, password: String, tenant_name: &str) -> Result<SignedUp, Error> {
        if self.config.signup == SignUp::Closed {
            let message = "Nobody signs up here; ask somebody who is in to invite you.";
            return Err(Fault::new(Code::Forbidden, message).into());
        }
        let (email, name) = (input::email(email)?, input::name("tenant_name", tenant_name)?);
        input::new_password("password", &password)?;
        self.guesses.take_sign_up(self.address)?;
        let account = self.new_account(email, name, self.passwords.hash_for_sign_up(password).await?);
        let acting = self.acting(Actor::Member(account.owner.id));
        match acting.accounts.sign_up(account.clone()).await {
            Err(catalog::Error::Exists { .. }) => return Err(email_taken().into()),
            outcome => outcome?,
        }
        let tokens = self.begin_session(&account.owner).await?;
        Ok(SignedUp { account, tokens })
    }

    fn new_account(&self, email: String, tenant_name: String, password_hash: String) -> NewAccount {
        let (clock, entropy, created_at) = (&*self.clock, &*self.entropy, self.clock.now());
        let tenant = TenantId::generate(clock, entropy);
        let app = AppId::generate(clock, entropy);
        let owner = MemberId::generate(clock, entropy);
        NewAccount {
            tenant: Tenant { id: tenant, name: tenant_name, default_app: app, limits: Limits::default(), created_at },
            app: App { id: app, tenant, name: FIRST_APP.to_owned(), created_at },
            owner: Member { id: owner, tenant, email, password_hash, role: Role::Owner, created_at },
        }
    }

    /// Begins a session for whoever has this email and password; in `tenant`, or else in the
    /// first of theirs that it opens: the one they signed up, then as they joined them.
    pub(crate) async fn log_in(
        &self,
        email: &str,
        password: String,
        tenant: Option<TenantId>,
    ) -> Result<Tokens, Error> {
        let guess = self.guesses.take(&email.trim().to_lowercase(), self.address)?;
        match guess.outcome(self.with_password(email, password, tenant).await)? {
            Some(account) => self.begin_session(&account.member).await,
            None => Err(wrong_password().into()),
        }
    }

    /// The account that this email and password open.
    async fn with_password(
        &self,
        email: &str,
        password: String,
        tenant: Option<TenantId>,
    ) -> Result<Option<Account>, Error> {
        let compared = if tenant.is_some() { 1 } else { ACCOUNTS_COMPARED };
        let mut accounts = match (input::email(email), tenant) {
            (Err(_), _) => Vec::new(),
            (Ok(email), Some(tenant)) => self.accounts.account_in(&email, tenant).await?.into_iter().collect(),
            (Ok(email), None) => self.accounts.accounts_of(&email, compared).await?,
        };
        let stored = accounts.iter().map(|account| account.member.password_hash.clone()).collect();
        let opened = self.passwords.first_match(password, stored, compared).await?;
        if opened.is_none() {
            self.note_refused_login(accounts.iter().map(|account| account.member.clone()));
        }
        Ok(opened.map(|index| accounts.swap_remove(index)))
    }

    /// Who the caller is, in names.
    pub(crate) async fn me(&self, caller: &Caller) -> Result<Me, Error> {
        let tenant_id = caller.tenant();
        let tenant = self.accounts.tenant(tenant_id).await?.ok_or_else(gone)?;
        let (member, key) = match caller.principal() {
            Principal::Member(id, _) => (Some(self.accounts.member(tenant_id, id).await?.ok_or_else(gone)?), None),
            Principal::Key(id) => (None, Some(self.accounts.key(id).await?.ok_or_else(gone)?)),
        };
        let agent = match caller.agent() {
            Some(agent) => self.accounts.agent(tenant_id, agent).await?,
            None => None,
        };
        let app = self.accounts.app(tenant_id, caller.app()).await?;
        Ok(Me { tenant, member, key, app, agent, scopes: caller.scopes() })
    }
}

fn email_taken() -> Fault {
    Fault::new(Code::Conflict, "There is an account with this email already; log in instead.")
        .detail("email", "has an account")
}

fn wrong_password() -> Fault {
    Fault::new(Code::Unauthenticated, "The email or the password is wrong.")
}

fn gone() -> Fault {
    Fault::new(Code::Unauthenticated, "Whoever this credential belonged to no longer exists.")
}
