//! The routes of exports into files.

mod cancel;
mod create;
mod get;
mod list;
mod manifest;
mod resume;
mod row;
mod runs;

use std::sync::Arc;

use axum::http::request::Parts as Head;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use spanlake_access::Gate;
use spanlake_catalog::{Deed, Export};
use spanlake_model::{Caller, Code, ExportId, Fault, Scope};
use spanlake_transport::{Api, Routes};
use utoipa_axum::routes;

use super::Jobs;
use crate::recorded;

/// Rows of a page at most, and how many when the request does not say.
const LIMIT_MAX: u32 = 1_000;
const LIMIT_DEFAULT: u32 = 50;

#[derive(Clone)]
struct Face {
    jobs: Arc<Jobs>,
    gate: Gate,
}

pub(super) fn routes(jobs: Arc<Jobs>, gate: Gate) -> Api {
    Routes::default()
        .to(Scope::Export, routes!(create::create))
        .to(Scope::Export, routes!(list::list))
        .to(Scope::Export, routes!(get::get))
        .to(Scope::Export, routes!(cancel::cancel))
        .to(Scope::Export, routes!(resume::resume))
        .to(Scope::Export, routes!(runs::runs))
        .to(Scope::Export, routes!(manifest::manifest))
        .with_state(Face { jobs, gate })
}

impl Face {
    async fn caller(&self, head: &Head) -> Result<Caller, Fault> {
        self.gate.admit(head, Scope::Export).await
    }

    /// Puts on record what the caller is about to do.
    async fn record(&self, caller: &Caller, head: &Head, deed: Deed) -> Result<(), Fault> {
        recorded(&self.jobs.parts.recorder, caller, head, deed).await
    }

    /// An export of the caller's app, and for an agent's key of that agent.
    async fn own(&self, caller: &Caller, id: ExportId) -> Result<Export, Fault> {
        let found = self.jobs.parts.exports.export(caller.tenant(), id).await?;
        let is_own = |export: &Export| {
            export.asked.app == caller.app() && (caller.agent().is_none() || caller.agent() == export.asked.agent)
        };
        found.filter(is_own).ok_or_else(|| Fault::not_found("export"))
    }
}

fn limit(given: Option<u32>) -> Result<u32, Fault> {
    match given.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        _ => Err(refused_parameter("limit", format!("must be from 1 to {LIMIT_MAX}"))),
    }
}

fn refused_parameter(name: &'static str, why: String) -> Fault {
    Fault::new(Code::InvalidQueryParams, format!("The query parameter '{name}' is refused: {why}.")).detail(name, why)
}

/// Where a page begins, as text that clients pass back.
fn seal(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

fn open<T>(cursor: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Fault> {
    let Some(cursor) = cursor else { return Ok(None) };
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let place = text.and_then(|text| read(&text));
    place.map(Some).ok_or_else(|| refused_parameter("cursor", "must be the next_cursor of the same list".into()))
}
