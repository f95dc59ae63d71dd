//! The ingest service: started, running, drained.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use spanlake_access::Gate;
use spanlake_catalog::Files;
use spanlake_model::{Caller, Clock, Code, Entropy, Fault, Timestamp, WriterId};
use spanlake_proto::ingest::{Fresh, FreshRequest, FreshRows, FreshSource};
use spanlake_store::disk::Disk;
use spanlake_store::memtable::{Due, Memtables, Snapshot};
use spanlake_store::{Store, log};
use tokio_util::sync::CancellationToken;

use crate::admit::{self, Accepted, Incoming};
use crate::config::Config;
use crate::error::Error;
use crate::figures::Reading;
use crate::flush::Flusher;
use crate::keys::KeyIndex;
use crate::replay::replay;
use crate::room::Reserved;
use crate::scores::{self, Given as NewScore, Taken as TakenScores};
use crate::writer::Writer;

/// What the service is made of.
pub struct Parts {
    /// Who is calling.
    pub gate: Gate,
    /// Data files and watermarks.
    pub files: Arc<dyn Files>,
    /// Where data files go.
    pub store: Store,
    /// Where the log lies.
    pub disk: Arc<dyn Disk>,
    /// The log's folder; one process at a time.
    pub log_folder: PathBuf,
    /// Where other processes reach this writer's fresh rows; empty in standalone.
    pub address: String,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub entropy: Arc<dyn Entropy>,
    /// Settings.
    pub config: Config,
}

/// Takes telemetry in and answers for what is not in files yet.
pub struct Service {
    pub(crate) gate: Gate,
    pub(crate) config: Config,
    files: Arc<dyn Files>,
    clock: Arc<dyn Clock>,
    writer: Writer,
    flusher: Flusher,
    /// One flush at a time: a chunk must not be written by two.
    flushing: tokio::sync::Mutex<()>,
    /// When the log had been replayed.
    began: Timestamp,
    /// When the catalog was last told what is settled.
    told: Mutex<Option<Timestamp>>,
}

/// How often the catalog is told what is settled.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// More frames than a log that was lost can have held above the watermark.
const LOST_SEQUENCES_MAX: u64 = 1 << 32;

impl Service {
    /// Takes the log's folder, replays it, and is ready to take more.
    ///
    /// # Errors
    /// When the folder is in use or unreadable, or the catalog or store is away.
    pub async fn start(parts: Parts) -> Result<Arc<Self>, Error> {
        let Parts { gate, files, store, disk, log_folder, address, clock, entropy, config } = parts;
        let folder =
            log::open(&log_folder, disk, entropy.clone(), || WriterId::generate(clock.as_ref(), entropy.as_ref()))?;
        let lease = files.register_writer(folder.writer(), &address, clock.now()).await?;
        let watermarks = files.watermarks(lease.writer).await?;
        let landed = watermarks.iter().map(|(.., sequence)| *sequence).max().unwrap_or(0);
        let memtables = Arc::new(Memtables::new(watermarks));
        let keys = KeyIndex::new(files.clone(), store.clone(), lease.writer, &log_folder, config.known_keys_max);
        let file = config.file.clone();
        let flusher = Flusher {
            files: files.clone(),
            store,
            clock: clock.clone(),
            entropy,
            config: file,
            written: Mutex::default(),
        };
        let (folder, mut recovered) = replay(folder, lease, &memtables, &keys, &flusher, &config).await?;
        // The folder may know less than the catalog: it was emptied, restored, or its last segment lost. A sequence at or
        // below a watermark would count as in files already, and erasures and exports remember some that never got there.
        if recovered.last_sequence < landed {
            recovered.last_sequence = landed + LOST_SEQUENCES_MAX;
        }
        let writer = Writer::start(lease, folder, recovered, memtables, keys, clock.clone(), &config)?;
        let (began, flushing) = (clock.now(), tokio::sync::Mutex::default());
        Ok(Arc::new(Self { gate, config, files, clock, writer, flusher, flushing, began, told: Mutex::default() }))
    }

