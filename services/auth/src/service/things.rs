//! Apps and agents.

use spanlake_catalog::{Agent, App};
use spanlake_model::{AgentId, AppId, Caller, Fault, Principal};

use super::Service;
use crate::error::Error;
use crate::input;

impl Service {
    /// Adds an app to the caller's tenant.
    pub(crate) async fn create_app(&self, caller: &Caller, name: &str) -> Result<App, Error> {
        let app = App {
            id: AppId::generate(&*self.clock, &*self.entropy),
            tenant: caller.tenant(),
            name: input::name("name", name)?,
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

    /// Adds an agent to `app`, or else to the app that the request is about.
    pub(crate) async fn create_agent(&self, caller: &Caller, name: &str, app: Option<AppId>) -> Result<Agent, Error> {
        let name = input::name("name", name)?;
        let app = app.unwrap_or(caller.app());
        self.accounts.app(caller.tenant(), app).await?.ok_or_else(|| Fault::not_found("app"))?;
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

    /// The app the caller's key is pinned to.
    async fn pin_of(&self, caller: &Caller) -> Result<Option<AppId>, Error> {
        match caller.principal() {
            Principal::Key(key) => Ok(self.accounts.key(key).await?.and_then(|key| key.app)),
            Principal::Member(..) => Ok(None),
        }
    }
}
