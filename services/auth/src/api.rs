//! The HTTP routes. One endpoint, one file.
//!
//! Who may: signing up, logging in, refreshing, logging out and accepting an invitation need no credential. `GET /v1/me` takes any. Apps and
//! agents are read with `read`, made, renamed and deleted with `admin`. Everything about keys and members needs `admin`: their lists say who holds what.
//! So does setting how long rows are kept and what calls cost; prices are read with `read`.

mod agents;
mod api_keys;
mod apps;
mod invites;
mod jwks;
mod login;
mod logout;
mod me;
mod members;
mod page;
mod prices;
mod refresh;
mod retention;
mod session;
mod signup;

use std::sync::Arc;

use http::HeaderName;
use http::header::CACHE_CONTROL;
use spanlake_access::Gate;
use spanlake_transport::Api;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::Service;

/// What every handler has.
#[derive(Clone)]
struct Deps {
    service: Arc<Service>,
    gate: Gate,
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
        .routes(routes!(jwks::jwks))
        .with_state(Deps { service, gate })
}
