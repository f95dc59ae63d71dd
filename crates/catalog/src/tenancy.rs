//! A tenant as a whole: what it may use, what it has used, and its end.

use async_trait::async_trait;
use spanlake_model::{Day, KeyId, Limits, Table, TenantId, Timestamp};

use crate::error::Error;

/// What a tenant took in on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageDay {
    /// The day on which it reached a data file.
    pub day: Day,
    /// Of which table.
    pub table: Table,
    /// Rows written.
    pub rows: u64,
    /// Bytes of the files they were written to.
    pub bytes: u64,
}

/// What is left of a tenant that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedTenant {
    /// Since when nobody can reach it.
    pub requested_at: Timestamp,
    /// Since when its rows are in no file and no table.
    pub finished_at: Option<Timestamp>,
}

/// How many of each thing a tenant has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Apps that were not deleted.
    pub apps: u64,
    /// Agents that were not deleted.
    pub agents: u64,
    /// Keys that open something: neither revoked nor expired.
    pub keys: u64,
    /// People.
    pub members: u64,
}

/// Tenants as a whole. Only auth uses it.
#[async_trait]
pub trait Tenancy: Send + Sync + 'static {
    /// Sets what the tenant may use. `false` when there is no such tenant.
    async fn set_limits(&self, tenant: TenantId, limits: Limits) -> Result<bool, Error>;
    /// How much of everything the tenant has at `now`.
    async fn holdings(&self, tenant: TenantId, now: Timestamp) -> Result<Holdings, Error>;
    /// What the tenant took in from the first day to the last, both included, oldest first.
    async fn usage(&self, tenant: TenantId, first: Day, last: Day) -> Result<Vec<UsageDay>, Error>;
    /// Deletes the tenant with its people, apps, agents, keys, settings and audit log, and gives its files to the compactor: all or
    /// nothing. Returns its keys; `None` when there is no such tenant.
    async fn close_tenant(
        &self,
        tenant: TenantId,
        receipt_hash: &[u8],
        at: Timestamp,
    ) -> Result<Option<Vec<KeyId>>, Error>;
    /// What became of a tenant that was deleted.
    async fn closed_tenant(&self, receipt_hash: &[u8]) -> Result<Option<ClosedTenant>, Error>;
}
