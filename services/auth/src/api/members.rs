//! `/v1/members`

pub(super) mod change;
pub(super) mod get;
pub(super) mod list;
pub(super) mod remove;

use serde::Serialize;
use spanlake_model::{Fault, Role};
use utoipa::ToSchema;

use crate::input::invalid;

/// A person in the tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = TenantMember)]
pub(super) struct Member {
    id: String,
    email: String,
    /// `owner`, `admin`, `member` or `viewer`.
    role: &'static str,
    created_at: String,
}

impl From<spanlake_catalog::Member> for Member {
    fn from(member: spanlake_catalog::Member) -> Self {
        Self {
            id: member.id.to_string(),
            email: member.email,
            role: member.role.as_str(),
            created_at: member.created_at.to_string(),
        }
    }
}

pub(super) fn read_role(text: &str) -> Result<Role, Fault> {
    Role::parse(text).ok_or_else(|| invalid("role", "must be owner, admin, member or viewer"))
}
