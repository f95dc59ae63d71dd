//! Who is asking, once verified.

use std::fmt;
use std::str::FromStr;

use crate::fault::{Code, Fault};
use crate::ids::{AgentId, AppId, KeyId, MemberId, TenantId};

/// One thing a key or member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Send telemetry.
    Ingest,
    /// Read traces, spans, sessions, scores, metrics.
    Read,
    /// Take data out in bulk.
    Export,
    /// Write scores.
    Score,
    /// Manage apps, agents, keys, members.
    Admin,
}

impl Scope {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::Ingest, Self::Read, Self::Export, Self::Score, Self::Admin];

    /// As written in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Export => "export",
            Self::Score => "score",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(u8);

impl ScopeSet {
    /// All scopes.
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }
    /// Whether `scope` is in it.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }
    /// What both hold.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// The scopes in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | 1 << scope as u8))
    }
}

/// Space-separated, as OAuth writes scopes.
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

impl FromStr for ScopeSet {
    type Err = Fault;
    /// Reads what `Display` writes; an unknown word is an error that lists the known ones.
    fn from_str(text: &str) -> Result<Self, Fault> {
        text.split_whitespace()
            .map(|word| {
                Scope::ALL.into_iter().find(|scope| scope.as_str() == word).ok_or_else(|| {
                    Fault::new(
                        Code::InvalidRequestBody,
                        format!("Unknown scope '{word}'; use ingest, read, export, score or admin."),
                    )
                })
            })
            .collect()
    }
}

/// What a member is in a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, scores, exports, sends.
    Member,
    /// And manages keys, apps, agents and people.
    Admin,
    /// And may delete the tenant.
    Owner,
}

impl Role {
    /// All of them, least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Member, Self::Admin, Self::Owner];

    /// As written in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
    /// What a person in this role may do.
    pub fn scopes(self) -> ScopeSet {
        match self {
            Self::Viewer => [Scope::Read].into_iter().collect(),
            Self::Member => [Scope::Ingest, Scope::Read, Scope::Export, Scope::Score].into_iter().collect(),
            Self::Admin | Self::Owner => ScopeSet::all(),
        }
    }
}

/// What was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// An API key.
    Key(KeyId),
    /// A person with an access token.
    Member(MemberId, Role),
}

/// Who is asking, once verified: the first argument of everything that reads or writes a tenant's data.
///
/// Made by [`Caller::verified`] alone, which only `access` calls, once it has verified a credential,
/// and `proto`, when a service that did so passes the caller on (an architecture test holds them to it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    tenant: TenantId,
    app: AppId,
    agent: Option<AgentId>,
    scopes: ScopeSet,
    principal: Principal,
    queries_at_once: Option<u32>,
}

impl Caller {
    /// The caller behind a credential that has just been verified.
    pub const fn verified(
        tenant: TenantId,
        app: AppId,
        agent: Option<AgentId>,
        scopes: ScopeSet,
        principal: Principal,
    ) -> Self {
        Self { tenant, app, agent, scopes, principal, queries_at_once: None }
    }
    /// The same caller, of whose tenant so many queries may run at the same time.
    #[must_use]
    pub const fn with_queries_at_once(self, queries_at_once: Option<u32>) -> Self {
        Self { queries_at_once, ..self }
    }
    /// The account; the only source of it there is.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }
    /// The app this request is about.
    pub const fn app(&self) -> AppId {
        self.app
    }
    /// The agent an agent key is bound to.
    pub const fn agent(&self) -> Option<AgentId> {
        self.agent
    }
    /// What it may do.
    pub const fn scopes(&self) -> ScopeSet {
        self.scopes
    }
    /// What was presented.
    pub const fn principal(&self) -> Principal {
        self.principal
    }
    /// Queries of the tenant that may run at the same time; `None`: as many as the installation lets a tenant run.
    pub const fn queries_at_once(&self) -> Option<u32> {
        self.queries_at_once
    }
    /// Passes when the caller holds `scope`.
    ///
    /// # Errors
    /// `forbidden`, naming the scope that is missing.
    pub fn require(&self, scope: Scope) -> Result<(), Fault> {
        if self.scopes.has(scope) {
            return Ok(());
        }
        Err(Fault::new(
            Code::Forbidden,
            format!("This credential lacks the scope '{scope}'; use a key or a role that has it."),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_survive_their_text() {
        for role in Role::ALL {
            assert_eq!(role.scopes().to_string().parse(), Ok(role.scopes()));
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert!("read fly".parse::<ScopeSet>().is_err());
    }
}
