//! Apps and agents.

use spanlake_catalog::{Agent, App};
use spanlake_model::{AgentId, AppId, Caller, Code, Fault, KeyId, Principal};

use super::Service;
use super::holdings::Thing;
use crate::error::Error;
use crate::input;

impl Service {
    /// Adds an app to the caller's tenant.
    pub(crate) async fn create_app(&self, caller: &Caller, name: &str) -> Result<App, Error> {
        let name = input::name("name", name)?;
        self.room_for(caller.tenant(), Thing::App).await?;
        let app = App {
            id: AppId::generate(&*self.clock, &*self.entropy),
            tenant: caller.tenant(),
            name,
            created_at: self.clock.now(),
        };
        self.accounts.add_app(app.clone()).await?;
        Ok(app)
    }

    /// The apps the caller may know of, oldest first: a pinned key knows its own.
    pub(crate) async fn apps(&self, caller: &Caller) -> Result<Vec<App>, Error> {
        let (mut apps, pin) = (self.accounts.apps(caller.tenant()).await?, self.pin_of(caller).await?);
        apps.retain(|app| pin.is_none_or(|pin| app.id == pin));
        Ok(apps)
    }

    /// One of the apps the caller may know of.
    pub(crate) async fn app(&self, caller: &Caller, app: AppId) -> Result<App, Error> {
        let is_hidden = self.pin_of(caller).await?.is_some_and(|pin| pin != app);
        let found = self.accounts.app(caller.tenant(), app).await?;
        Ok(found.filter(|_| !is_hidden).ok_or_else(|| Fault::not_found("app"))?)
    }

    /// Gives an app of the caller's tenant another name.
    pub(crate) async fn rename_app(&self, caller: &Caller, app: AppId, name: &str) -> Result<App, Error> {
        let name = input::name("name", name)?;
        let renamed = self.accounts.rename_app(caller.tenant(), app, &name).await?;
        Ok(renamed.ok_or_else(|| Fault::not_found("app"))?)
    }

    /// Deletes an app of the caller's tenant, its agents and its keys; answers the keys that stop with it.
    pub(crate) async fn delete_app(&self, caller: &Caller, app: AppId) -> Result<Vec<KeyId>, Error> {
        let tenant = self.accounts.tenant(caller.tenant()).await?.ok_or_else(|| Fault::not_found("app"))?;
        if tenant.default_app == app {
            let message = "This is the tenant's default app, which is meant where none is named; it cannot be deleted.";
            return Err(Fault::new(Code::Conflict, message).into());
        }
        let revoked = self.accounts.delete_app(tenant.id, app, self.clock.now()).await?;
        Ok(revoked.ok_or_else(|| Fault::not_found("app"))?)
    }

    /// Adds an agent to `app`, or else to the app that the request is about.
    pub(crate) async fn create_agent(&self, caller: &Caller, name: &str, app: Option<AppId>) -> Result<Agent, Error> {
        let name = input::name("name", name)?;
        let app = app.unwrap_or(caller.app());
        self.accounts.app(caller.tenant(), app).await?.ok_or_else(|| Fault::not_found("app"))?;
        self.room_for(caller.tenant(), Thing::Agent).await?;
        let agent = Agent {
            id: AgentId::generate(&*self.clock, &*self.entropy),
            tenant: caller.tenant(),
            app,
            name,
            created_at: self.clock.now(),
        };
        self.accounts.add_agent(agent.clone()).await?;
        Ok(agent)
    }

    /// The agents the caller may know of, oldest first: a key that is pinned to an app, or bound to an agent, knows its own.
    pub(crate) async fn agents(&self, caller: &Caller) -> Result<Vec<Agent>, Error> {
        let (mut agents, pin) = (self.accounts.agents(caller.tenant()).await?, self.pin_of(caller).await?);
        agents.retain(|agent| pin.is_none_or(|pin| agent.app == pin));
        agents.retain(|agent| caller.agent().is_none_or(|bound| agent.id == bound));
        Ok(agents)
    }

    /// One of the agents the caller may know of.
    pub(crate) async fn agent(&self, caller: &Caller, agent: AgentId) -> Result<Agent, Error> {
        let pin = self.pin_of(caller).await?;
        let found = self.accounts.agent(caller.tenant(), agent).await?;
        let is_known = |found: &Agent| {
            pin.is_none_or(|pin| found.app == pin) && caller.agent().is_none_or(|bound| found.id == bound)
        };
        Ok(found.filter(is_known).ok_or_else(|| Fault::not_found("agent"))?)
    }

    /// Gives an agent of the caller's tenant another name.
    pub(crate) async fn rename_agent(&self, caller: &Caller, agent: AgentId, name: &str) -> Result<Agent, Error> {
        let name = input::name("name", name)?;
        let renamed = self.accounts.rename_agent(caller.tenant(), agent, &name).await?;
        Ok(renamed.ok_or_else(|| Fault::not_found("agent"))?)
    }

    /// Deletes an agent of the caller's tenant and its keys; answers the keys that stop with it.
    pub(crate) async fn delete_agent(&self, caller: &Caller, agent: AgentId) -> Result<Vec<KeyId>, Error> {
        let revoked = self.accounts.delete_agent(caller.tenant(), agent, self.clock.now()).await?;
        Ok(revoked.ok_or_else(|| Fault::not_found("agent"))?)
    }

    /// The app the caller's key is pinned to.
    async fn pin_of(&self, caller: &Caller) -> Result<Option<AppId>, Error> {
        match caller.principal() {
            Principal::Key(key) => Ok(self.accounts.key(key).await?.and_then(|key| key.app)),
            Principal::Member(..) => Ok(None),
        }
    }
}
