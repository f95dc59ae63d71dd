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
use spanlake_catalog::Act;
use spanlake_model::{Caller, Fault, Scope};
use spanlake_transport::peer::client_address;
use spanlake_transport::{Api, Routes};
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
    /// The caller, who may do this, with what their tenant's limits let run.
    async fn admit(&self, parts: &Parts, scope: Scope) -> Result<Caller, Fault> {
        let caller = self.gate.admit(parts, scope).await?;
        let queries_at_once = self.gate.queries_at_once(&caller).await?;
        Ok(caller.with_queries_at_once(queries_at_once))
    }

    /// Who asks, from where, for the record.
    fn act(&self, caller: &Caller, parts: &Parts) -> Act {
        let recorder = &self.service.recorder;
        recorder.act(caller, client_address(parts, recorder.proxies))
    }

    /// The caller, who may read.
    async fn reader(&self, parts: &Parts) -> Result<Caller, Fault> {
        self.admit(parts, Scope::Read).await
    }

    /// The caller, who may delete.
    async fn admin(&self, parts: &Parts) -> Result<Caller, Fault> {
        self.admit(parts, Scope::Admin).await
    }
}

/// All routes of this service. Reading needs the scope `read` and shows the caller's app only; deleting needs `admin`.
pub fn routes(service: Arc<Service>, gate: Gate) -> Api {
    Routes::default()
        .to(Scope::Read, routes!(traces_list::list))
        .to(Scope::Read, routes!(traces_list::search))
        .to(Scope::Read, routes!(spans_list::search))
        .to(Scope::Read, routes!(filter_schema::get))
        .to(Scope::Read, routes!(traces_get::get))
        .to(Scope::Admin, routes!(traces_delete::delete))
        .to(Scope::Read, routes!(spans_get::get))
        .to(Scope::Read, routes!(spans_list::list))
        .to(Scope::Read, routes!(sessions_list::list))
        .to(Scope::Read, routes!(sessions_list::search))
        .to(Scope::Read, routes!(sessions_get::get))
        .to(Scope::Read, routes!(metrics_get::get))
        .to(Scope::Read, routes!(metadata_keys::list))
        .to(Scope::Read, routes!(facets_get::get))
        .to(Scope::Read, routes!(scores_list::list))
        .to(Scope::Read, routes!(scores_sums::names))
        .to(Scope::Read, routes!(scores_sums::aggregations))
        .to(Scope::Read, routes!(scores_get::get))
        .to(Scope::Score, routes!(scores_delete::delete))
        .to(Scope::Admin, routes!(deletions_create::create))
        .to(Scope::Admin, routes!(deletions_get::get))
        .with_state(Face { service, gate })
}