    /// Takes a request in: when this answers, what it holds is durable and visible.
    ///
    /// # Errors
    /// `invalid_otlp_payload`, `forbidden` (an agent that is not the key's), `rate_limited`, `payload_too_large`,
    /// `service_unavailable`; after any of them nothing of the request was kept.
    pub async fn accept(&self, caller: &Caller, incoming: Incoming) -> Result<Accepted, Fault> {
        let room = self.room(caller, incoming.body.len() as u64).await?;
        self.accept_held(caller, incoming, room).await
    }

    /// As [`Self::accept`], of a body that has had this room while it came.
    pub(crate) async fn accept_held(
        &self,
        caller: &Caller,
        incoming: Incoming,
        room: Reserved,
    ) -> Result<Accepted, Fault> {
        admit::accept(&self.gate, &self.writer, caller, incoming, room).await
    }

    /// As [`Self::accept`], for scores; `bytes` is how long the request was. Each is taken or refused by itself.
    ///
    /// # Errors
    /// `rate_limited`, `service_unavailable`; after any of them nothing of the request was kept.
    pub async fn accept_scores(
        &self,
        caller: &Caller,
        given: Vec<NewScore>,
        bytes: usize,
    ) -> Result<TakenScores, Fault> {
        scores::accept(&self.gate, &self.writer, self.flusher.entropy.as_ref(), caller, given, bytes).await
    }

    /// Room in memory for a body that is about to be read, given back when dropped.
    ///
    /// # Errors
    /// `service_unavailable` when there is none for anybody, `rate_limited` when the tenant's share is used up.
    pub(crate) async fn room(&self, caller: &Caller, bytes: u64) -> Result<Reserved, Fault> {
        self.writer.room(caller.tenant(), bytes).await.map_err(Fault::from)
    }

    /// Room for nothing.
    pub(crate) fn empty_room(&self) -> Reserved {
        self.writer.rooms.none()
    }

    /// Makes the room of a body that comes in as large as what has come.
    ///
    /// # Errors
    /// As [`Self::room`].
    pub(crate) fn hold(&self, room: &mut Reserved, caller: &Caller, bytes: usize) -> Result<(), Fault> {
        self.writer.rooms.grow(room, caller.tenant(), bytes as u64).map_err(Fault::from)
    }

