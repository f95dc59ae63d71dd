//! `/v1/agents`

pub(super) mod create;
pub(super) mod delete;
pub(super) mod get;
pub(super) mod list;
pub(super) mod rename;

use serde::Serialize;
use utoipa::ToSchema;

/// An agent of an app; traces may be attributed to it.
#[derive(Serialize, ToSchema)]
pub(super) struct Agent {
    id: String,
    name: String,
    app_id: String,
    created_at: String,
}

impl From<spanlake_catalog::Agent> for Agent {
    fn from(agent: spanlake_catalog::Agent) -> Self {
        Self {
            id: agent.id.to_string(),
            name: agent.name,
            app_id: agent.app.to_string(),
            created_at: agent.created_at.to_string(),
        }
    }
}
