//! What keeps a person in, and what lets them in again: refresh tokens, passwords, links to reset one.

use async_trait::async_trait;
use spanlake_model::{MemberId, Principal, Role, TenantId, Timestamp};

use crate::accounts::Member;
use crate::error::Error;

/// A refresh token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// SHA-256 of the token.
    pub hash: Vec<u8>,
    /// All tokens that came from one login.
    pub family: String,
    /// Whose.
    pub tenant: TenantId,
    /// Whose.
    pub member: MemberId,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was exchanged for its successor.
    pub used_at: Option<Timestamp>,
}

/// What came of exchanging a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Its successor is stored.
    Done,
    /// It was exchanged before, and its successor is in use or the time of grace is over.
    Reused,
    /// It is no refresh token, or not any more.
    Unknown,
}

/// A link that lets a member set a new password, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordReset {
    /// Whose tenant.
    pub tenant: TenantId,
    /// Who.
    pub member: MemberId,
    /// What they were when it was made: it opens nothing once they are something else.
    pub role: Role,
    /// Who made it, as they were then; `None`: whoever runs the installation.
    pub made_by: Option<Principal>,
    /// SHA-256 of the token.
    pub token_hash: Vec<u8>,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// Refresh tokens and passwords. Only auth uses it.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// Begins a session: stores its first refresh token, if the member's password is still the one behind `password_hash`. `false` when it is
    /// not, or there is no such member: a login that was under way does not outlive the change that ended all others.
    async fn add_refresh_token(&self, token: RefreshToken, password_hash: &str) -> Result<bool, Error>;
    /// Marks a token used at `at` and returns it as it was before; `None` when unknown. Two callers racing see the mark once unset.
    async fn use_refresh_token(&self, hash: &[u8], at: Timestamp) -> Result<Option<RefreshToken>, Error>;
    /// Deletes every token of a family, also one that is being stored just then.
    async fn drop_family(&self, family: &str) -> Result<(), Error>;
    /// The refresh token with this hash.
    async fn refresh_token(&self, hash: &[u8]) -> Result<Option<RefreshToken>, Error>;
    /// Marks the token `hash` used at `at` and stores its successor, of the same family. One that was used, but not before `grace_from`,
    /// is exchanged once more if its successor has not been used: the answer was lost. That successor counts as used long ago, so that it is
    /// [`Exchange::Reused`] if it comes after all: then the answer had not been lost, and two have the token.
    async fn exchange_refresh_token(
        &self,
        hash: &[u8],
        successor: RefreshToken,
        at: Timestamp,
        grace_from: Timestamp,
    ) -> Result<Exchange, Error>;
    /// Sets a member's password, if it still is `from`, and ends their sessions and links: all or nothing. `false` when it is not.
    async fn change_password(&self, tenant: TenantId, member: MemberId, from: &str, to: &str) -> Result<bool, Error>;
    /// Stores a link; one that the member had before goes. [`Error::Changed`] when the member or the maker is not any more what the
    /// link says.
    async fn add_password_reset(&self, reset: PasswordReset) -> Result<(), Error>;
    /// The member whose link has this token and whose role is what it was then, whoever's tenant: who resets a password has no credential.
    async fn password_reset(&self, token_hash: &[u8], now: Timestamp) -> Result<Option<Member>, Error>;
    /// Uses a link up: sets the password of its member and ends their sessions, all or nothing. `None` when it is not open at `at`.
    async fn reset_password(&self, token_hash: &[u8], password: &str, at: Timestamp) -> Result<Option<Member>, Error>;
}
