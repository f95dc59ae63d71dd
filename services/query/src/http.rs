//! The routes: one file each.

mod cursor;
mod deletion_row;
mod deletions_create;
mod deletions_get;
mod facets_get;
mod filter_schema;
mod filters;
mod json;
mod metadata_keys;
mod metrics_get;
mod metrics_row;
mod params;
mod score_row;
mod scores_delete;
mod scores_get;
mod scores_list;
mod scores_sums;
mod session_row;
mod sessions_get;
mod sessions_list;
mod span_row;
mod spans_get;
mod spans_list;
mod trace_row;
mod traces_delete;
mod traces_get;
mod traces_list;

use std::sync::Arc;

use axum::http::request::Parts;
use spanlake_access::Gate;
use spanlake_model::{Caller, Fault, Scope};
use spanlake_transport::Api;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use span_row::span_json;

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

    /// The caller, who may delete.
    async fn admin(&self, parts: &Parts) -> Result<Caller, Fault> {
        self.gate.admit(parts, Scope::Admin).await
    }
}

/// All routes of this service. Reading needs the scope `read` and shows the caller's app only; deleting needs `admin`.
pub fn routes(service: Arc<Service>, gate: Gate) -> Api {
    OpenApiRouter::new()
        .routes(routes!(traces_list::list))
        .routes(routes!(traces_list::search))
        .routes(routes!(spans_list::search))
        .routes(routes!(filter_schema::get))
        .routes(routes!(traces_get::get, traces_delete::delete))
        .routes(routes!(spans_get::get))
        .routes(routes!(spans_list::list))
        .routes(routes!(sessions_list::list))
        .routes(routes!(sessions_list::search))
        .routes(routes!(sessions_get::get))
        .routes(routes!(metrics_get::get))
        .routes(routes!(metadata_keys::list))
        .routes(routes!(facets_get::get))
        .routes(routes!(scores_list::list))
        .routes(routes!(scores_sums::names))
        .routes(routes!(scores_sums::aggregations))
        .routes(routes!(scores_get::get, scores_delete::delete))
        .routes(routes!(deletions_create::create))
        .routes(routes!(deletions_get::get))
        .with_state(Face { service, gate })
}
