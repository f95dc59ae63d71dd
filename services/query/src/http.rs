//! The routes: one file each.

mod cursor;
mod json;
mod params;
mod span_row;
mod spans_get;
mod spans_list;
mod trace_row;
mod traces_get;
mod traces_list;

use std::sync::Arc;

use axum::http::request::Parts;
use spanlake_access::Gate;
use spanlake_model::{Caller, Fault, Scope};
use spanlake_transport::Api;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::Service;

/// What a handler needs.
#[derive(Clone)]
struct Face {
    service: Arc<Service>,
    gate: Gate,
}

impl Face {
    /// The caller, who may read.
    async fn reader(&self, parts: &Parts) -> Result<Caller, Fault> {
        self.gate.admit(parts, Scope::Read).await
    }
}

/// All routes of this service; each needs the scope `read` and shows the caller's app only.
pub fn routes(service: Arc<Service>, gate: Gate) -> Api {
    OpenApiRouter::new()
        .routes(routes!(traces_list::list))
        .routes(routes!(traces_get::get))
        .routes(routes!(spans_get::get))
        .routes(routes!(spans_list::list))
        .with_state(Face { service, gate })
}
