//! `POST /v1/signup`

use axum::extract::State;
use axum::response::IntoResponse;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Created, ErrorResponse};
use utoipa::ToSchema;

use super::session::Session;
use super::{Deps, NO_STORE};
use crate::service::{Joined, SignedUp};

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignUp {
    /// The owner's address.
    email: String,
    /// At least 8 characters.
    #[schema(format = Password, min_length = 8)]
    password: String,
    /// What the account is called.
    tenant_name: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Account {
    tenant: Named,
    /// The first app; it is meant when no app is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<Named>,
    member: Member,
    #[serde(flatten)]
    session: Session,
}

#[derive(Serialize, ToSchema)]
struct Named {
    id: String,
    name: String,
}

#[derive(Serialize, ToSchema)]
struct Member {
    id: String,
    email: String,
    role: &'static str,
}

/// Make an account, and log its owner in.
#[utoipa::path(
    post, path = "/v1/signup", tag = "auth", operation_id = "signUp",
    request_body = SignUp,
    responses((status = 201, description = "The account and the owner's tokens.", body = Created<Account>), ErrorResponse),
)]
pub(super) async fn sign_up(
    State(deps): State<Deps>,
    parts: Parts,
    Body(body): Body<SignUp>,
) -> Result<impl IntoResponse, ErrorResponse> {
    let signed_up = deps.from(&parts).sign_up(&body.email, body.password, &body.tenant_name).await?;
    Ok((NO_STORE, Created(Account::from(signed_up))))
}

impl From<SignedUp> for Account {
    fn from(SignedUp { account, tokens }: SignedUp) -> Self {
        Self {
            tenant: Named { id: account.tenant.id.to_string(), name: account.tenant.name },
            app: Some(account.app.into()),
            member: account.owner.into(),
            session: tokens.into(),
        }
    }
}

impl From<Joined> for Account {
    fn from(Joined { tenant, app, member, tokens }: Joined) -> Self {
        Self {
            tenant: Named { id: tenant.id.to_string(), name: tenant.name },
            app: app.map(Named::from),
            member: member.into(),
            session: tokens.into(),
        }
    }
}

impl From<spanlake_catalog::App> for Named {
    fn from(app: spanlake_catalog::App) -> Self {
        Self { id: app.id.to_string(), name: app.name }
    }
}

impl From<spanlake_catalog::Member> for Member {
    fn from(member: spanlake_catalog::Member) -> Self {
        Self { id: member.id.to_string(), email: member.email, role: member.role.as_str() }
    }
}
