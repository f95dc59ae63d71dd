//! The people of a tenant: who is in it, who is asked to come, who changes and who goes.
//!
//! Nobody gives a role above their own or one that may do what they may not, and nobody touches a member above them. A
//! key counts as an admin at most: an owner is made and unmade by owners.

use std::time::Duration;

use spanlake_catalog::{self as catalog, Actor, App, Invite, Member, MemberChange, Tenant};
use spanlake_model::{Caller, Code, Fault, InviteId, MemberId, Principal, Role};

use super::holdings::Thing;
use super::session::hash;
use super::{Service, Tokens};
use crate::error::Error;
use crate::input;

/// How long an invitation can be accepted.
const INVITE_LASTS: Duration = Duration::from_secs(7 * 86_400);
/// How the token of an invitation begins, so that one can be recognised where it should not be.
const INVITE_PREFIX: &str = "aos_invite_";

/// An invitation that was made, with its token: the only time it is known.
pub(crate) struct NewInvite {
    pub(crate) invite: Invite,
    pub(crate) token: String,
}

/// Someone who accepted.
pub(crate) struct Joined {
    pub(crate) tenant: Tenant,
    pub(crate) app: Option<App>,
    pub(crate) member: Member,
    pub(crate) tokens: Tokens,
}

impl Service {
    /// The members of the caller's tenant, oldest first.
    pub(crate) async fn members(&self, caller: &Caller) -> Result<Vec<Member>, Error> {
        Ok(self.accounts.members(caller.tenant()).await?)
    }

    /// One of them.
    pub(crate) async fn member(&self, caller: &Caller, member: MemberId) -> Result<Member, Error> {
        let found = self.accounts.member(caller.tenant(), member).await?;
        Ok(found.ok_or_else(|| Fault::not_found("member"))?)
    }

    /// Gives a member of the caller's tenant another role.
    pub(crate) async fn change_role(&self, caller: &Caller, member: MemberId, role: Role) -> Result<Member, Error> {
        let found = self.member(caller, member).await?;
        if found.role == role {
            return Ok(found);
        }
        may_set(caller, found.role)?;
        may_set(caller, role)?;
        changed(self.accounts.change_role(caller.tenant(), member, found.role, role).await?)
    }

    /// Removes a member from the caller's tenant.
    pub(crate) async fn remove_member(&self, caller: &Caller, member: MemberId) -> Result<(), Error> {
        let found = self.member(caller, member).await?;
        may_set(caller, found.role)?;
        changed(self.accounts.remove_member(caller.tenant(), member, found.role).await?).map(drop)
    }

    /// Asks somebody to join the caller's tenant.
    pub(crate) async fn invite(&self, caller: &Caller, email: &str, role: Role) -> Result<NewInvite, Error> {
        let email = input::email(email)?;
        may_set(caller, role)?;
        if self.accounts.members(caller.tenant()).await?.iter().any(|member| member.email == email) {
            return Err(Fault::new(Code::Conflict, "This person is a member already.").into());
        }
        self.room_for(caller.tenant(), Thing::Member).await?;
        let token = format!("{INVITE_PREFIX}{}", self.random_text::<32>());
        let created_at = self.clock.now();
        let invite = Invite {
            id: InviteId::generate(&*self.clock, &*self.entropy),
            tenant: caller.tenant(),
            email,
            role,
            token_hash: hash(&token),
            invited_by: Some(caller.principal().into()),
            created_at,
            expires_at: created_at.plus(INVITE_LASTS),
        };
        self.accounts.invite(invite.clone(), Some(caller.principal())).await?;
        Ok(NewInvite { invite, token })
    }

    /// The open invitations of the caller's tenant, oldest first.
    pub(crate) async fn invites(&self, caller: &Caller) -> Result<Vec<Invite>, Error> {
        Ok(self.accounts.invites(caller.tenant(), self.clock.now()).await?)
    }

    /// Withdraws one of them.
    pub(crate) async fn withdraw_invite(&self, caller: &Caller, invite: InviteId) -> Result<(), Error> {
        if self.accounts.withdraw_invite(caller.tenant(), invite).await? {
            return Ok(());
        }
        Err(Fault::not_found("invitation").into())
    }

    /// Makes whoever shows the token a member, and logs them in. Only for a token that is good is a password hashed.
    pub(crate) async fn accept_invite(&self, token: &str, password: String) -> Result<Joined, Error> {
        let invite = self.accounts.open_invite(&hash(token), self.clock.now()).await?.ok_or_else(over)?;
        input::new_password("password", &password)?;
        self.room_for(invite.tenant, Thing::Member).await?;
        let password_hash = self.passwords.hash(password).await?;
        let id = MemberId::generate(&*self.clock, &*self.entropy);
        let accounts = self.acting(Actor::Member(id)).accounts;
        let member = match accounts.accept_invite(invite.id, id, &password_hash, self.clock.now()).await {
            Err(catalog::Error::Exists { .. }) => {
                return Err(Fault::new(Code::Conflict, "You are a member already; log in instead.").into());
            }
            outcome => outcome?.ok_or_else(over)?,
        };
        let tenant = self.accounts.tenant(member.tenant).await?.ok_or_else(over)?;
        let app = self.accounts.app(tenant.id, tenant.default_app).await?;
        let tokens = self.begin_session(&member).await?;
        Ok(Joined { tenant, app, member, tokens })
    }
}

fn changed(change: MemberChange) -> Result<Member, Error> {
    match change {
        MemberChange::Done(member) => Ok(member),
        MemberChange::NoSuchMember => Err(Fault::not_found("member").into()),
        MemberChange::LastOwner => {
            let message = "This is the only owner; make somebody else an owner first.";
            Err(Fault::new(Code::Conflict, message).into())
        }
    }
}

/// Passes when the caller may make, change or remove somebody in this role.
pub(super) fn may_set(caller: &Caller, role: Role) -> Result<(), Fault> {
    let own = match caller.principal() {
        Principal::Member(_, own) => own,
        Principal::Key(_) => Role::Admin,
    };
    if role <= own && role.scopes().and(caller.scopes()) == role.scopes() {
        return Ok(());
    }
    let message = format!("The role '{role}' is above what you may do yourself.", role = role.as_str());
    Err(Fault::new(Code::Forbidden, message))
}

fn over() -> Fault {
    Fault::not_found("invitation")
}
