//! The keys that access tokens are signed with: a new one from time to time, without anyone's doing.
//!
//! Which key is in use follows from the clock alone, so all auth processes agree and none has to be told. The next one is published
//! for a whole period before it is used, and the last one for a whole period after.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use spanlake_access::secret::MasterSecret;
use spanlake_access::token::{Issuer, Jwks};
use spanlake_model::Timestamp;

use crate::error::Error;

/// Verifiers read the key set once a minute, and a token lasts minutes: much shorter would sign with keys that nobody has heard of.
const LASTS_MIN: Duration = Duration::from_secs(3_600);

/// Signs access tokens.
pub(crate) struct Signing {
    secret: Arc<MasterSecret>,
    lasts: Duration,
    token_lifetime: Duration,
    current: Mutex<Arc<Period>>,
}

/// A key's time of use.
pub(crate) struct Period {
    version: u32,
    /// Signs with this key.
    pub(crate) issuer: Issuer,
    /// What is published meanwhile.
    pub(crate) key_set: String,
}

impl Signing {
    /// Keys that are used for `lasts` each, an hour at the least, and never for less than two tokens' lifetimes.
    pub(crate) fn new(
        secret: Arc<MasterSecret>,
        lasts: Duration,
        token_lifetime: Duration,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let lasts = lasts.max(LASTS_MIN).max(token_lifetime * 2);
        let current = period(&secret, version(lasts, now), token_lifetime)?;
        Ok(Self { secret, lasts, token_lifetime, current: Mutex::new(Arc::new(current)) })
    }

    /// The key to use now.
    pub(crate) fn at(&self, now: Timestamp) -> Result<Arc<Period>, Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let version = version(self.lasts, now);
        if current.version != version {
            *current = Arc::new(period(&self.secret, version, self.token_lifetime)?);
            tracing::info!(key.version = version, "access tokens are signed with a new key from now on");
        }
        Ok(Arc::clone(&current))
    }
}

/// Never 0, so that there is one before.
fn version(lasts: Duration, now: Timestamp) -> u32 {
    let periods = u64::try_from(now.as_secs()).unwrap_or(0) / lasts.as_secs().max(1);
    u32::try_from(periods).unwrap_or(u32::MAX - 2).saturating_add(1)
}

fn period(secret: &MasterSecret, version: u32, token_lifetime: Duration) -> Result<Period, Error> {
    let issuer_of = |version| Issuer::new(&secret.signing_seed(version), token_lifetime);
    let issuer = issuer_of(version)?;
    let keys = vec![
        issuer.public_key().clone(),
        issuer_of(version - 1)?.public_key().clone(),
        issuer_of(version + 1)?.public_key().clone(),
    ];
    Ok(Period { version, issuer, key_set: Jwks { keys }.to_json() })
}

#[cfg(test)]
mod tests {
    use spanlake_access::token::Verifier;
    use spanlake_model::{MemberId, Role, SystemEntropy, TenantId};

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const TEN_MINUTES: Duration = Duration::from_secs(600);

    struct At(Timestamp);

    impl spanlake_model::Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    #[test]
    fn no_valid_token_is_refused_by_a_key_set_of_the_last_hour() {
        let secret = Arc::new(MasterSecret::from_bytes(vec![8; 32]).unwrap());
        let start = Timestamp::from_secs(1_800_000_000);
        let signing = Signing::new(secret, DAY, TEN_MINUTES, start).unwrap();
        let (tenant, member) = (TenantId::from_bytes([1; 16]), MemberId::from_bytes([2; 16]));
        let mut key_sets = std::collections::BTreeSet::new();
        for minutes in (0..3 * 1_440).step_by(9) {
            let issued_at = start.plus(Duration::from_secs(minutes * 60));
            let token = signing.at(issued_at).unwrap();
            let token = token.issuer.issue(tenant, member, Role::Owner, &At(issued_at), &SystemEntropy).unwrap();
            for (read_at, used_at) in [
                (issued_at.minus(Duration::from_secs(3_600)), issued_at),
                (issued_at.plus(Duration::from_secs(599)), issued_at.plus(Duration::from_secs(599))),
            ] {
                let key_set = signing.at(read_at).unwrap().key_set.clone();
                Verifier::from_jwks(&key_set).unwrap().verify(&token, used_at).unwrap();
                key_sets.insert(key_set);
            }
        }
        assert!(key_sets.len() >= 4, "it did change");
    }

    #[test]
    fn a_key_that_was_used_two_periods_ago_is_not_in_the_set() {
        let secret = Arc::new(MasterSecret::from_bytes(vec![8; 32]).unwrap());
        let start = Timestamp::from_secs(1_800_000_000);
        let signing = Signing::new(secret, DAY, TEN_MINUTES, start).unwrap();
        let old = signing.at(start).unwrap().issuer.public_key().kid.clone();
        let has_it = |at| signing.at(at).unwrap().key_set.contains(&old);
        assert!(has_it(start.minus(DAY)) && has_it(start) && has_it(start.plus(DAY)));
        assert!(!has_it(start.plus(DAY * 2)) && !has_it(start.minus(DAY * 2)));
    }
}
