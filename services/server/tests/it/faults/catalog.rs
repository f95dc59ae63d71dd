//! A catalog whose answers get lost.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use spanlake_catalog::{
    Catalog, Commit, DataFile, DayLease, Ended, ErasedFile, ErasureProof, Erasures, Error, Files, Jobs, NewErasure,
    Orphan, Removed, Replacement, Since, Snapshot, SweepLease, Sweeps, TenantDay, Wanted, WriterLease,
};
use spanlake_model::{
    AgentId, AppId, CompactorId, Day, ErasureId, FileId, Table, TenantId, TimeRange, Timestamp, WriterId,
};

use super::plan::{Call, Process};

/// Passes everything on, but for what is planned.
pub(crate) struct FaultyCatalog {
    pub(crate) inner: Catalog,
    pub(crate) process: Arc<Process>,
}

fn away() -> Error {
    Error::Database(sqlx::Error::PoolClosed)
}

impl FaultyCatalog {
    async fn reads<T>(&self, name: &'static str, done: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.process.around(Call::reads(name), away, done).await
    }
    async fn changes<T>(&self, name: &'static str, done: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.process.around(Call::changes(name), away, done).await
    }
}

#[async_trait]
impl Files for FaultyCatalog {
    async fn snapshots(&self, tenant: TenantId, of: &[(Table, TimeRange)]) -> Result<Vec<Snapshot>, Error> {
        self.reads("catalog.snapshots", self.inner.snapshots(tenant, of)).await
    }
    async fn register_writer(&self, writer: WriterId, address: &str, at: Timestamp) -> Result<WriterLease, Error> {
        self.changes("catalog.register_writer", self.inner.register_writer(writer, address, at)).await
    }
    async fn retire_writer(&self, lease: WriterLease) -> Result<(), Error> {
        self.changes("catalog.retire_writer", self.inner.retire_writer(lease)).await
    }
    async fn settled(&self, lease: WriterLease, before: Timestamp) -> Result<(), Error> {
        self.changes("catalog.settled", self.inner.settled(lease, before)).await
    }
    async fn watermarks(&self, writer: WriterId) -> Result<Vec<(TenantId, Table, u64)>, Error> {
        self.reads("catalog.watermarks", self.inner.watermarks(writer)).await
    }
    async fn commit(&self, commit: Commit) -> Result<Option<u64>, Error> {
        self.changes("catalog.commit", self.inner.commit(commit)).await
    }
    async fn files_since(&self, tenant: TenantId, table: Table, version: u64) -> Result<Since, Error> {
        self.reads("catalog.files_since", self.inner.files_since(tenant, table, version)).await
    }
    async fn day(&self, tenant: TenantId, table: Table, day: Day) -> Result<Vec<DataFile>, Error> {
        self.reads("catalog.day", self.inner.day(tenant, table, day)).await
    }
    async fn replace(&self, replacement: Replacement) -> Result<(), Error> {
        self.changes("catalog.replace", self.inner.replace(replacement)).await
    }
    async fn removable(&self, now: Timestamp, lingering: Duration, most: u32) -> Result<Vec<Removed>, Error> {
        self.reads("catalog.removable", self.inner.removable(now, lingering, most)).await
    }
    async fn forget(&self, files: &[FileId]) -> Result<(), Error> {
        self.changes("catalog.forget", self.inner.forget(files)).await
    }
}

#[async_trait]
impl Jobs for FaultyCatalog {
    async fn days(&self, wanted: Wanted, most: u32) -> Result<Vec<TenantDay>, Error> {
        self.reads("catalog.days", self.inner.days(wanted, most)).await
    }
    async fn claim(
        &self,
        owner: CompactorId,
        day: TenantDay,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<DayLease>, Error> {
        self.changes("catalog.claim", self.inner.claim(owner, day, now, until)).await
    }
    async fn renew(&self, lease: DayLease, until: Timestamp) -> Result<(), Error> {
        self.changes("catalog.renew", self.inner.renew(lease, until)).await
    }
    async fn end(&self, lease: DayLease, ended: Ended) -> Result<(), Error> {
        self.changes("catalog.end", self.inner.end(lease, ended)).await
    }
}

#[async_trait]
impl Sweeps for FaultyCatalog {
    async fn claim_sweep(
        &self,
        owner: CompactorId,
        name: &'static str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<SweepLease>, Error> {
        self.changes("catalog.claim_sweep", self.inner.claim_sweep(owner, name, now, until)).await
    }
    async fn end_sweep(&self, lease: SweepLease, not_before: Timestamp) -> Result<(), Error> {
        self.changes("catalog.end_sweep", self.inner.end_sweep(lease, not_before)).await
    }
    async fn unknown(&self, files: &[FileId]) -> Result<Vec<FileId>, Error> {
        self.reads("catalog.unknown", self.inner.unknown(files)).await
    }
    async fn condemn(&self, orphans: &[Orphan], at: Timestamp) -> Result<u64, Error> {
        self.changes("catalog.condemn", self.inner.condemn(orphans, at)).await
    }
}

#[async_trait]
impl Erasures for FaultyCatalog {
    async fn add_erasure(&self, new: NewErasure) -> Result<(), Error> {
        self.changes("catalog.add_erasure", self.inner.add_erasure(new)).await
    }
    async fn agents_told(&self, tenant: TenantId, app: AppId) -> Result<Vec<AgentId>, Error> {
        self.reads("catalog.agents_told", self.inner.agents_told(tenant, app)).await
    }
    async fn erasure(&self, tenant: TenantId, id: ErasureId) -> Result<Option<ErasureProof>, Error> {
        self.reads("catalog.erasure", self.inner.erasure(tenant, id)).await
    }
    async fn tenants_to_erase(&self, most: u32) -> Result<Vec<TenantId>, Error> {
        self.reads("catalog.tenants_to_erase", self.inner.tenants_to_erase(most)).await
    }
    async fn erase(&self, replacement: Replacement, erased: &[ErasedFile]) -> Result<(), Error> {
        self.changes("catalog.erase", self.inner.erase(replacement, erased)).await
    }
    async fn rewritten(&self, id: ErasureId, at: Timestamp) -> Result<(), Error> {
        self.changes("catalog.rewritten", self.inner.rewritten(id, at)).await
    }
    async fn finish_erasures(&self, at: Timestamp) -> Result<u64, Error> {
        self.changes("catalog.finish_erasures", self.inner.finish_erasures(at)).await
    }
    async fn erased_removable(&self, now: Timestamp, lingering: Duration, most: u32) -> Result<Vec<Removed>, Error> {
        self.reads("catalog.erased_removable", self.inner.erased_removable(now, lingering, most)).await
    }
    async fn expired(&self, table: Table, now: Timestamp, most: u32) -> Result<Vec<DataFile>, Error> {
        self.reads("catalog.expired", self.inner.expired(table, now, most)).await
    }
}
