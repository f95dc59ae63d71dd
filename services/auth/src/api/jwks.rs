//! `GET /.well-known/jwks.json`

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use spanlake_transport::response::ErrorResponse;

use super::Deps;

/// The public keys that access tokens are verified with: a JSON Web Key Set, without an envelope.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "auth", operation_id = "jwks",
    responses((status = 200, description = "A JSON Web Key Set (RFC 7517).", body = Object), ErrorResponse),
)]
pub(super) async fn jwks(State(deps): State<Deps>) -> Result<impl IntoResponse, ErrorResponse> {
    let key_set = deps.service.key_set()?;
    Ok(([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=60")], key_set))
}
