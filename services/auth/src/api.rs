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
use spanlake_model::{Caller, Fault};
use spanlake_transport::Api;
use spanlake_transport::peer::client_address;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::{Service, require_owner};

/// What every handler has.
#[derive(Clone)]
struct Deps {
    service: Arc<Service>,
    gate: Gate,
}

impl Deps {
    /// Who sent this request, if they own their tenant.
    async fn admit_owner(&self, parts: &Parts) -> Result<Caller, Fault> {
        let caller = self.gate.caller(parts).await?;
        require_owner(&caller).map(|()| caller)
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
    OpenApiRouter::new()
        .routes(routes!(signup::sign_up))
        .routes(routes!(login::log_in))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::log_out))
        .routes(routes!(me::me))
        .routes(routes!(apps::list::list, apps::create::create))
        .routes(routes!(apps::get::get, apps::rename::rename, apps::delete::delete))
        .routes(routes!(agents::list::list, agents::create::create))
        .routes(routes!(agents::get::get, agents::rename::rename, agents::delete::delete))
        .routes(routes!(api_keys::list::list, api_keys::create::create))
        .routes(routes!(api_keys::revoke::revoke))
        .routes(routes!(api_keys::rotate::rotate))
        .routes(routes!(members::list::list))
        .routes(routes!(members::get::get, members::change::change, members::remove::remove))
        .routes(routes!(invites::list::list, invites::create::create))
        .routes(routes!(invites::withdraw::withdraw))
        .routes(routes!(invites::accept::accept))
        .routes(routes!(prices::get::get, prices::put::put))
        .routes(routes!(prices::lookup::look_up))
        .routes(routes!(retention::get::get, retention::put::put))
        .routes(routes!(password::change::change))
        .routes(routes!(password::create_reset::create_reset))
        .routes(routes!(password::reset::reset))
        .routes(routes!(audit_log::list::list))
        .routes(routes!(audit_log::check::check))
        .routes(routes!(limits::get::get, limits::put::put))
        .routes(routes!(usage::usage))
        .routes(routes!(tenant::delete::delete))
        .routes(routes!(tenant::receipt::receipt))
        .routes(routes!(jwks::jwks))
        .with_state(Deps { service, gate })
}
