//! Room in memory: what requests take from when their bytes arrive until their rows lie in a memtable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use spanlake_model::{Table, TenantId};
use spanlake_store::disk::Space;
use spanlake_store::memtable::Memtables;
use tokio::sync::Notify;

use crate::config::Config;
use crate::error::Error;

/// How long a request waits for room before it is refused. Less than a client's patience; a flush takes less.
const PATIENCE: Duration = Duration::from_millis(500);
/// Requests that wait at most; they hold no more bytes than they have room for.
const WAITING_MAX: usize = 256;

/// The memory of a writer, and the disk behind it.
pub(crate) struct Rooms {
    memtables: Arc<Memtables>,
    /// Bytes of requests that are in no memtable yet.
    on_the_way: Arc<AtomicU64>,
    waiting: AtomicUsize,
    freed: Notify,
    bytes_max: u64,
    tenant_bytes_max: u64,
    /// Room on the log's disk.
    space: Arc<Space>,
}

impl Rooms {
    pub(crate) fn new(memtables: Arc<Memtables>, space: Space, config: &Config) -> Self {
        space.look();
        Self {
            memtables,
            on_the_way: Arc::default(),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
            bytes_max: config.memory_bytes_max,
            tenant_bytes_max: config.tenant_memory_bytes_max,
            space: Arc::new(space),
        }
    }

    /// Room for so many bytes of the tenant, at once or not at all.
    pub(crate) fn take(&self, tenant: TenantId, bytes: u64) -> Result<Reserved, Error> {
        self.take_beside(tenant, bytes, 0)
    }

    /// As [`Self::take`], for a request that holds `own` bytes already: those are no reason against it.
    fn take_beside(&self, tenant: TenantId, bytes: u64, own: u64) -> Result<Reserved, Error> {
        // Before anything is written: a disk that is full to the last byte keeps us from flushing, too.
        if self.space.is_short() {
            return Err(Error::NoSpace);
        }
        let of_tenant: u64 = Table::ALL.into_iter().map(|table| self.memtables.bytes_of(tenant, table)).sum();
        if of_tenant > 0 && of_tenant + bytes > self.tenant_bytes_max {
            return Err(Error::TenantFull);
        }
        let before = self.on_the_way.fetch_add(bytes, Ordering::Relaxed);
        let reserved = Reserved { on_the_way: self.on_the_way.clone(), bytes };
        let held = before + self.memtables.bytes();
        // One request alone always passes, however large: it could never be taken otherwise.
        if held > own && held + bytes > self.bytes_max { Err(Error::Full) } else { Ok(reserved) }
    }

    /// Room for nothing, which can grow.
    pub(crate) fn none(&self) -> Reserved {
        Reserved { on_the_way: self.on_the_way.clone(), bytes: 0 }
    }

    /// As [`Self::take`], and waits a little for a flush to make some.
    pub(crate) async fn wait(&self, tenant: TenantId, bytes: u64) -> Result<Reserved, Error> {
        match self.take(tenant, bytes) {
            Err(full @ (Error::Full | Error::TenantFull)) => self.wait_until_freed(tenant, bytes, full).await,
            outcome => outcome,
        }
    }

    async fn wait_until_freed(&self, tenant: TenantId, bytes: u64, full: Error) -> Result<Reserved, Error> {
        let Some(_place) = Place::take(&self.waiting) else { return Err(full) };
        let room = async {
            loop {
                let freed = self.freed.notified();
                match self.take(tenant, bytes) {
                    Err(Error::Full | Error::TenantFull) => freed.await,
                    outcome => return outcome,
                }
            }
        };
        tokio::time::timeout(PATIENCE, room).await.unwrap_or(Err(full))
    }

    /// Makes the room as large as this; it is left as it is when there is no more. Does not wait: the bytes are there already.
    pub(crate) fn grow(&self, room: &mut Reserved, tenant: TenantId, bytes: u64) -> Result<(), Error> {
        let more = bytes.saturating_sub(room.bytes);
        if more > 0 {
            let mut more = self.take_beside(tenant, more, room.bytes)?;
            room.bytes += std::mem::take(&mut more.bytes);
        }
        Ok(())
    }

    /// A flush has made room.
    pub(crate) fn was_freed(&self) {
        self.freed.notify_waiters();
    }

    /// Looks how much room the log's disk has.
    pub(crate) async fn look_for_space(&self) {
        let space = self.space.clone();
        // A look that is cut off says nothing; the next one does.
        let _ = tokio::task::spawn_blocking(move || space.look()).await;
    }

    /// Whether memory is more than half full, so that flushing should not wait for age or size.
    pub(crate) fn is_under_pressure(&self) -> bool {
        self.memtables.bytes() + self.on_the_way.load(Ordering::Relaxed) > self.bytes_max / 2
    }
}

/// A place among those who wait, given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        // Dropping it gives back what was taken.
        (waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Room in memory, given back when dropped: by whoever holds the bytes last, not by whoever waits for them.
pub(crate) struct Reserved {
    on_the_way: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.on_the_way.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use spanlake_store::disk::LocalDisk;

    use super::*;

    fn rooms(bytes_max: u64) -> Rooms {
        let config = Config { memory_bytes_max: bytes_max, ..Config::default() };
        let space = Space::new(Arc::new(LocalDisk), std::env::temp_dir(), 0);
        Rooms::new(Arc::new(Memtables::new([])), space, &config)
    }

    const TENANT: TenantId = TenantId::from_bytes([1; 16]);

    #[test]
    fn bodies_that_come_piece_by_piece_are_counted_together_and_given_back() {
        let rooms = rooms(1_000);
        let (mut one, mut other) = (rooms.none(), rooms.none());
        rooms.grow(&mut one, TENANT, 600).unwrap();
        assert!(matches!(rooms.grow(&mut other, TENANT, 600), Err(Error::Full)));
        rooms.grow(&mut other, TENANT, 300).unwrap();
        assert!(matches!(rooms.grow(&mut one, TENANT, 800), Err(Error::Full)), "what it has stays counted");
        drop(other);
        rooms.grow(&mut one, TENANT, 800).unwrap();
        drop(one);
        assert_eq!(rooms.on_the_way.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_request_alone_passes_however_large() {
        let rooms = rooms(1_000);
        let mut alone = rooms.take(TENANT, 5_000).unwrap();
        rooms.grow(&mut alone, TENANT, 9_000).unwrap();
        assert!(matches!(rooms.take(TENANT, 1), Err(Error::Full)));
    }

    #[tokio::test]
    async fn who_waits_gets_the_room_that_is_freed() {
        let rooms = Arc::new(rooms(1_000));
        let held = rooms.take(TENANT, 900).unwrap();
        let waiting = tokio::spawn({
            let rooms = rooms.clone();
            async move { rooms.wait(TENANT, 500).await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(held);
        rooms.was_freed();
        assert!(waiting.await.unwrap());
        let _held = rooms.take(TENANT, 900).unwrap();
        assert!(matches!(rooms.wait(TENANT, 500).await, Err(Error::Full)));
    }
}
