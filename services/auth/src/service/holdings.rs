//! How much of everything a tenant may have.
//!
//! Looked at before something is made: those who make things at the same instant may pass it by as many as they are.

use spanlake_catalog::Holdings;
use spanlake_model::{Code, Fault, TenantId};

use super::Service;
use crate::error::Error;

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    App,
    Agent,
    Key,
    Member,
}

impl Service {
    /// Passes when the tenant may have one more.
    ///
    /// # Errors
    /// `conflict`, with how many it may have and what to do.
    pub(super) async fn room_for(&self, tenant: TenantId, thing: Thing) -> Result<(), Error> {
        let held = self.accounts.holdings(tenant, self.clock.now()).await?;
        let (has, most, what, instead) = self.bound(thing, &held);
        if has < most {
            return Ok(());
        }
        let message = format!("This tenant has {has} {what}, and may have {most}; {instead}.");
        Err(Fault::new(Code::Conflict, message).into())
    }

    fn bound(&self, thing: Thing, held: &Holdings) -> (u64, u64, &'static str, &'static str) {
        let most = &self.config;
        match thing {
            Thing::App => (held.apps, most.apps_max, "apps", "delete one that is not needed"),
            Thing::Agent => (held.agents, most.agents_max, "agents", "delete one that is not needed"),
            Thing::Key => (held.keys, most.keys_max, "keys", "revoke one that is not needed, or let keys expire"),
            Thing::Member => (held.members, most.members_max, "members", "remove somebody who has left"),
        }
    }
}
