//! The HTTP routes. One endpoint, one file.
//!
//! Who may: signing up, logging in, refreshing, logging out and accepting an invitation need no credential. `GET /v1/me` takes any. Apps and
//! agents are read with `read`, made, renamed and deleted with `admin`. Everything about keys and members needs `admin`: their lists say who holds what.
//! So does setting how long rows are kept and what calls cost; prices, limits and use are read with `read`. The audit log, setting limits
//! and deleting the tenant are for owners, logged in. A link to reset a password and the receipt of a deleted tenant speak for themselves.

mod agents;
mod api_keys;
mod apps;
mod audit_log;
mod invites;
mod jwks;
mod limits;
mod login;
mod logout;
mod me;
mod members;
mod page;
mod password;
mod prices;
mod refresh;
mod retention;
mod session;
mod signup;
mod tenant;
mod usage;

use std::sync::Arc;

use http::HeaderName;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use spanlake_access::Gate;
use spanlake_model::{Caller, Fault, Limit, Scope};
use spanlake_transport::peer::client_address;
use spanlake_transport::{Api, Permission, Routes};
use utoipa_axum::routes;

use crate::service::{Service, require_owner};

/// What every handler has.
#[derive(Clone)]
struct Deps {
    service: Arc<Service>,
    gate: Gate,
}

impl Deps {
    /// Who sent this request, if they may do `scope`. Takes one of their tenant's requests.
    async fn admit(&self, parts: &Parts, scope: Scope) -> Result<Caller, Fault> {
        let caller = self.gate.admit(parts, scope).await?;
        self.counted(caller).await
    }
    /// Who sent this request, whatever they may do. Takes one of their tenant's requests.
    async fn caller(&self, parts: &Parts) -> Result<Caller, Fault> {
        let caller = self.gate.caller(parts).await?;
        self.counted(caller).await
    }
    /// Who sent this request, if they own their tenant. Takes one of its requests.
    async fn admit_owner(&self, parts: &Parts) -> Result<Caller, Fault> {
        let caller = self.owner(parts).await?;
        self.counted(caller).await
    }
    /// As [`Self::admit_owner`], and takes nothing: for what must be possible whatever the limits say.
    async fn owner(&self, parts: &Parts) -> Result<Caller, Fault> {
        let caller = self.gate.caller(parts).await?;
        require_owner(&caller).map(|()| caller)
    }
    async fn counted(&self, caller: Caller) -> Result<Caller, Fault> {
        self.gate.take(&caller, &[(Limit::Requests, 1)]).await.map(|_| caller)
    }
    /// The service for a request without a caller.
    fn from(&self, parts: &Parts) -> Service {
        self.service.from(client_address(parts, self.service.proxies()))
    }
    /// The service for a request that changes something: it goes on record as this caller's.
    fn by(&self, caller: &Caller, parts: &Parts) -> Service {
        self.from(parts).by(caller)
    }
}

/// For answers that hold a secret.
const NO_STORE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

/// The routes of the service. `gate` verifies who calls them, and is told at once of keys that are revoked here.
pub fn routes(service: Arc<Service>, gate: Gate) -> Api {
    Routes::default()
        .to(Permission::Anyone, routes!(signup::sign_up))
        .to(Permission::Anyone, routes!(login::log_in))
        .to(Permission::Anyone, routes!(refresh::refresh))
        .to(Permission::Anyone, routes!(logout::log_out))
        .to(Permission::Credential, routes!(me::me))
        .to(Scope::Read, routes!(apps::list::list))
        .to(Scope::Admin, routes!(apps::create::create))
        .to(Scope::Read, routes!(apps::get::get))
        .to(Scope::Admin, routes!(apps::rename::rename))
        .to(Scope::Admin, routes!(apps::delete::delete))
        .to(Scope::Read, routes!(agents::list::list))
        .to(Scope::Admin, routes!(agents::create::create))
        .to(Scope::Read, routes!(agents::get::get))
        .to(Scope::Admin, routes!(agents::rename::rename))
        .to(Scope::Admin, routes!(agents::delete::delete))
        .to(Scope::Admin, routes!(api_keys::list::list))
        .to(Scope::Admin, routes!(api_keys::create::create))
        .to(Scope::Admin, routes!(api_keys::revoke::revoke))
        .to(Scope::Admin, routes!(api_keys::rotate::rotate))
        .to(Scope::Admin, routes!(members::list::list))
        .to(Scope::Admin, routes!(members::get::get))
        .to(Scope::Admin, routes!(members::change::change))
        .to(Scope::Admin, routes!(members::remove::remove))
        .to(Scope::Admin, routes!(invites::list::list))
        .to(Scope::Admin, routes!(invites::create::create))
        .to(Scope::Admin, routes!(invites::withdraw::withdraw))
        .to(Permission::Anyone, routes!(invites::accept::accept))
        .to(Scope::Read, routes!(prices::get::get))
        .to(Scope::Admin, routes!(prices::put::put))
        .to(Scope::Read, routes!(prices::lookup::look_up))
        .to(Scope::Admin, routes!(retention::get::get))
        .to(Scope::Admin, routes!(retention::put::put))
        .to(Permission::Credential, routes!(password::change::change))
        .to(Scope::Admin, routes!(password::create_reset::create_reset))
        .to(Permission::Anyone, routes!(password::reset::reset))
        .to(Permission::Owner, routes!(audit_log::list::list))
        .to(Permission::Owner, routes!(audit_log::check::check))
        .to(Scope::Read, routes!(limits::get::get))
        .to(Permission::Owner, routes!(limits::put::put))
        .to(Scope::Read, routes!(usage::usage))
        .to(Permission::Owner, routes!(tenant::delete::delete))
        .to(Permission::Anyone, routes!(tenant::receipt::receipt))
        .to(Permission::Anyone, routes!(jwks::jwks))
        .with_state(Deps { service, gate })
}
