//! Passwords that change: by whoever knows the old one, or by whoever holds a link that was made for them.

use std::time::Duration;

use spanlake_catalog::{Actor, Member, PasswordReset};
use spanlake_model::{Caller, Code, Fault, KeyId, MemberId, Principal, Role, TenantId, Timestamp};

use super::people::may_set;
use super::session::hash;
use super::{Service, Tokens};
use crate::error::Error;
use crate::input;

/// How long a link works.
const RESET_LASTS: Duration = Duration::from_secs(86_400);
/// How the token of a link begins, so that one can be recognised where it should not be.
const RESET_PREFIX: &str = "aos_reset_";

/// Keys that made each other, followed to find the person behind the last: one further back counts as nobody.
const KEYS_BEHIND_KEYS_MAX: usize = 16;

/// A link that was made, with its token: the only time it is known.
pub(crate) struct NewReset {
    pub(crate) token: String,
    pub(crate) member: Member,
    pub(crate) expires_at: Timestamp,
}

impl Service {
    /// Sets the caller's password, ends their sessions, and begins a new one. Whoever found an access token lying about has as many
    /// guesses at the old password as at a login.
    pub(crate) async fn change_password(&self, caller: &Caller, old: String, new: String) -> Result<Tokens, Error> {
        let Principal::Member(id, _) = caller.principal() else {
            let message = "A key has no password; log in as the person whose password it is.";
            return Err(Fault::new(Code::Forbidden, message).into());
        };
        input::new_password("new_password", &new)?;
        let member = self.accounts.member(caller.tenant(), id).await?.ok_or_else(wrong)?;
        let guess = self.guesses.take(&member.email, self.address)?;
        let is_right = self.passwords.matches(old, member.password_hash.clone()).await;
        guess.outcome(is_right.map(|is_right| is_right.then_some(())))?.ok_or_else(wrong)?;
        let hash = self.passwords.hash(new).await?;
        if !self.accounts.change_password(member.tenant, id, &member.password_hash, &hash).await? {
            return Err(wrong().into());
        }
        self.begin_session(&Member { password_hash: hash, ..member }).await
    }

    /// Makes a link with which a member of the caller's tenant can set a new password. Whoever makes it never knows that password; but
    /// they could use the link themselves, so it is for members below them, and no way to what they are not.
    pub(crate) async fn create_password_reset(&self, caller: &Caller, member: MemberId) -> Result<NewReset, Error> {
        let member = self.member(caller, member).await?;
        self.may_reset(caller, &member).await?;
        let token = format!("{RESET_PREFIX}{}", self.random_text::<32>());
        let expires_at = self.clock.now().plus(RESET_LASTS);
        let reset = PasswordReset {
            tenant: member.tenant,
            member: member.id,
            role: member.role,
            made_by: Some(caller.principal()),
            token_hash: hash(&token),
            expires_at,
        };
        self.accounts.add_password_reset(reset).await?;
        Ok(NewReset { token, member, expires_at })
    }

    /// Passes when the caller may make a link for this member. Not for themselves: an access token lying about would be worth the account.
    async fn may_reset(&self, caller: &Caller, member: &Member) -> Result<(), Error> {
        may_set(caller, member.role)?;
        let own = match caller.principal() {
            Principal::Member(id, _) if id == member.id => {
                let message = "You cannot make a link for yourself; change your password with PUT /v1/me/password.";
                return Err(Fault::new(Code::Forbidden, message).into());
            }
            Principal::Member(_, own) => Some(own),
            Principal::Key(key) => self.role_behind(caller.tenant(), key).await?,
        };
        if own.is_some_and(|own| member.role < own || own == Role::Owner) {
            return Ok(());
        }
        let message = format!(
            "A link for a member in the role '{role}' is made by somebody above it.",
            role = member.role.as_str()
        );
        Err(Fault::new(Code::Forbidden, message).into())
    }

    /// What whoever made the key is now, an admin at most; `None` when they have gone, or nobody knows who it was. A key may be
    /// another key's work.
    async fn role_behind(&self, tenant: TenantId, key: KeyId) -> Result<Option<Role>, Error> {
        let mut maker = Actor::Key(key);
        for _ in 0..KEYS_BEHIND_KEYS_MAX {
            match maker {
                Actor::Member(member) => {
                    let member = self.accounts.member(tenant, member).await?;
                    return Ok(member.map(|member| member.role.min(Role::Admin)));
                }
                Actor::Key(key) => match self.accounts.key(key).await?.and_then(|key| key.created_by) {
                    Some(made_by) => maker = made_by,
                    None => return Ok(None),
                },
            }
        }
        Ok(None)
    }

    /// Sets the password of whoever the link was made for, ends their sessions, and begins a new one. Only for a token that is good
    /// is a password hashed.
    pub(crate) async fn reset_password(&self, token: &str, password: String) -> Result<Tokens, Error> {
        let token = hash(token);
        let member = self.accounts.password_reset(&token, self.clock.now()).await?.ok_or_else(over)?;
        input::new_password("password", &password)?;
        let password = self.passwords.hash(password).await?;
        let acting = self.acting(Actor::Member(member.id));
        let member = acting.accounts.reset_password(&token, &password, self.clock.now()).await?.ok_or_else(over)?;
        self.begin_session(&member).await
    }
}

fn wrong() -> Fault {
    let why = "is not your password";
    Fault::new(Code::Forbidden, "The current password is wrong.").detail("current_password", why)
}

fn over() -> Fault {
    Fault::not_found("password reset")
}
