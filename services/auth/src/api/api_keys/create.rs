//! `POST /v1/api-keys`

use std::str::FromStr;

use axum::extract::State;
use axum::response::IntoResponse;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_access::key::{self, Kind};
use spanlake_model::{Fault, Scope, ScopeSet, Timestamp};
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Created, ErrorResponse};
use utoipa::ToSchema;

use super::ApiKey;
use crate::api::{Deps, NO_STORE};
use crate::input::invalid;
use crate::service::{KeyRequest, NewKey};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewApiKey {
    /// 1 to 100 characters, for people.
    name: String,
    kind: KeyKind,
    /// The agent, for kind `agent`.
    agent_id: Option<String>,
    /// Pins a workspace key to one app. An agent key is pinned to its agent's.
    app_id: Option<String>,
    /// What it may do; at most what you may. Without it: ingest, read, export and score for a workspace key, ingest and
    /// score for an agent key. A pinned key cannot hold admin.
    scopes: Option<Vec<String>>,
    /// When it stops working; RFC 3339, in the future. Without it, never.
    expires_at: Option<String>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum KeyKind {
    /// For the whole tenant, or one app.
    Workspace,
    /// For one agent.
    Agent,
}

/// A new key. Its secret is shown here and never again.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct CreatedKey {
    #[serde(flatten)]
    about: ApiKey,
    /// The key itself.
    key: String,
    /// The user name for Basic authentication (Langfuse clients); for a workspace key.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// The password for it: the key again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_key: Option<String>,
}

/// Make a key. Needs `admin`.
#[utoipa::path(
    post, path = "/v1/api-keys", tag = "auth", operation_id = "createApiKey",
    request_body = NewApiKey,
    responses((status = 201, description = "The key, with its secret for the only time.", body = Created<CreatedKey>), ErrorResponse),
)]
pub(in crate::api) async fn create(
    State(deps): State<Deps>,
    parts: Parts,
    body: Result<Body<NewApiKey>, ErrorResponse>,
) -> Result<impl IntoResponse, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Body(new) = body?;
    let made = deps.by(&caller, &parts).create_key(&caller, new.try_into()?).await?;
    Ok((NO_STORE, Created(CreatedKey::from(made))))
}

impl TryFrom<NewApiKey> for KeyRequest {
    type Error = Fault;
    fn try_from(new: NewApiKey) -> Result<Self, Fault> {
        Ok(Self {
            name: new.name,
            kind: match new.kind {
                KeyKind::Workspace => Kind::Workspace,
                KeyKind::Agent => Kind::Agent,
            },
            app: parse("app_id", new.app_id)?,
            agent: parse("agent_id", new.agent_id)?,
            scopes: new.scopes.map(|words| read_scopes(&words)).transpose()?,
            expires_at: new.expires_at.map(|text| read_time(&text)).transpose()?,
        })
    }
}

fn parse<T: FromStr>(field: &'static str, text: Option<String>) -> Result<Option<T>, Fault> {
    text.map(|text| text.parse().map_err(|_| invalid(field, "must be a UUID"))).transpose()
}

fn read_scopes(words: &[String]) -> Result<ScopeSet, Fault> {
    let read = |word: &String| Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
    let scopes: Option<ScopeSet> = words.iter().map(read).collect();
    scopes.ok_or_else(|| invalid("scopes", "may hold ingest, read, export, score and admin"))
}

pub(super) fn read_time(text: &str) -> Result<Timestamp, Fault> {
    Timestamp::parse(text).ok_or_else(|| invalid("expires_at", "must be an RFC 3339 time"))
}

impl From<NewKey> for CreatedKey {
    fn from(NewKey { key, text }: NewKey) -> Self {
        let is_workspace = key.agent.is_none();
        Self {
            public_key: is_workspace.then(|| key::basic_user(key.id)),
            secret_key: is_workspace.then(|| text.clone()),
            about: key.into(),
            key: text,
        }
    }
}
