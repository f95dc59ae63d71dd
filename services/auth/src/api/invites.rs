//! `/v1/members/invites` and `/v1/invites/accept`

pub(super) mod accept;
pub(super) mod create;
pub(super) mod list;
pub(super) mod withdraw;

use serde::Serialize;
use spanlake_catalog::Actor;
use utoipa::ToSchema;

/// An invitation to become a member, without its token.
#[derive(Serialize, ToSchema)]
pub(super) struct Invite {
    id: String,
    email: String,
    /// `owner`, `admin`, `member` or `viewer`.
    role: &'static str,
    /// The member who made it; null when a key did.
    invited_by: Option<String>,
    created_at: String,
    /// Seven days later.
    expires_at: String,
}

impl From<spanlake_catalog::Invite> for Invite {
    fn from(invite: spanlake_catalog::Invite) -> Self {
        Self {
            id: invite.id.to_string(),
            email: invite.email,
            role: invite.role.as_str(),
            invited_by: match invite.invited_by {
                Some(Actor::Member(member)) => Some(member.to_string()),
                Some(Actor::Key(_) | Actor::Installation) | None => None,
            },
            created_at: invite.created_at.to_string(),
            expires_at: invite.expires_at.to_string(),
        }
    }
}
