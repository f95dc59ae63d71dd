//! The writer: log, memtables, and the order between them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use spanlake_catalog::WriterLease;
use spanlake_model::{Clock, Day, Receipt, Table, WriterId};
use spanlake_store::disk::Space;
use spanlake_store::log::{Announced, Frame, Log, LogFolder, Recovered};
use spanlake_store::memtable::{Memtables, Pending, Prepared};
use tokio::sync::watch;

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
    memory_bytes_max: u64,
    /// Room on the log's disk.
    space: Arc<Space>,
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
        memtables.reached(recovered.last_sequence);
        let tables = memtables.clone();
        let apply = move |sequence, pending| {
            tables.apply(sequence, clock.now(), pending);
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
            memory_bytes_max: config.memory_bytes_max,
            space,
        })
    }

    pub(crate) fn id(&self) -> WriterId {
        self.lease.writer
    }

    /// Takes nothing more, for good: another process holds the lease.
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
        let _room = self.reserve(prepared.bytes() + frame.body.len() as u64)?;
        let days: HashSet<Day> = prepared.days();
        let tenant = frame.tenant;
        let days = self.keys.ensure(tenant, table, days).await?;
        let sequence = self.log.append(announced, frame, Pending { tenant, table, prepared, days }).await?;
        Ok(Receipt { writer: self.id(), sequence })
    }

    /// Whether memory has room for another request of this size; refused before it is decoded if not.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<Reserved<'_>, Error> {
        if self.is_stopped() {
            return Err(Error::Stopped);
        }
        // Before anything is written: a disk that is full to the last byte keeps us from flushing, too.
        if self.space.is_short() {
            return Err(Error::NoSpace);
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
