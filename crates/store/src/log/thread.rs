//! The log's one thread: everything that touches the disk after start.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use spanlake_model::TenantId;
use tokio::sync::mpsc;

use super::coming::Coming;
use super::folder::LogFolder;
use super::kept::Kept;
use super::segment::{self, Closed, Recovered};
use super::{Append, AppendError, Command, Config};
use crate::disk::DiskFile;

pub(super) fn spawn<P: Send + 'static>(
    folder: LogFolder,
    recovered: Recovered,
    config: Config,
    commands: mpsc::Receiver<Command<P>>,
    coming: Arc<Coming>,
    kept: Arc<Kept>,
    apply: impl FnMut(u64, P) + Send + 'static,
) -> io::Result<()> {
    let next = recovered.last_sequence + 1;
    let open = Open::create(&folder, next).map_err(NotMade::into_inner)?;
    // An idle start before this one left an empty segment of the very name that is open now: it is no closed one.
    let closed: Vec<_> = recovered.closed.into_iter().filter(|closed| closed.path != open.segment.path).collect();
    kept.set(&closed);
    kept.open_is(open.length);
    let queue = Queue { commands, waker: coming.clone().into(), coming };
    let writer = Writer { folder, config, next, open, closed, kept, stopped: false };
    std::thread::Builder::new().name("log".into()).spawn(move || writer.run(queue, apply))?;
    Ok(())
}

/// The segment being written.
struct Open {
    segment: Closed,
    file: Box<dyn DiskFile>,
    /// Bytes in it that are sound.
    length: u64,
    salt: u32,
    made: Instant,
}

/// Why there is no new segment.
enum NotMade {
    /// The disk does not take it; it may be asked again.
    Refused(io::Error),
    /// Its folder failed to sync: after that nothing the disk says of it can be believed.
    Unsynced(io::Error),
}

impl NotMade {
    fn into_inner(self) -> io::Error {
        match self {
            Self::Refused(error) | Self::Unsynced(error) => error,
        }
    }
}

impl From<io::Error> for NotMade {
    fn from(error: io::Error) -> Self {
        Self::Refused(error)
    }
}

impl Open {
    fn create(folder: &LogFolder, first_sequence: u64) -> Result<Self, NotMade> {
        let path = folder.path.join(segment::name(first_sequence));
        // A segment of this name holds no frame: it was made by a start that took nothing in, or its header was torn.
        folder.disk.remove(&path)?;
        let mut file = folder.disk.create(&path)?;
        let salt = folder.salt();
        // Durable with the first batch: a segment that lost its header to the power has lost nothing that was acknowledged.
        if let Err(error) = file.append(&segment::header(folder.writer(), first_sequence, salt)) {
            // The segment before it goes on being written, and must be the newest there is.
            drop(file);
            folder.disk.remove(&path).map_err(NotMade::Unsynced)?;
            return Err(NotMade::Refused(error));
        }
        folder.disk.sync_dir(&folder.path).map_err(NotMade::Unsynced)?;
        Ok(Self {
            segment: Closed { path, last: HashMap::new(), bytes: 0 },
            file,
            length: segment::HEADER as u64,
            salt,
            made: Instant::now(),
        })
    }

    /// Whether everything in it has been synced, the header too.
    fn is_durable(&self) -> bool {
        self.length > segment::HEADER as u64
    }
}

struct Writer {
    folder: LogFolder,
    config: Config,
    next: u64,
    open: Open,
    closed: Vec<Closed>,
    kept: Arc<Kept>,
    /// Set for good by a failed sync.
    stopped: bool,
}

impl Writer {
    fn run<P>(mut self, mut queue: Queue<P>, mut apply: impl FnMut(u64, P)) {
        queue.coming.wakes_this_thread();
        while let Some(first) = queue.commands.blocking_recv() {
            let (batch, trims) = queue.batch(first, &self.config);
            self.commit(batch, &mut apply);
            trims.into_iter().for_each(|watermarks| self.trim(&watermarks));
        }
    }

    /// Writes and syncs a batch, applies it in order, and answers everyone in it.
    fn commit<P>(&mut self, batch: Batch<P>, apply: &mut impl FnMut(u64, P)) {
        if batch.appends.is_empty() {
            return;
        }
        if let Err(error) = self.write(&batch) {
            batch.refuse(&error);
            return;
        }
        for append in batch.appends {
            self.open.segment.last.insert(append.tenant, self.next);
            apply(self.next, append.payload);
            // The client may have gone; its frame is durable all the same.
            let _ = append.done.send(Ok(self.next));
            self.next += 1;
        }
    }

    fn write<P>(&mut self, batch: &Batch<P>) -> Result<(), AppendError> {
        if self.stopped {
            return Err(AppendError::Stopped);
        }
        if self.open.length >= self.config.segment_bytes_max && !self.open.segment.last.is_empty() {
            self.roll()?;
        }
        let mut bytes = Vec::with_capacity(batch.bytes() + 64);
        for (append, sequence) in batch.appends.iter().zip(self.next..) {
            let begins_batch = sequence == self.next && self.open.is_durable();
            append.sealed.place(sequence, begins_batch, self.open.salt, &mut bytes);
        }
        if let Err(error) = self.open.file.append(&bytes) {
            return Err(self.undo(error));
        }
        if let Err(error) = self.open.file.sync() {
            return Err(self.stop(&error));
        }
        self.open.length += bytes.len() as u64;
        self.kept.open_is(self.open.length);
        Ok(())
    }

