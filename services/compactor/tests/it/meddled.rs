//! A catalog that things happen to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use spanlake_catalog::{
    Catalog, Commit, Config, DataFile, Error, Files, Removed, Replacement, Snapshot, TenantDay, WriterLease,
};
use spanlake_model::{Day, FileId, Table, TenantId, TimeRange, Timestamp, WriterId};
use tokio::sync::watch;

use crate::world::World;

/// Passes everything on; beside that, what its fields say.
pub(crate) struct Meddled {
    inner: Catalog,
    /// Its every call fails: the connection is gone.
    away: Catalog,
    /// Happens once, just before a merge is committed.
    pub(crate) before_replace: Mutex<Option<BoxFuture<'static, ()>>>,
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
    async fn snapshot(&self, tenant: TenantId, table: Table, range: TimeRange) -> Result<Snapshot, Error> {
        self.inner.snapshot(tenant, table, range).await
    }
    async fn register_writer(&self, writer: WriterId, address: &str, at: Timestamp) -> Result<WriterLease, Error> {
        self.inner.register_writer(writer, address, at).await
    }
    async fn retire_writer(&self, lease: WriterLease) -> Result<(), Error> {
        self.inner.retire_writer(lease).await
    }
    async fn watermarks(&self, writer: WriterId) -> Result<Vec<(TenantId, Table, u64)>, Error> {
        self.inner.watermarks(writer).await
    }
    async fn commit(&self, commit: Commit) -> Result<Option<u64>, Error> {
        self.inner.commit(commit).await
    }
    async fn crowded_days(&self, least_files: u64, most: u32) -> Result<Vec<TenantDay>, Error> {
        self.looks.send_modify(|looks| *looks += 1);
        let files = if self.be_away.swap(false, Ordering::SeqCst) { &self.away } else { &self.inner };
        files.crowded_days(least_files, most).await
    }
    async fn day(&self, tenant: TenantId, table: Table, day: Day) -> Result<Vec<DataFile>, Error> {
        self.inner.day(tenant, table, day).await
    }
    async fn replace(&self, replacement: Replacement) -> Result<(), Error> {
        let happens = self.before_replace.lock().unwrap().take();
        if let Some(happens) = happens {
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
