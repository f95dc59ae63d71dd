//! Sessions: one login, and the refresh tokens that follow from it.
//!
//! Each refresh token works once and is replaced. One that is used again is in two hands, and nobody can tell which of
//! the two is the thief's: the whole family of tokens ends (RFC 9700, 4.14.2). But an answer may get lost on its way: for half a
//! minute, while its successor was not used, a token is exchanged again. Whoever then comes with that successor shows that the answer was not lost:
//! the family ends as well.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use spanlake_catalog::{Actor, Exchange, Member, RefreshToken};
use spanlake_model::{Code, Entropy, Fault, Timestamp};

use super::Service;
use crate::error::Error;

/// How long a client may ask again for an answer that got lost.
const GRACE: Duration = Duration::from_secs(30);

/// What a client gets when a session begins or goes on.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    /// How long `access` is good for.
    pub(crate) expires_in: Duration,
}

impl Service {
    /// The one place where a session begins. Whoever calls it has proved who they are, by the password that `member` has or was just given.
    pub(super) async fn begin_session(&self, member: &Member) -> Result<Tokens, Error> {
        let family = Family { began_at: self.clock.now(), id: self.random_text::<16>() };
        let (tokens, refresh) = self.tokens(member, &family)?;
        let acting = self.acting(Actor::Member(member.id));
        if acting.accounts.add_refresh_token(refresh, &member.password_hash).await? {
            return Ok(tokens);
        }
        let message = "The password was changed just now; log in with the new one.";
        Err(Fault::new(Code::Unauthenticated, message).into())
    }

    /// Tokens for a member, and what is stored of the one that brings the next.
    fn tokens(&self, member: &Member, family: &Family) -> Result<(Tokens, RefreshToken), Error> {
        let now = self.clock.now();
        let issuer = &self.signing.at(now)?.issuer;
        let access = issuer.issue(member.tenant, member.id, member.role, &*self.clock, &*self.entropy)?;
        let refresh = self.random_text::<32>();
        let stored = RefreshToken {
            hash: hash(&refresh),
            family: family.to_string(),
            tenant: member.tenant,
            member: member.id,
            expires_at: now.plus(self.config.refresh_token).min(family.began_at.plus(self.config.session)),
            used_at: None,
        };
        Ok((Tokens { access, refresh, expires_in: issuer.lifetime() }, stored))
    }

    /// Exchanges a refresh token for its successor. The role is read again: a change of it shows here at the latest.
    pub(crate) async fn refresh(&self, token: &str) -> Result<Tokens, Error> {
        let (hash, now) = (hash(token), self.clock.now());
        let used = self.accounts.refresh_token(&hash).await?.ok_or_else(over)?;
        let family = Family::parse(&used.family).filter(|_| now < used.expires_at).ok_or_else(over)?;
        let member = self.accounts.member(used.tenant, used.member).await?.ok_or_else(over)?;
        let (tokens, successor) = self.tokens(&member, &family)?;
        match self.accounts.exchange_refresh_token(&hash, successor, now, now.minus(GRACE)).await? {
            Exchange::Done => Ok(tokens),
            Exchange::Unknown => Err(over().into()),
            Exchange::Reused => {
                self.accounts.drop_family(&used.family).await?;
                tracing::warn!(tenant.id = %used.tenant, member.id = %used.member, "a refresh token was used twice");
                self.note_ended_session(&member).await?;
                Err(over().into())
            }
        }
    }

    /// Ends the session that a refresh token belongs to. An unknown token is over already.
    pub(crate) async fn log_out(&self, token: &str) -> Result<(), Error> {
        if let Some(used) = self.accounts.use_refresh_token(&hash(token), self.clock.now()).await? {
            self.accounts.drop_family(&used.family).await?;
        }
        Ok(())
    }

    pub(super) fn random_text<const N: usize>(&self) -> String {
        random_text::<N>(&*self.entropy)
    }
}

/// So many random bytes, as text that fits into a URL.
pub(super) fn random_text<const N: usize>(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// All refresh tokens of one login. Its text, `<seconds since the epoch>.<random>`, carries when that was, so that a
/// session ends however often it is refreshed.
struct Family {
    began_at: Timestamp,
    id: String,
}

impl Family {
    fn parse(text: &str) -> Option<Self> {
        let (began_at, id) = text.split_once('.')?;
        Some(Self { began_at: Timestamp::from_secs(began_at.parse().ok()?), id: id.to_owned() })
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.began_at.as_secs(), self.id)
    }
}

/// 256 random bits need no salt and no slow hash.
pub(super) fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

fn over() -> Fault {
    Fault::new(Code::Unauthenticated, "The refresh token is not valid any more; log in again.")
}
