//! `POST /v1/api-keys/{id}/rotate`

use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{KeyId, Scope};
use spanlake_transport::extract::{Body, Path};
use spanlake_transport::response::{Created, ErrorResponse};
use utoipa::ToSchema;

use super::create::{CreatedKey, read_time};
use crate::api::{Deps, NO_STORE};
use crate::service::{Rotated, Rotation};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct KeyRotation {
    /// How long the old key still works: 0 to 604,800, a week; a day unless said. 0 ends it at once.
    overlap_seconds: Option<u32>,
    /// When the new key stops working; RFC 3339, in the future. Without it, it lasts as long as the old one was made to last.
    expires_at: Option<String>,
}

/// The new key, and what becomes of the old.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct RotatedKey {
    #[serde(flatten)]
    new: CreatedKey,
    /// The key that was rotated.
    replaces: String,
    /// When that one stops working.
    replaced_expires_at: String,
}

/// Replace a key by a new one of the same name, app, agent and scopes. Both work for `overlap_seconds`. Needs `admin`, and
/// every scope of the key.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/rotate", tag = "auth", operation_id = "rotateApiKey",
    params(("id" = String, Path, description = "The key's id.")),
    request_body = KeyRotation,
    responses((status = 201, description = "The new key, with its secret for the only time.", body = Created<RotatedKey>), ErrorResponse),
)]
pub(in crate::api) async fn rotate(
    State(deps): State<Deps>,
    parts: Parts,
    path: Result<Path<KeyId>, ErrorResponse>,
    body: Result<Body<KeyRotation>, ErrorResponse>,
) -> Result<impl IntoResponse, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Admin).await?;
    let (Path(old), Body(asked)) = (path?, body?);
    let rotation = Rotation {
        overlap: asked.overlap_seconds.map(|seconds| Duration::from_secs(seconds.into())),
        expires_at: asked.expires_at.map(|text| read_time(&text)).transpose()?,
    };
    let ends_now = rotation.overlap.is_some_and(|overlap| overlap.is_zero());
    let Rotated { new, old_ends_at } = deps.by(&caller, &parts).rotate_key(&caller, old, rotation).await?;
    if ends_now {
        deps.gate.revoke(old).await;
    }
    let rotated =
        RotatedKey { new: new.into(), replaces: old.to_string(), replaced_expires_at: old_ends_at.to_string() };
    Ok((NO_STORE, Created(rotated)))
}
