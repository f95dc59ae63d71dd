//! Keys: making, verifying, revoking.

use std::collections::HashSet;
use std::time::Duration;

use spanlake_access::gate::refused_key;
use spanlake_access::key::{self, Kind};
use spanlake_access::secret::PEPPER_VERSION;
use spanlake_catalog::{Actor, ApiKey};
use spanlake_model::{AgentId, AppId, Caller, Code, Fault, KeyId, Principal, Scope, ScopeSet, Timestamp};
use spanlake_proto::auth::{KeyIdentity, PresentedKey};

use super::Service;
use super::holdings::Thing;
use crate::error::Error;
use crate::input::{self, invalid};

/// A use is noted when the last one noted is older: at most one write a minute and key.
const NOTE_USE_AFTER: Duration = Duration::from_secs(60);

/// A key that is asked for.
pub(crate) struct KeyRequest {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) app: Option<AppId>,
    pub(crate) agent: Option<AgentId>,
    pub(crate) scopes: Option<ScopeSet>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A key that was made, with its text: the only time it is known.
pub(crate) struct NewKey {
    pub(crate) key: ApiKey,
    pub(crate) text: String,
}

/// A key, and whether whoever made it has gone since.
pub(crate) struct MadeKey {
    pub(crate) key: ApiKey,
    pub(crate) maker_is_gone: bool,
}

impl Service {
    /// Makes a key of the caller's tenant.
    pub(crate) async fn create_key(&self, caller: &Caller, request: KeyRequest) -> Result<NewKey, Error> {
        let name = input::name("name", &request.name)?;
        let now = self.clock.now();
        if request.expires_at.is_some_and(|end| end <= now) {
            return Err(invalid("expires_at", "must lie in the future").into());
        }
        let app = self.pin(caller, &request).await?;
        let scopes = allowed_scopes(caller, &request, app.is_some())?;
        let expires_at = self.end_of_key(caller, request.expires_at, request.expires_at).await?;
        self.room_for(caller.tenant(), Thing::Key).await?;
        let id = KeyId::generate(&*self.clock, &*self.entropy);
        let text = key::generate(request.kind, id, &*self.entropy);
        let key = ApiKey {
            id,
            tenant: caller.tenant(),
            app,
            agent: request.agent,
            name,
            hash: key::hash(&self.secret.pepper(PEPPER_VERSION), &text).to_vec(),
            pepper_version: PEPPER_VERSION,
            last4: key::last4(&text).to_owned(),
            scopes,
            created_at: now,
            expires_at,
            revoked_at: None,
            last_used_at: None,
            created_by: Some(caller.principal().into()),
        };
        self.accounts.add_key(key.clone()).await?;
        Ok(NewKey { key, text })
    }

