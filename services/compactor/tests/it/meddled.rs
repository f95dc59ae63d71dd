//! A catalog that things happen to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use spanlake_catalog::{
    Catalog, Commit, Config, DataFile, DayLease, Ended, Error, Files, Jobs, Orphan, Removed, Replacement, Since,
    Snapshot, SweepLease, Sweeps, TenantDay, Wanted, WriterLease,
};
use spanlake_model::{CompactorId, Day, FileId, Table, TenantId, TimeRange, Timestamp, WriterId};
use tokio::sync::watch;

use crate::world::World;

/// Passes everything on; beside that, what its fields say.
pub(crate) struct Meddled {
    inner: Catalog,
    /// Its every call fails: the connection is gone.
    away: Catalog,
    /// Happens once, just before a merge is committed.
    pub(crate) before_replace: Mutex<Option<BoxFuture<'static, ()>>>,
    /// Whether that has begun.
    pub(crate) replacing: watch::Sender<bool>,
    /// The next merge is committed, and its caller told that the database failed.
    pub(crate) lose_reply: AtomicBool,
    /// The next look finds the database away.
    pub(crate) be_away: AtomicBool,
    /// How often the compactor has looked for days.
    pub(crate) looks: watch::Sender<u64>,
}

impl Meddled {
    pub(crate) async fn with(world: &World) -> Arc<Self> {
        let url = format!("sqlite:{}", world.folder.join("catalog.db").display());
        let away = Catalog::open(&Config::new(url)).await.unwrap();
        away.close().await;
        Arc::new(Self {
            inner: world.catalog.clone(),
            away,
            before_replace: Mutex::default(),
            replacing: watch::Sender::new(false),
            lose_reply: AtomicBool::new(false),
            be_away: AtomicBool::new(false),
            looks: watch::Sender::new(0),
        })
    }

    pub(crate) fn before_replace(&self, happens: impl Future<Output = ()> + Send + 'static) {
        *self.before_replace.lock().unwrap() = Some(Box::pin(happens));
    }
}

#[async_trait::async_trait]
impl Files for Meddled {
    async fn snapshots(&self, tenant: TenantId, of: &[(Table, TimeRange)]) -> Result<Vec<Snapshot>, Error> {
        self.inner.snapshots(tenant, of).await
    }
    async fn register_writer(&self, writer: WriterId, address: &str, at: Timestamp) -> Result<WriterLease, Error> {
        self.inner.register_writer(writer, address, at).await
    }
    async fn retire_writer(&self, lease: WriterLease) -> Result<(), Error> {
        self.inner.retire_writer(lease).await
    }
    async fn settled(&self, lease: WriterLease, before: Timestamp) -> Result<(), Error> {
        self.inner.settled(lease, before).await
    }
    async fn watermarks(&self, writer: WriterId) -> Result<Vec<(TenantId, Table, u64)>, Error> {
        self.inner.watermarks(writer).await
    }
    async fn commit(&self, commit: Commit) -> Result<Option<u64>, Error> {
        self.inner.commit(commit).await
    }
    async fn files_since(&self, tenant: TenantId, table: Table, version: u64) -> Result<Since, Error> {
        self.inner.files_since(tenant, table, version).await
    }
    async fn day(&self, tenant: TenantId, table: Table, day: Day) -> Result<Vec<DataFile>, Error> {
        self.inner.day(tenant, table, day).await
    }
    async fn replace(&self, replacement: Replacement) -> Result<(), Error> {
        let happens = self.before_replace.lock().unwrap().take();
        if let Some(happens) = happens {
            self.replacing.send_replace(true);
            happens.await;
        }
        self.inner.replace(replacement).await?;
        if self.lose_reply.swap(false, Ordering::SeqCst) { self.away.ping().await } else { Ok(()) }
    }
    async fn removable(&self, now: Timestamp, lingering: Duration, most: u32) -> Result<Vec<Removed>, Error> {
        self.inner.removable(now, lingering, most).await
    }
    async fn forget(&self, files: &[FileId]) -> Result<(), Error> {
        self.inner.forget(files).await
    }
}

#[async_trait::async_trait]
impl Jobs for Meddled {
    async fn days(&self, wanted: Wanted, most: u32) -> Result<Vec<TenantDay>, Error> {
        self.looks.send_modify(|looks| *looks += 1);
        let jobs = if self.be_away.swap(false, Ordering::SeqCst) { &self.away } else { &self.inner };
        jobs.days(wanted, most).await
    }
    async fn claim(
        &self,
        owner: CompactorId,
        day: TenantDay,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<DayLease>, Error> {
        self.inner.claim(owner, day, now, until).await
    }
    async fn renew(&self, lease: DayLease, until: Timestamp) -> Result<(), Error> {
        self.inner.renew(lease, until).await
    }
    async fn end(&self, lease: DayLease, ended: Ended) -> Result<(), Error> {
        self.inner.end(lease, ended).await
    }
}

#[async_trait::async_trait]
impl Sweeps for Meddled {
    async fn claim_sweep(
        &self,
        owner: CompactorId,
        name: &'static str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<SweepLease>, Error> {
        self.inner.claim_sweep(owner, name, now, until).await
    }
    async fn end_sweep(&self, lease: SweepLease, not_before: Timestamp) -> Result<(), Error> {
        self.inner.end_sweep(lease, not_before).await
    }
    async fn unknown(&self, files: &[FileId]) -> Result<Vec<FileId>, Error> {
        self.inner.unknown(files).await
    }
    async fn condemn(&self, orphans: &[Orphan], at: Timestamp) -> Result<u64, Error> {
        self.inner.condemn(orphans, at).await
    }
}
