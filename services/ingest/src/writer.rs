//! The writer: log, memtables, and the order between them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use spanlake_catalog::WriterLease;
use spanlake_model::{Clock, Day, Receipt, Table, TenantId, Timestamp, WriterId};
use spanlake_store::disk::Space;
use spanlake_store::log::{Announced, AppendError, Frame, Log, LogFolder, Recovered};
use spanlake_store::memtable::{Memtables, Pending, Prepared};
use tokio::sync::{Notify, Semaphore, watch};

use crate::config::Config;
use crate::error::Error;
use crate::keys::KeyIndex;

/// What makes rows durable and visible. Cheap to share.
pub(crate) struct Writer {
    pub(crate) lease: WriterLease,
    pub(crate) memtables: Arc<Memtables>,
    pub(crate) keys: KeyIndex,
    pub(crate) log: Log<Pending>,
    /// The last frame that queries see.
    pub(crate) through: watch::Receiver<u64>,
    /// Bytes of requests between admission and memtable.
    on_the_way: AtomicU64,
    stopped: AtomicBool,
    clock: Arc<dyn Clock>,
    /// The latest time of receipt so far, in nanoseconds.
    received: AtomicI64,
    /// Requests that wait for room.
    waiting: AtomicUsize,
    freed: Notify,
    /// Requests that are decoded at the same time.
    pub(crate) cores: Semaphore,
    /// A memtable has reached the size at which it is flushed.
    pub(crate) full: Arc<Notify>,
    memory_bytes_max: u64,
    tenant_memory_bytes_max: u64,
    /// Room on the log's disk.
    space: Arc<Space>,
}

/// How long a request waits for room before it is refused. Less than a client's patience; a flush takes less.
const ROOM_PATIENCE: Duration = Duration::from_millis(500);
/// Requests that wait at most; their bodies have not been read.
const WAITING_MAX: usize = 256;

/// A days' worth of patience for one request: more distinct days would make as many files.
pub(crate) const DAYS_MAX: usize = 64;

impl Writer {
    pub(crate) fn start(
        lease: WriterLease,
        folder: LogFolder,
        recovered: Recovered,
        memtables: Arc<Memtables>,
        keys: KeyIndex,
        clock: Arc<dyn Clock>,
        config: &Config,
    ) -> Result<Self, Error> {
        let (seen, through) = watch::channel(recovered.last_sequence);
        memtables.reached(recovered.last_sequence);
        let full = Arc::new(Notify::new());
        let (tables, time, wake, flush_bytes) = (memtables.clone(), clock.clone(), full.clone(), config.flush_bytes);
        let apply = move |sequence, pending| {
            if tables.apply(sequence, time.now(), pending) >= flush_bytes {
                wake.notify_one();
            }
            seen.send_replace(sequence);
        };
        let space = Arc::new(folder.space(config.disk_free_bytes_min));
        space.look();
        let log = Log::start(folder, recovered, config.log.clone(), apply).map_err(Error::Start)?;
        Ok(Self {
            lease,
            memtables,
            keys,
            log,
            through,
            on_the_way: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            clock,
            received: AtomicI64::new(i64::MIN),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
            cores: Semaphore::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)),
            full,
            memory_bytes_max: config.memory_bytes_max,
            tenant_memory_bytes_max: config.tenant_memory_bytes_max,
            space,
        })
    }

    pub(crate) fn id(&self) -> WriterId {
        self.lease.writer
    }

    /// Takes nothing more, for good: another process holds the lease, or the log cannot be trusted any more.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Makes a request's rows durable, then visible; answers its place in the log.
    pub(crate) async fn append(
        &self,
        announced: Announced,
        table: Table,
        frame: Frame,
        prepared: Prepared,
    ) -> Result<Receipt, Error> {
        let tenant = frame.tenant;
        let _room = self.reserve(tenant, prepared.bytes() + frame.body.len() as u64)?;
        let days: HashSet<Day> = prepared.days();
        let days = self.keys.ensure(tenant, table, days).await?;
        let appended = self.log.append(announced, frame, Pending { tenant, table, prepared, days }).await;
        let sequence = appended.inspect_err(|error| {
            if matches!(error, AppendError::Stopped) {
                self.stop();
            }
        })?;
        Ok(Receipt { writer: self.id(), sequence })
    }

    /// The time of receipt of a request that comes now. It never goes back, whatever the clock does, so that of two versions
    /// of a span the one that came later is also the one received later.
    pub(crate) fn received_at(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_nanos(self.received.fetch_max(now.as_nanos(), Ordering::Relaxed)).max(now)
    }

    /// Room for another request of this size, before it is read or decoded. Waits a little for a flush to make some.
    pub(crate) async fn room(&self, tenant: TenantId, bytes: u64) -> Result<Reserved<'_>, Error> {
        match self.reserve(tenant, bytes) {
            Err(full @ (Error::Full | Error::TenantFull)) => self.wait_for_room(tenant, bytes, full).await,
            outcome => outcome,
        }
    }

    async fn wait_for_room(&self, tenant: TenantId, bytes: u64, full: Error) -> Result<Reserved<'_>, Error> {
        let Some(_place) = Place::take(&self.waiting) else { return Err(full) };
        let room = async {
            loop {
                let freed = self.freed.notified();
                match self.reserve(tenant, bytes) {
                    Err(Error::Full | Error::TenantFull) => freed.await,
                    outcome => return outcome,
                }
            }
        };
        tokio::time::timeout(ROOM_PATIENCE, room).await.unwrap_or(Err(full))
    }

    /// A flush has made room.
    pub(crate) fn room_was_made(&self) {
        self.freed.notify_waiters();
    }

    /// Whether memory has room for another request of this size.
    fn reserve(&self, tenant: TenantId, bytes: u64) -> Result<Reserved<'_>, Error> {
        if self.is_stopped() {
            return Err(Error::Stopped);
        }
        // Before anything is written: a disk that is full to the last byte keeps us from flushing, too.
        if self.space.is_short() {
            return Err(Error::NoSpace);
        }
        let own: u64 = Table::ALL.into_iter().map(|table| self.memtables.bytes_of(tenant, table)).sum();
        if own > 0 && own + bytes > self.tenant_memory_bytes_max {
            return Err(Error::TenantFull);
        }
        let before = self.on_the_way.fetch_add(bytes, Ordering::Relaxed);
        let reserved = Reserved { writer: self, bytes };
        let held = before + self.memtables.bytes();
        // One request alone always passes, however large: it could never be taken otherwise.
        if held > 0 && held + bytes > self.memory_bytes_max { Err(Error::Full) } else { Ok(reserved) }
    }

    /// Looks how much room the log's disk has.
    pub(crate) async fn look_for_space(&self) {
        let space = self.space.clone();
        // A look that is cut off says nothing; the next one does.
        let _ = tokio::task::spawn_blocking(move || space.look()).await;
    }

    /// Whether memory is more than half full, so that flushing should not wait for age or size.
    pub(crate) fn is_under_pressure(&self) -> bool {
        self.memtables.bytes() + self.on_the_way.load(Ordering::Relaxed) > self.memory_bytes_max / 2
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

/// Room in memory, given back when dropped.
pub(crate) struct Reserved<'a> {
    writer: &'a Writer,
    bytes: u64,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.writer.on_the_way.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
