//! Who is in a tenant: members, and invitations to become one.

use async_trait::async_trait;
use spanlake_model::{InviteId, MemberId, Principal, Role, TenantId, Timestamp};

use crate::accounts::Member;
use crate::audit::Actor;
use crate::error::Error;

/// Invitations of one tenant that may be open at once.
pub const OPEN_INVITES_MAX: u64 = 1_000;

/// An invitation, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// Its id.
    pub id: InviteId,
    /// Where to.
    pub tenant: TenantId,
    /// Whom; lower case.
    pub email: String,
    /// As what.
    pub role: Role,
    /// SHA-256 of the token that accepts it.
    pub token_hash: Vec<u8>,
    /// Who made it; `None` for those that keys made before that was noted.
    pub invited_by: Option<Actor>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// What came of changing or removing a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// Done; the member as they are now, or were last.
    Done(Member),
    /// The tenant has no such member, or they are not in the role that was looked at any more.
    NoSuchMember,
    /// They are the tenant's only owner.
    LastOwner,
}

/// The people of a tenant. Only auth uses it.
///
/// Every call may fail as [`Error::Database`].
#[async_trait]
pub trait People: Send + Sync + 'static {
    /// The tenant's members, oldest first.
    async fn members(&self, tenant: TenantId) -> Result<Vec<Member>, Error>;
    /// Gives a member another role, if theirs is still `from`, and withdraws the invitations and reset links they made, and a link for them:
    /// all or nothing.
    async fn change_role(
        &self,
        tenant: TenantId,
        member: MemberId,
        from: Role,
        to: Role,
    ) -> Result<MemberChange, Error>;
    /// Removes a member, if their role is still `role`, ends their sessions and withdraws the invitations and reset links they made: all
    /// or nothing.
    async fn remove_member(&self, tenant: TenantId, member: MemberId, role: Role) -> Result<MemberChange, Error>;

    /// Stores an invitation; an open one of the same address goes, and so do those that have run out by its `created_at`.
    /// `maker` is who made it, as they were when they asked. [`Error::Changed`] when they are not that any more, [`Error::Crowded`] when
    /// [`OPEN_INVITES_MAX`] are open.
    async fn invite(&self, invite: Invite, maker: Option<Principal>) -> Result<(), Error>;
    /// The tenant's invitations that are open at `now`, oldest first.
    async fn invites(&self, tenant: TenantId, now: Timestamp) -> Result<Vec<Invite>, Error>;
    /// Withdraws an open invitation of the tenant. `false` when there is none.
    async fn withdraw_invite(&self, tenant: TenantId, invite: InviteId) -> Result<bool, Error>;
    /// The open invitation behind a token, whoever's: who accepts has no tenant yet.
    async fn open_invite(&self, token_hash: &[u8], now: Timestamp) -> Result<Option<Invite>, Error>;
    /// Makes the invited person a member, with the invitation's tenant, address and role, and closes the invitation: both or
    /// nothing. `None` when it is not open at `at` any more. [`Error::Exists`] when they are a member already.
    async fn accept_invite(
        &self,
        invite: InviteId,
        member: MemberId,
        password_hash: &str,
        at: Timestamp,
    ) -> Result<Option<Member>, Error>;
}
