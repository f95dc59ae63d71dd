//! The tokens of a session, as sent.

use serde::Serialize;
use utoipa::ToSchema;

use crate::service::Tokens;

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// Send it as `Authorization: Bearer <access_token>`.
    access_token: String,
    /// Exchange it once at `POST /v1/token/refresh` for new tokens.
    refresh_token: String,
    /// Seconds until the access token ends.
    expires_in: u64,
}

impl From<Tokens> for Session {
    fn from(tokens: Tokens) -> Self {
        Self { access_token: tokens.access, refresh_token: tokens.refresh, expires_in: tokens.expires_in.as_secs() }
    }
}