    /// When a key that the caller makes ends: as `asked`, or else as is `usual`. One that a key makes ends with that key at the latest, so
    /// that whoever finds a key has no more time than it had left.
    pub(super) async fn end_of_key(
        &self,
        caller: &Caller,
        asked: Option<Timestamp>,
        usual: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, Error> {
        let Principal::Key(maker) = caller.principal() else { return Ok(asked.or(usual)) };
        let maker = self.accounts.key(maker).await?.ok_or_else(refused_key)?;
        let Some(end) = maker.expires_at else { return Ok(asked.or(usual)) };
        if asked.is_some_and(|asked| asked > end) {
            return Err(invalid("expires_at", "must not be later than the end of the key that makes it").into());
        }
        Ok(Some(asked.or(usual).map_or(end, |wanted| wanted.min(end))))
    }

    /// The app the key will be pinned to: an agent key to its agent's, a workspace key to the one asked for, if any.
    async fn pin(&self, caller: &Caller, request: &KeyRequest) -> Result<Option<AppId>, Error> {
        let tenant = caller.tenant();
        match (request.kind, request.agent) {
            (Kind::Workspace, Some(_)) => Err(invalid("agent_id", "goes with kind 'agent' only").into()),
            (Kind::Agent, None) => Err(invalid("agent_id", "is needed for kind 'agent'").into()),
            (Kind::Agent, Some(agent)) => {
                let agent = self.accounts.agent(tenant, agent).await?.ok_or_else(|| Fault::not_found("agent"))?;
                if request.app.is_some_and(|app| app != agent.app) {
                    return Err(invalid("app_id", "is not the agent's app; leave it out").into());
                }
                Ok(Some(agent.app))
            }
            (Kind::Workspace, None) => {
                let Some(app) = request.app else { return Ok(None) };
                self.accounts.app(tenant, app).await?.ok_or_else(|| Fault::not_found("app"))?;
                Ok(Some(app))
            }
        }
    }

    /// The tenant's keys, oldest first.
    pub(crate) async fn keys(&self, caller: &Caller) -> Result<Vec<MadeKey>, Error> {
        let keys = self.accounts.keys(caller.tenant()).await?;
        let members = self.accounts.members(caller.tenant()).await?;
        let living = keys.iter().filter(|key| key.revoked_at.is_none()).map(|key| Actor::Key(key.id));
        let living: HashSet<_> = members.iter().map(|member| Actor::Member(member.id)).chain(living).collect();
        let is_gone = |maker: Actor| !living.contains(&maker);
        Ok(keys.into_iter().map(|key| MadeKey { maker_is_gone: key.created_by.is_some_and(is_gone), key }).collect())
    }

    /// Revokes a key of the caller's tenant.
    pub(crate) async fn revoke_key(&self, caller: &Caller, key: KeyId) -> Result<(), Error> {
        if self.accounts.revoke_key(caller.tenant(), key, self.clock.now()).await? {
            return Ok(());
        }
        Err(Fault::not_found("key").into())
    }

    /// Whom a key belongs to. An unknown id costs the same hash and comparison as a wrong secret.
    pub(super) async fn verify(&self, presented: &PresentedKey) -> Result<KeyIdentity, Error> {
        let text = presented.expose();
        let parsed = key::parse(text).map_err(|_| refused_key())?;
        let row = self.accounts.key(parsed.id).await?;
        let version = row.as_ref().map_or(PEPPER_VERSION, |row| row.pepper_version);
        let stored = row.as_ref().map_or(&[0; 32][..], |row| &row.hash);
        let is_right = key::hashes_match(stored, &key::hash(&self.secret.pepper(version), text));
        let row = row.filter(|row| is_right && is_active(row, self.clock.now())).ok_or_else(refused_key)?;
        self.note_use(&row).await;
        Ok(KeyIdentity {
            key: row.id,
            tenant: row.tenant,
            app: row.app,
            agent: row.agent,
            scopes: row.scopes,
            expires_at: row.expires_at,
        })
    }

    /// A use that cannot be noted is no reason to refuse the key.
    async fn note_use(&self, row: &ApiKey) {
        let now = self.clock.now();
        if row.last_used_at.is_some_and(|last| now < last.plus(NOTE_USE_AFTER)) {
            return;
        }
        if let Err(error) = self.accounts.touch_key(row.id, now).await {
            tracing::warn!(key.id = %row.id, error = %error, "the use of a key was not noted");
        }
    }
}

fn is_active(row: &ApiKey, now: Timestamp) -> bool {
    row.revoked_at.is_none() && row.expires_at.is_none_or(|end| now < end)
}

/// What is asked for, if the caller has all of it; without asking, the usual ones of the kind that the caller has.
fn allowed_scopes(caller: &Caller, request: &KeyRequest, is_pinned: bool) -> Result<ScopeSet, Fault> {
    let scopes = request.scopes.unwrap_or_else(|| usual_scopes(request.kind).and(caller.scopes()));
    if scopes.is_empty() {
        return Err(invalid("scopes", "must name at least one of ingest, read, export, score, admin"));
    }
    if let Some(lacking) = scopes.iter().find(|scope| !caller.scopes().has(*scope)) {
        let message = format!("You cannot give a key the scope '{lacking}', which you do not have yourself.");
        return Err(Fault::new(Code::Forbidden, message));
    }
    if is_pinned && scopes.has(Scope::Admin) {
        return Err(invalid("scopes", "cannot hold 'admin' for one app or agent: it is about the whole tenant"));
    }
    Ok(scopes)
}

fn usual_scopes(kind: Kind) -> ScopeSet {
    match kind {
        Kind::Workspace => [Scope::Ingest, Scope::Read, Scope::Export, Scope::Score].into_iter().collect(),
        Kind::Agent => [Scope::Ingest, Scope::Score].into_iter().collect(),
    }
}
