//! The writer: log, memtables, and the order between them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use spanlake_catalog::WriterLease;
use spanlake_model::{Clock, Day, Receipt, Table, TenantId, Timestamp, WriterId};
use spanlake_store::log::{Announced, AppendError, Frame, Log, LogFolder, Recovered};
use spanlake_store::memtable::{Memtables, Pending, Prepared};
use tokio::sync::{Notify, Semaphore, watch};

use crate::config::Config;
use crate::error::Error;
use crate::figures::Figures;
use crate::keys::KeyIndex;
use crate::room::{Reserved, Rooms};

/// What makes rows durable and visible. Cheap to share.
pub(crate) struct Writer {
    pub(crate) lease: WriterLease,
    pub(crate) memtables: Arc<Memtables>,
    pub(crate) keys: KeyIndex,
    pub(crate) log: Log<Durable>,
    /// The last frame that queries see.
    pub(crate) through: watch::Receiver<u64>,
    pub(crate) rooms: Rooms,
    stopped: AtomicBool,
    clock: Arc<dyn Clock>,
    /// The latest time of receipt so far, in nanoseconds.
    received: AtomicI64,
    /// Requests that are decoded at the same time.
    pub(crate) cores: Arc<Semaphore>,
    /// A memtable has reached the size at which it is flushed.
    pub(crate) full: Arc<Notify>,
    pub(crate) figures: Figures,
    /// Frames that the start could not read.
    pub(crate) frames_damaged: u64,
}

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
        // The clock may have been set back since: what comes now comes after all that lies in the log.
        let received = AtomicI64::new(recovered.last_received.map_or(i64::MIN, Timestamp::as_nanos));
        memtables.reached(recovered.last_sequence);
        let full = Arc::new(Notify::new());
        let (tables, time, wake, flush_bytes) = (memtables.clone(), clock.clone(), full.clone(), config.flush_bytes);
        let apply = move |sequence, durable: Durable| {
            if tables.apply(sequence, time.now(), durable.pending) >= flush_bytes {
                wake.notify_one();
            }
            seen.send_replace(sequence);
        };
        let frames_damaged = recovered.frames_damaged();
        let rooms = Rooms::new(memtables.clone(), folder.space(config.disk_free_bytes_min), config);
        let log = Log::start(folder, recovered, config.log.clone(), apply).map_err(Error::Start)?;
        Ok(Self {
            lease,
            memtables,
            keys,
            log,
            through,
            rooms,
            stopped: AtomicBool::new(false),
            clock,
            received,
            cores: Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))),
            full,
            figures: Figures::default(),
            frames_damaged,
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

    /// Makes a request's rows durable, then visible; answers its place in the log. They have the room until they are in a memtable,
    /// also when nobody waits for the answer any more.
    pub(crate) async fn append(
        &self,
        announced: Announced,
        table: Table,
        frame: Frame,
        prepared: Prepared,
        mut room: Reserved,
    ) -> Result<Receipt, Error> {
        self.takes_more()?;
        let tenant = frame.tenant;
        self.rooms.grow(&mut room, tenant, prepared.bytes() + frame.body.len() as u64)?;
        let days: HashSet<Day> = prepared.days();
        let days = self.keys.ensure(tenant, table, days).await?;
        let durable = Durable { pending: Pending { tenant, table, prepared, days }, _room: room };
        let appended = self.log.append(announced, frame, durable).await;
        let sequence = appended.inspect_err(|error| {
            if matches!(error, AppendError::Stopped) {
                self.stop();
            }
        })?;
        Ok(Receipt { writer: self.id(), sequence })
    }

    /// The time of receipt of a request that comes now. It never goes back, whatever the clock does and also over a restart, so
    /// that of two versions of a span the one that came later is also the one received later.
    pub(crate) fn received_at(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_nanos(self.received.fetch_max(now.as_nanos(), Ordering::Relaxed)).max(now)
    }

    /// Room for a request of so many bytes, before they are read or decoded. Waits a little for a flush to make some.
    pub(crate) async fn room(&self, tenant: TenantId, bytes: u64) -> Result<Reserved, Error> {
        self.takes_more()?;
        self.rooms.wait(tenant, bytes).await
    }

    fn takes_more(&self) -> Result<(), Error> {
        if self.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
    }
}

/// What the log hands on when a frame is durable: its rows, and the room they have had until then.
pub(crate) struct Durable {
    pending: Pending,
    _room: Reserved,
}
