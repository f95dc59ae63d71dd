//! `/v1/apps`

pub(super) mod create;
pub(super) mod delete;
pub(super) mod get;
pub(super) mod list;
pub(super) mod rename;

use serde::Serialize;
use utoipa::ToSchema;

/// What traces belong to inside a tenant.
#[derive(Serialize, ToSchema)]
pub(super) struct App {
    id: String,
    name: String,
    created_at: String,
}

impl From<spanlake_catalog::App> for App {
    fn from(app: spanlake_catalog::App) -> Self {
        Self { id: app.id.to_string(), name: app.name, created_at: app.created_at.to_string() }
    }
}
