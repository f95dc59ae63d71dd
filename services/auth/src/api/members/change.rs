//! `PATCH /v1/members/{id}`

use axum::extract::State;
use http::request::Parts;
use serde::Deserialize;
use spanlake_model::{MemberId, Scope};
use spanlake_transport::extract::{Body, Path};
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::ToSchema;

use super::{Member, read_role};
use crate::api::Deps;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct MemberChange {
    /// `owner`, `admin`, `member` or `viewer`; not above your own.
    role: String,
}

/// Change what a member may do, here at once and everywhere within a second. The only owner stays one. Invitations that they
/// made and nobody accepted are withdrawn; keys that they made stay. Needs `admin`.
#[utoipa::path(
    patch, path = "/v1/members/{id}", tag = "auth", operation_id = "changeMember",
    params(("id" = String, Path, description = "The member's id.")),
    request_body = MemberChange,
    responses((status = 200, description = "The member.", body = Data<Member>), ErrorResponse),
)]
pub(in crate::api) async fn change(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<MemberId>, ErrorResponse>,
    body: Result<Body<MemberChange>, ErrorResponse>,
) -> Result<Data<Member>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let (Path(member), Body(change)) = (path?, body?);
    let changed = deps.by(&caller, &parts).change_role(&caller, member, read_role(&change.role)?).await?;
    deps.gate.forget_member(caller.tenant(), member).await;
    Ok(Data(changed.into()))
}
