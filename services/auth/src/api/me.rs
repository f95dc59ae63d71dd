//! `GET /v1/me`

use axum::extract::State;
use http::request::Parts;
use serde::Serialize;
use spanlake_model::Scope;
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::ToSchema;

use super::Deps;
use crate::service::Me;

/// Who a credential belongs to; what does not apply is left out.
#[derive(Serialize, ToSchema)]
pub(super) struct Identity {
    tenant: Named,
    /// The person, when it is an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<Person>,
    /// The key, when it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Named>,
    /// The app that this request is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<Named>,
    /// The agent that the key is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Named>,
    /// What it may do: ingest, read, export, score, admin.
    scopes: Vec<&'static str>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = IdentityNamed)]
struct Named {
    id: String,
    name: String,
}

#[derive(Serialize, ToSchema)]
struct Person {
    id: String,
    email: String,
    role: &'static str,
}

/// Who am I? Answers any credential that verifies.
#[utoipa::path(
    get, path = "/v1/me", tag = "auth", operation_id = "me",
    responses((status = 200, description = "Whose credential it is and what it may do.", body = Data<Identity>), ErrorResponse),
)]
pub(super) async fn me(State(deps): State<Deps>, parts: Parts) -> Result<Data<Identity>, ErrorResponse> {
    let caller = deps.caller(&parts).await?;
    Ok(Data(deps.service.me(&caller).await?.into()))
}

impl From<Me> for Identity {
    fn from(me: Me) -> Self {
        let named = |id: String, name: String| Named { id, name };
        Self {
            tenant: named(me.tenant.id.to_string(), me.tenant.name),
            member: me.member.map(|member| Person {
                id: member.id.to_string(),
                email: member.email,
                role: member.role.as_str(),
            }),
            key: me.key.map(|key| named(key.id.to_string(), key.name)),
            app: me.app.map(|app| named(app.id.to_string(), app.name)),
            agent: me.agent.map(|agent| named(agent.id.to_string(), agent.name)),
            scopes: me.scopes.iter().map(Scope::as_str).collect(),
        }
    }
}