    /// Closes the open segment and opens the next.
    fn roll(&mut self) -> Result<(), AppendError> {
        let next = match Open::create(&self.folder, self.next) {
            Ok(next) => next,
            Err(NotMade::Refused(error)) => return Err(refused(error)),
            Err(NotMade::Unsynced(error)) => return Err(self.stop(&error)),
        };
        let full = std::mem::replace(&mut self.open, next);
        self.closed.push(Closed { bytes: full.length, ..full.segment });
        self.kept.set(&self.closed);
        self.kept.open_is(self.open.length);
        Ok(())
    }

    /// Takes back a write that did not go through, as when the disk is full.
    fn undo(&mut self, error: io::Error) -> AppendError {
        match self.open.file.cut(self.open.length) {
            Ok(()) => refused(error),
            Err(worse) => self.stop(&worse),
        }
    }

    fn stop(&mut self, error: &io::Error) -> AppendError {
        self.stopped = true;
        tracing::error!(error = %error, "the log has stopped: restart this process; everything acknowledged is safe");
        AppendError::Stopped
    }

    /// Removes segments of which every tenant's last frame is at or below its watermark. The open one is closed for it, and when it
    /// is old: what was sent shall not lie in a log that has no use for it, when it may have been erased.
    fn trim(&mut self, watermarks: &[(TenantId, u64)]) {
        let mut lowest = HashMap::<TenantId, u64>::new();
        for (tenant, mark) in watermarks {
            lowest.entry(*tenant).and_modify(|lowest| *lowest = (*lowest).min(*mark)).or_insert(*mark);
        }
        let done = |segment: &Closed| {
            segment.last.iter().all(|(tenant, last)| lowest.get(tenant).is_some_and(|mark| mark >= last))
        };
        let is_old = self.open.made.elapsed() >= Duration::from_secs(self.config.segment_age_max_s);
        if !self.stopped && !self.open.segment.last.is_empty() && (is_old || done(&self.open.segment)) {
            // When that fails there is a next trim, and an append that fails says so itself.
            let _ = self.roll();
        }
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.closed).into_iter().partition(done);
        self.closed = kept;
        self.kept.set(&self.closed);
        for segment in gone {
            // What cannot be removed now is tried again at the next start.
            if let Err(error) = self.folder.disk.remove(&segment.path) {
                tracing::warn!(error = %error, "a log segment that is no longer needed could not be removed");
            }
        }
        let _ = self.folder.disk.sync_dir(&self.folder.path);
    }
}

fn refused(error: io::Error) -> AppendError {
    tracing::warn!(error = %error, "the log could not be written; clients are told to try again");
    AppendError::Write(Arc::new(error))
}

/// What waits for the thread.
struct Queue<P> {
    commands: mpsc::Receiver<Command<P>>,
    coming: Arc<Coming>,
    /// Wakes the thread.
    waker: Waker,
}

/// A trim's watermarks.
type Trims = Vec<Vec<(TenantId, u64)>>;

impl<P> Queue<P> {
    /// Whoever queued up during the last sync shares the next one, and so does who was announced and comes in time.
    fn batch(&mut self, first: Command<P>, config: &Config) -> (Batch<P>, Trims) {
        let mut batch = Batch::default();
        let mut trims = batch.take(first);
        let until = Instant::now() + Duration::from_micros(config.batch_wait_us);
        while batch.bytes() < config.batch_bytes_max
            && let Some(command) = self.next(until, &batch)
        {
            trims.extend(batch.take(command));
        }
        (batch, trims)
    }

    /// The next command; none when the queue is empty and nobody is on the way, or nobody came until then.
    fn next(&mut self, until: Instant, batch: &Batch<P>) -> Option<Command<P>> {
        loop {
            // First, so that one who arrives between the two is in the queue.
            let is_any_coming = self.coming.is_any();
            match self.commands.poll_recv(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(command) => return command,
                Poll::Pending if !is_any_coming || batch.appends.is_empty() => return None,
                Poll::Pending => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            std::thread::park_timeout(left);
        }
    }
}

/// Appends that share one sync.
struct Batch<P> {
    appends: Vec<Append<P>>,
    bytes: usize,
}

impl<P> Default for Batch<P> {
    fn default() -> Self {
        Self { appends: Vec::new(), bytes: 0 }
    }
}

impl<P> Batch<P> {
    /// Takes an append in; hands a trim back, to be done after.
    fn take(&mut self, command: Command<P>) -> Trims {
        match command {
            Command::Append(append) => {
                self.bytes += append.sealed.len();
                self.appends.push(*append);
                Vec::new()
            }
            Command::Trim(watermarks) => vec![watermarks],
        }
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn refuse(self, error: &AppendError) {
        for append in self.appends {
            let _ = append.done.send(Err(error.clone()));
        }
    }
}
