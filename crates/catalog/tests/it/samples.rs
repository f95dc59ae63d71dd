//! Rows to put in.

use spanlake_catalog::{
    Agent, ApiKey, App, Catalog, Commit, DataFile, Error, Files as _, Member, NewAccount, PasswordReset, RefreshToken,
    Replacement, Tenant, WriterLease,
};
use spanlake_model::{
    AgentId, AppId, Day, Entropy as _, FileId, KeyId, Limits, MemberId, Role, Scope, SystemEntropy, Table, TenantId,
    Timestamp, WriterId,
};

pub(crate) const TENANT: TenantId = TenantId::from_bytes([1; 16]);
pub(crate) const OTHER: TenantId = TenantId::from_bytes([2; 16]);
pub(crate) const WRITER: WriterId = WriterId::from_bytes([7; 16]);
pub(crate) const SECOND_WRITER: WriterId = WriterId::from_bytes([8; 16]);

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(1_763_700_000_000_000_001).plus(std::time::Duration::from_secs(seconds.unsigned_abs()))
}

fn bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes);
    bytes
}

pub(crate) fn account(tenant: TenantId, email: &str) -> NewAccount {
    let app = App { id: AppId::from_bytes(bytes()), tenant, name: "default".into(), created_at: at(0) };
    let owner = Member {
        id: MemberId::from_bytes(bytes()),
        tenant,
        email: email.into(),
        password_hash: "$argon2id$v=19$…".into(),
        role: Role::Owner,
        created_at: at(0),
    };
    let limits = Limits { bytes_per_second: u64::from(u32::MAX) + 1, ..Limits::default() };
    let tenant =
        Tenant { id: tenant, name: "Käse & Söhne 🧀".into(), default_app: app.id, limits, created_at: at(0) };
    NewAccount { tenant, app, owner }
}

pub(crate) fn app(tenant: TenantId, name: &str) -> App {
    App { id: AppId::from_bytes(bytes()), tenant, name: name.into(), created_at: at(1) }
}

pub(crate) fn agent(tenant: TenantId, app: AppId, name: &str) -> Agent {
    Agent { id: AgentId::from_bytes(bytes()), tenant, app, name: name.into(), created_at: at(2) }
}

pub(crate) fn key(tenant: TenantId) -> ApiKey {
    ApiKey {
        id: KeyId::from_bytes(bytes()),
        tenant,
        app: None,
        agent: None,
        name: "laptop".into(),
        hash: vec![0, 1, 254, 255],
        pepper_version: 3,
        last4: "x9_Q".into(),
        scopes: [Scope::Read, Scope::Ingest].into_iter().collect(),
        created_at: at(3),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        created_by: None,
    }
}

pub(crate) fn refresh_token(owner: &Member, family: &str) -> RefreshToken {
    RefreshToken {
        hash: bytes().to_vec(),
        family: family.into(),
        tenant: owner.tenant,
        member: owner.id,
        expires_at: at(1_000),
        used_at: None,
    }
}

pub(crate) fn reset_link(member: &Member, number: u8) -> PasswordReset {
    PasswordReset {
        tenant: member.tenant,
        member: member.id,
        role: member.role,
        made_by: None,
        token_hash: vec![number],
        expires_at: at(100),
    }
}

/// A file of one row, which starts at `start`.
pub(crate) fn file(tenant: TenantId, start: Timestamp) -> DataFile {
    let id = FileId::from_bytes(bytes());
    let day = Day::of(start);
    DataFile {
        id,
        tenant,
        table: Table::Spans,
        day,
        path: format!("t/{tenant}/spans/{day}/{id}.parquet"),
        rows: 1,
        bytes: 275,
        min_start: start,
        max_start: start,
        version: 0,
        superseded: Vec::new(),
    }
}

pub(crate) fn commit(lease: WriterLease, tenant: TenantId, sequence: u64, files: Vec<DataFile>) -> Commit {
    Commit { lease, tenant, table: Table::Spans, sequence, known_version: 0, files }
}

/// Commits as a writer does: that others were faster only makes it look again.
pub(crate) async fn take_in(catalog: &Catalog, commit: Commit) -> Result<Option<u64>, Error> {
    loop {
        let known_version = catalog.files_since(commit.tenant, commit.table, u64::MAX >> 1).await?.version;
        match catalog.commit(Commit { known_version, ..commit.clone() }).await {
            Err(Error::Behind { .. }) => {}
            outcome => return outcome,
        }
    }
}

pub(crate) fn replacement(tenant: TenantId, inputs: &[FileId], outputs: Vec<DataFile>) -> Replacement {
    Replacement { tenant, table: Table::Spans, inputs: inputs.to_vec(), outputs, at: at(100) }
}