    /// Flushes what is due until `shutdown`, which it asks for itself when this writer may not write any more: only a fresh
    /// start, which reads the log again, can take telemetry in.
    pub async fn run_flusher(&self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(Duration::from_millis(self.config.flush_check_ms.max(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut due = async || {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.writer.full.notified() => {}
            }
        };
        while shutdown.run_until_cancelled(due()).await.is_some() {
            self.writer.rooms.look_for_space().await;
            self.log_failure(self.flush_due(self.due()).await);
            self.tell_settled().await;
            if self.writer.is_stopped() {
                tracing::error!("this writer has stopped, so the process ends; start it again");
                shutdown.cancel();
                return;
            }
        }
    }

    /// Tells the catalog, once a minute, that nothing is left here of what came before some time.
    async fn tell_settled(&self) {
        let now = self.clock.now();
        let is_time = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let is_time = told.is_none_or(|told| told.plus(TELL_EVERY) <= now || now < told);
            if is_time {
                *told = Some(now);
            }
            is_time
        };
        let Some(before) = self.settled_before(now).filter(|_| is_time) else { return };
        if let Err(error) = self.files.settled(self.writer.lease, before).await {
            tracing::debug!(error = %error, "the catalog was not told what is settled; it is told again in a minute");
        }
    }

    /// Of what came before then nothing is in memory, and nothing in the log: a segment goes when it is old and all its rows are in files.
    /// None while rows wait that were replayed, which came before their memtable was opened.
    fn settled_before(&self, now: Timestamp) -> Option<Timestamp> {
        let oldest = self.writer.memtables.oldest().unwrap_or(now).min(now);
        let segment_age = Duration::from_secs(self.config.log.segment_age_max_s);
        (oldest > self.began).then(|| oldest.minus(segment_age))
    }

    fn due(&self) -> Due {
        let now = self.clock.now();
        let before = |age_s: u64| now.minus(Duration::from_secs(age_s));
        Due {
            bytes: if self.writer.rooms.is_under_pressure() { 1 } else { self.config.flush_bytes },
            opened_before: before(self.config.flush_age_s),
            small_bytes: self.config.flush_small_bytes,
            small_opened_before: before(self.config.flush_small_age_s.max(self.config.flush_age_s)),
            first_sequence: self.writer.log.sequence_beyond(self.config.log_bytes_max),
        }
    }

    async fn flush_due(&self, due: Due) -> Result<(), Error> {
        let _one = self.flushing.lock().await;
        let outcome = self.flusher.flush_due(self.writer.lease, &self.writer.memtables, &self.writer.keys, due).await;
        self.writer.rooms.was_freed();
        self.writer.log.trim(self.writer.memtables.watermarks()).await;
        outcome
    }

    /// Puts everything into data files now.
    ///
    /// # Errors
    /// When the store or the catalog refuses; what was not flushed stays visible and in the log.
    pub async fn flush(&self) -> Result<(), Error> {
        {
            let _one = self.flushing.lock().await;
            self.flusher.flush_all(self.writer.lease, &self.writer.memtables, &self.writer.keys).await?;
        }
        self.flush_due(Due::sized(u64::MAX)).await
    }

    /// How it does, for whoever watches.
    pub fn reading(&self) -> Reading {
        let (log, figures) = (self.writer.log.size(), &self.writer.figures);
        Reading {
            log_segments: log.segments,
            log_bytes: log.bytes,
            log_frames_damaged: self.writer.frames_damaged,
            memtable_rows: self.writer.memtables.row_count(),
            memtable_bytes: self.writer.memtables.bytes(),
            accepted_rows: figures.accepted(),
            refused_rows: figures.refused(),
            flush_failures: figures.flush_failures(),
            is_stopped: self.writer.is_stopped(),
        }
    }

    fn log_failure(&self, outcome: Result<(), Error>) {
        if outcome.is_err() {
            self.writer.figures.could_not_flush();
        }
        match outcome {
            Ok(()) => {}
            Err(Error::Catalog(error @ spanlake_catalog::Error::Fenced { .. })) => {
                self.writer.stop();
                tracing::error!(error = %error, "another process has taken this writer over; nothing more is taken in here");
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "could not flush; the rows stay in memory and in the log");
            }
        }
    }

    /// After the listeners have closed: flushes everything and gives the lease back.
    ///
    /// # Errors
    /// When something could not be flushed; it is in the log and comes back with the next start. [`Error::Stopped`] when
    /// all went well but this writer had stopped before, so that whoever watches the process starts it again.
    pub async fn drain(&self) -> Result<(), Error> {
        self.flush().await?;
        self.files.retire_writer(self.writer.lease).await?;
        if self.writer.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
    }

    /// A write is visible before its receipt is given, so that one which is not was never given.
    fn check_given(&self, sequence: u64) -> Result<(), Fault> {
        if *self.writer.through.borrow() >= sequence {
            return Ok(());
        }
        let message =
            "The parameter 'after' is the receipt of no write; use one as it was given, from `X-Spanlake-Receipt`.";
        Err(Fault::new(Code::InvalidQueryParams, message).detail("after", "is the receipt of no write"))
    }
}

#[async_trait]
impl FreshSource for Service {
    async fn fresh(&self, _address: &str, request: FreshRequest) -> Result<Fresh, Fault> {
        if request.writer != self.writer.id() {
            return Err(Fault::unavailable("This process is not the writer that was asked for; try again."));
        }
        self.check_given(request.reach_sequence)?;
        let (tenant, table) = (request.tenant, request.table);
        let caught_up = self.writer.keys.catch_up(tenant, table, request.known_version, &self.writer.memtables).await;
        caught_up.map_err(Fault::from)?;
        let memtables = self.writer.memtables.clone();
        // Dropping replaced rows copies; a chunk may hold tens of megabytes.
        let read = move || memtables.fresh(tenant, table, request.after_sequence);
        let snapshot = tokio::task::spawn_blocking(read).await.map_err(|error| Fault::from(Error::from(error)))?;
        Ok(match snapshot {
            Snapshot::Stale => Fresh::Stale,
            Snapshot::Rows { through, superseded, batches } => {
                Fresh::Rows(FreshRows { through_sequence: through, superseded, batches })
            }
        })
    }
}
