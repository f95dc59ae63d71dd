//! Who changed what, and how anyone can see that nobody changed the record.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use sha2::{Digest, Sha256};
use spanlake_model::{Caller, Clock, KeyId, MemberId, Principal, TenantId, Timestamp};

use crate::accounts::Accounts;
use crate::error::Error;

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A person.
    Member(MemberId),
    /// A key.
    Key(KeyId),
    /// Whoever runs the installation, from its command line.
    Installation,
}

impl Actor {
    /// What it is, and the id where there is one; as in the API.
    pub fn named(self) -> (&'static str, Option<String>) {
        match self {
            Self::Member(member) => ("member", Some(member.to_string())),
            Self::Key(key) => ("key", Some(key.to_string())),
            Self::Installation => ("installation", None),
        }
    }
}

impl From<Principal> for Actor {
    fn from(principal: Principal) -> Self {
        match principal {
            Principal::Member(member, _) => Self::Member(member),
            Principal::Key(key) => Self::Key(key),
        }
    }
}

/// `member:<id>`, `key:<id>` or `installation`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.named() {
            (kind, Some(id)) => write!(f, "{kind}:{id}"),
            (kind, None) => f.write_str(kind),
        }
    }
}

impl FromStr for Actor {
    type Err = &'static str;
    /// Reads what `Display` wrote.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.split_once(':') {
            Some(("member", id)) => id.parse().ok().map(Self::Member),
            Some(("key", id)) => id.parse().ok().map(Self::Key),
            None if text == "installation" => Some(Self::Installation),
            _ => None,
        };
        parsed.ok_or("neither a member, a key nor the installation")
    }
}

/// Somebody's request to change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Who.
    pub actor: Actor,
    /// From where, if that is known.
    pub address: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What somebody does with a tenant's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// Like `export.created`.
    pub action: &'static str,
    /// The id of what it makes, or is done to.
    pub target: String,
    /// What is asked for: a JSON object, without what the data itself says.
    pub asked: Value,
}

/// Where deeds are put on record.
#[async_trait]
pub trait Deeds: Send + Sync + 'static {
    /// Appends to the tenant's chain; durable when this returns.
    ///
    /// # Errors
    /// [`Error::Database`] and the like. Then it must not be done.
    async fn put_on_record(&self, tenant: TenantId, act: Act, deed: Deed) -> Result<(), Error>;
}

/// Puts on record what callers do with data, before it is done: what is done is on record, whatever crashes.
#[derive(Clone)]
pub struct Recorder {
    /// Where to.
    pub deeds: Arc<dyn Deeds>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Proxies of ours before the HTTP port, for whoever reads from where a request came.
    pub proxies: u8,
}

impl Recorder {
    /// Who asks, from where, now.
    pub fn act(&self, caller: &Caller, address: Option<IpAddr>) -> Act {
        let address = address.map(|address| address.to_string());
        Act { actor: caller.principal().into(), address, at: self.clock.now() }
    }
}

/// One change, as it is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// From 1, without a gap.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// From where, if that is known.
    pub address: Option<String>,
    /// What was done, like `api_key.revoked`.
    pub action: String,
    /// The id of what it was done to.
    pub target: String,
    /// What was so before: a JSON object.
    pub before: Option<String>,
    /// What is so after: a JSON object.
    pub after: Option<String>,
    /// Over the entry and the hash of the one before.
    pub hash: [u8; 32],
}

/// The hash before the first entry.
pub const CHAIN_START: [u8; 32] = [0; 32];

impl AuditEntry {
    /// What `hash` must be for an entry of this tenant that follows one with the hash `previous`. Each field is preceded by its
    /// length, so that no two entries read the same.
    pub fn chained(&self, tenant: TenantId, previous: &[u8; 32]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(b"spanlake audit 1");
        hasher.update(previous);
        hasher.update(tenant.as_bytes());
        hasher.update(self.sequence.to_le_bytes());
        hasher.update(self.at.as_nanos().to_le_bytes());
        let actor = self.actor.to_string();
        for field in [Some(&actor), self.address.as_ref(), Some(&self.action), Some(&self.target)] {
            update(&mut hasher, field);
        }
        update(&mut hasher, self.before.as_ref());
        update(&mut hasher, self.after.as_ref());
        hasher.finalize().into()
    }
}

fn update(hasher: &mut Sha256, field: Option<&String>) {
    let length = field.map_or(u64::MAX, |text| text.len() as u64);
    hasher.update(length.to_le_bytes());
    hasher.update(field.map_or("", |text| text));
}

/// Where a tenant's chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// The last entry's sequence; 0 when there is none.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// The record of who changed what.
#[async_trait]
pub trait Audit: Deeds {
    /// The same accounts; what is changed through them is put on record as this act's, in the transaction that changes it.
    fn by(&self, act: Act) -> Arc<dyn Accounts>;
    /// Entries of the tenant below `before`, newest first, at most `most`.
    async fn audit_log(&self, tenant: TenantId, before: u64, most: u32) -> Result<Vec<AuditEntry>, Error>;
    /// Where the tenant's chain ends.
    async fn audit_head(&self, tenant: TenantId) -> Result<AuditHead, Error>;
}
