//! Hearing of what changed elsewhere, long before what is remembered has aged.

use spanlake_model::Changed;
use std::time::Duration;

use super::Gate;

/// How often auth is asked: a change is known everywhere within a second.
const ASK_EVERY: Duration = Duration::from_millis(500);

impl Gate {
    /// Asks auth twice a second what changed, and forgets that; for ever. While auth is away, what is remembered ages as ever, and
    /// afterwards everything that was missed is heard of.
    ///
    /// For processes where nobody calls [`Self::revoke`] and its like.
    pub async fn follow(&self) {
        let mut seen = None;
        loop {
            seen = self.hear(seen).await;
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Asks once; answers where to go on.
    pub(super) async fn hear(&self, seen: Option<u64>) -> Option<u64> {
        let changes = match self.0.auth.changes(seen).await {
            Ok(changes) => {
                self.0.away.answered();
                changes
            }
            Err(fault) => {
                self.0.away.failed();
                tracing::debug!(error = %fault, "auth does not say what changed");
                return seen;
            }
        };
        match changes.changed {
            Some(changed) => {
                for change in changed {
                    self.forget(change).await;
                }
            }
            None if seen.is_some() => self.forget_everything(),
            None => {}
        }
        Some(changes.sequence)
    }

    async fn forget(&self, change: Changed) {
        match change {
            Changed::Key(key) => self.revoke(key).await,
            Changed::Member(tenant, member) => self.forget_member(tenant, member).await,
            Changed::App(tenant, app) => self.forget_app(tenant, app).await,
            Changed::Agent(tenant, agent) => self.forget_agent(tenant, agent).await,
            Changed::Tenant(tenant) => self.forget_tenant(tenant).await,
        }
    }

    fn forget_everything(&self) {
        tracing::info!("too much has changed to hear of it all: everything that is remembered is asked for anew");
        self.0.keys.forget_all();
        self.0.tenants.forget_all();
        self.0.apps.forget_all();
        self.0.agents.forget_all();
        self.0.members.forget_all();
    }
}
