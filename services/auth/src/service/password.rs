//! Passwords that change: by whoever knows the old one, or by whoever holds a link that was made for them.

use std::time::Duration;

use spanlake_catalog::{Account, Accounts, Act, Actor, Member, PasswordReset};
use spanlake_model::{Caller, Clock, Code, Entropy, Fault, KeyId, MemberId, Principal, Role, TenantId, Timestamp};

use super::people::may_set;
use super::session::{hash, random_text};
use super::{Service, Tokens};
use crate::error::Error;
use crate::input;

/// How long a link works.
const RESET_LASTS: Duration = Duration::from_secs(86_400);
/// How the token of a link begins, so that one can be recognised where it should not be.
const RESET_PREFIX: &str = "aos_reset_";

/// Of more accounts of one person not all are told.
const TOLD_MAX: u32 = 100;

/// Keys that made each other, followed to find the person behind the last: one further back counts as nobody.
const KEYS_BEHIND_KEYS_MAX: usize = 16;

/// A link that was made, with its token: the only time it is known.
pub struct NewReset {
    /// What `POST /v1/password-reset` takes.
    pub token: String,
    /// Whose password it sets.
    pub member: Member,
    /// A day from when it was made.
    pub expires_at: Timestamp,
}

/// Makes a link for whoever has this email, as whoever runs the installation may: they hold its database. `tenant` says which
/// account is meant of somebody who is in several, where they have a password each.
///
/// # Errors
/// [`Error::Refused`] when nobody has the email there, or it is not said which of several accounts is meant; [`Error::Catalog`].
pub async fn create_reset_for(
    accounts: &dyn Accounts,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    email: &str,
    tenant: Option<TenantId>,
) -> Result<NewReset, Error> {
    let address = email.trim().to_lowercase();
    let mut found = match tenant {
        Some(tenant) => accounts.account_in(&address, tenant).await?.into_iter().collect(),
        None => accounts.accounts_of(&address, TOLD_MAX).await?,
    };
    let member = match found.len() {
        0 => return Err(Fault::new(Code::NotFound, format!("Nobody with the email {email} is there.")).into()),
        1 => found.remove(0).member,
        _ => return Err(several(&found).into()),
    };
    let act = Act { actor: Actor::Installation, address: None, at: clock.now() };
    create_reset(&*accounts.by(act), clock, entropy, member, None).await
}

fn several(accounts: &[Account]) -> Fault {
    let all: Vec<_> = accounts.iter().map(|one| format!("{} ({})", one.tenant.id, one.tenant.name)).collect();
    Fault::new(Code::Conflict, format!("They are in several accounts; say in which with --tenant: {}.", all.join(", ")))
}

async fn create_reset(
    accounts: &dyn Accounts,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    member: Member,
    made_by: Option<Principal>,
) -> Result<NewReset, Error> {
    let token = format!("{RESET_PREFIX}{}", random_text::<32>(entropy));
    let expires_at = clock.now().plus(RESET_LASTS);
    let (tenant, id, role) = (member.tenant, member.id, member.role);
    let reset = PasswordReset { tenant, member: id, role, made_by, token_hash: hash(&token), expires_at };
    accounts.add_password_reset(reset).await?;
    Ok(NewReset { token, member, expires_at })
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
        create_reset(&*self.accounts, &*self.clock, &*self.entropy, member, Some(caller.principal())).await
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
                Actor::Installation => return Ok(None),
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
