//! `GET /v1/members/{id}`

use axum::extract::State;
use http::request::Parts;
use spanlake_model::{MemberId, Scope};
use spanlake_transport::extract::Path;
use spanlake_transport::response::{Data, ErrorResponse};

use super::Member;
use crate::api::Deps;

/// One member. Needs `admin`; oneself is at `GET /v1/me`.
#[utoipa::path(
    get, path = "/v1/members/{id}", tag = "auth", operation_id = "getMember",
    params(("id" = String, Path, description = "The member's id.")),
    responses((status = 200, description = "The member.", body = Data<Member>), ErrorResponse),
)]
pub(in crate::api) async fn get(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<MemberId>, ErrorResponse>,
) -> Result<Data<Member>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let Path(member) = path?;
    Ok(Data(deps.service.member(&caller, member).await?.into()))
}
