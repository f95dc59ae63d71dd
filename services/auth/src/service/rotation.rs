//! Rotation: a key's successor, and how long the two overlap.

use std::time::Duration;

use spanlake_access::key::{self, Kind};
use spanlake_access::secret::PEPPER_VERSION;
use spanlake_catalog::ApiKey;
use spanlake_model::{Caller, Code, Fault, KeyId, Timestamp};

use super::holdings::Thing;
use super::{NewKey, Service};
use crate::error::Error;
use crate::input::invalid;

/// How long the old key still works unless said: long enough to hand the new one to every process.
const OVERLAP: Duration = Duration::from_secs(24 * 3_600);
/// The longest overlap that can be asked for.
const OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A rotation that is asked for.
pub(crate) struct Rotation {
    /// How long the old key still works; a day unless said, nothing ends it now.
    pub(crate) overlap: Option<Duration>,
    /// When the new key ends; unless said, it lasts as long as the old one was made to last, or as the key that rotates it.
    pub(crate) expires_at: Option<Timestamp>,
}

/// What a rotation made.
pub(crate) struct Rotated {
    pub(crate) new: NewKey,
    /// When the old key ends.
    pub(crate) old_ends_at: Timestamp,
}

impl Service {
    /// Makes the successor of a key of the caller's tenant: the same name, app, agent and scopes, a new secret.
    pub(crate) async fn rotate_key(&self, caller: &Caller, old: KeyId, rotation: Rotation) -> Result<Rotated, Error> {
        let now = self.clock.now();
        let overlap = rotation.overlap.unwrap_or(OVERLAP);
        if overlap > OVERLAP_MAX {
            return Err(invalid("overlap_seconds", "must be at most 604,800, which is a week").into());
        }
        if rotation.expires_at.is_some_and(|end| end <= now) {
            return Err(invalid("expires_at", "must lie in the future").into());
        }
        let found = self.accounts.key(old).await?.filter(|key| key.tenant == caller.tenant());
        let old = found.ok_or_else(|| Fault::not_found("key"))?;
        if let Some(lacking) = old.scopes.iter().find(|scope| !caller.scopes().has(*scope)) {
            let message =
                format!("You cannot rotate a key with the scope '{lacking}', which you do not have yourself.");
            return Err(Fault::new(Code::Forbidden, message).into());
        }
        let old_ends_at = old.expires_at.map_or(now.plus(overlap), |end| end.min(now.plus(overlap)));
        let usual = old.expires_at.map(|end| now.plus(end.since(old.created_at)));
        let new_ends_at = self.end_of_key(caller, rotation.expires_at, usual).await?;
        self.room_for(caller.tenant(), Thing::Key).await?;
        let new = self.successor(caller, &old, now, new_ends_at);
        if !self.accounts.rotate_key(old.id, old_ends_at, new.key.clone(), now).await? {
            let message = "This key was revoked or has expired, so there is nothing to rotate; make a new key.";
            return Err(Fault::new(Code::Conflict, message).into());
        }
        Ok(Rotated { new, old_ends_at })
    }

    fn successor(&self, caller: &Caller, old: &ApiKey, now: Timestamp, expires_at: Option<Timestamp>) -> NewKey {
        let kind = if old.agent.is_some() { Kind::Agent } else { Kind::Workspace };
        let id = KeyId::generate(&*self.clock, &*self.entropy);
        let text = key::generate(kind, id, &*self.entropy);
        let key = ApiKey {
            id,
            hash: key::hash(&self.secret.pepper(PEPPER_VERSION), &text).to_vec(),
            pepper_version: PEPPER_VERSION,
            last4: key::last4(&text).to_owned(),
            created_at: now,
            expires_at,
            revoked_at: None,
            last_used_at: None,
            created_by: Some(caller.principal().into()),
            ..old.clone()
        };
        NewKey { key, text }
    }
}
