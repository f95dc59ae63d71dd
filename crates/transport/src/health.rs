//! `/livez` and `/readyz`: is the process alive, and may it be sent requests.
//!
//! Liveness says only that the process answers. Readiness is the sum of named checks that services set; each starts as
//! not ready, and is there from the moment it is registered, so that a probe never sees "ready" for want of checks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;

use crate::response::{Data, Quiet};

/// All checks of a process; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    checks: Arc<Mutex<BTreeMap<&'static str, Reading>>>,
}

/// One named check, set by whoever registered it.
#[derive(Debug, Clone)]
pub struct Check {
    name: &'static str,
    readiness: Readiness,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Reading {
    ready: bool,
    /// What it waits for, or what a ready service wants known.
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: Cow<'static, str>,
}

impl Readiness {
    /// Registers a check, not ready yet. Registering a name again resets it.
    pub fn check(&self, name: &'static str) -> Check {
        let check = Check { name, readiness: self.clone() };
        check.waiting("starting");
        check
    }

    /// Whether every check is ready; false while there is none.
    pub fn is_ready(&self) -> bool {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        !checks.is_empty() && checks.values().all(|state| state.ready)
    }

    fn snapshot(&self) -> BTreeMap<&'static str, Reading> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Check {
    /// From now on ready.
    pub fn ready(&self) {
        self.set(true, "");
    }
    /// Ready, with something an operator should know (`durability = relaxed`).
    pub fn ready_with(&self, detail: impl Into<Cow<'static, str>>) {
        self.set(true, detail);
    }
    /// Not ready; `detail` names what it waits for, never a secret or an address.
    pub fn waiting(&self, detail: impl Into<Cow<'static, str>>) {
        self.set(false, detail);
    }

    fn set(&self, ready: bool, detail: impl Into<Cow<'static, str>>) {
        let mut checks = self.readiness.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.insert(self.name, Reading { ready, detail: detail.into() });
    }
}

/// `GET /livez` and `GET /readyz`, without credentials.
pub fn router(readiness: Readiness) -> Router {
    Router::new().route("/livez", get(live)).route("/readyz", get(ready)).with_state(readiness)
}

#[derive(Serialize)]
struct Live {
    live: bool,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    checks: BTreeMap<&'static str, Reading>,
}

async fn live() -> Data<Live> {
    Data(Live { live: true })
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let ready = readiness.is_ready();
    let body = Data(Ready { ready, checks: readiness.snapshot() });
    if ready {
        return body.into_response();
    }
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    response.extensions_mut().insert(Quiet);
    response
}
