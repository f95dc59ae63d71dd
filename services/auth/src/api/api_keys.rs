//! `/v1/api-keys`

pub(super) mod create;
pub(super) mod list;
pub(super) mod revoke;
pub(super) mod rotate;

use serde::Serialize;
use spanlake_access::key::{self, Kind};
use spanlake_catalog::Actor;
use spanlake_model::Scope;
use utoipa::ToSchema;

use crate::service::MadeKey;

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct ApiKey {
    id: String,
    name: String,
    /// `workspace` or `agent`.
    kind: &'static str,
    /// How the key begins: its kind and its public id.
    key_prefix: String,
    /// How it ends.
    last4: String,
    scopes: Vec<&'static str>,
    /// The app it is pinned to; null for a key of the whole tenant.
    app_id: Option<String>,
    /// The agent it is bound to.
    agent_id: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    /// To the minute or so.
    last_used_at: Option<String>,
    /// Who made it; null for keys from before that was noted.
    created_by: Option<Creator>,
}

/// Who made a key.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyCreator)]
struct Creator {
    /// `member` or `key`.
    r#type: &'static str,
    id: String,
    /// Whether the member was removed, or the key revoked: then look whether this key is still wanted.
    is_gone: bool,
}

impl ApiKey {
    /// A key whose maker may be gone.
    fn listed(MadeKey { key, maker_is_gone }: MadeKey) -> Self {
        let mut listed = Self::from(key);
        if let Some(creator) = &mut listed.created_by {
            creator.is_gone = maker_is_gone;
        }
        listed
    }
}

impl From<Actor> for Creator {
    fn from(actor: Actor) -> Self {
        let (r#type, id) = actor.named();
        // The installation makes no keys.
        Self { r#type, id: id.unwrap_or_default(), is_gone: false }
    }
}

impl From<spanlake_catalog::ApiKey> for ApiKey {
    fn from(row: spanlake_catalog::ApiKey) -> Self {
        let kind = if row.agent.is_some() { Kind::Agent } else { Kind::Workspace };
        Self {
            id: row.id.to_string(),
            name: row.name,
            kind: kind.as_str(),
            key_prefix: key::public_part(kind, row.id),
            last4: row.last4,
            scopes: row.scopes.iter().map(Scope::as_str).collect(),
            app_id: row.app.map(|app| app.to_string()),
            agent_id: row.agent.map(|agent| agent.to_string()),
            created_at: row.created_at.to_string(),
            expires_at: row.expires_at.map(|at| at.to_string()),
            revoked_at: row.revoked_at.map(|at| at.to_string()),
            last_used_at: row.last_used_at.map(|at| at.to_string()),
            created_by: row.created_by.map(Creator::from),
        }
    }
}
