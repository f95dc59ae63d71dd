//! The write-ahead log: acknowledged means it is in here and durable.
//!
//! ```text
//!   announce ┄┄┐ (a batch waits a moment for what was announced)
//!   append ─► queue (bounded) ─► one thread: number ─ write ─ fdatasync ─ apply in order ─► each append's receipt
//!                                            └── all that wait share one sync
//! ```
//!
//! Segments are files `<first sequence>.log` in one folder, which one process holds at a time. A frame carries its
//! length, a CRC-32C, its sequence, and whether everything before it was durable when it was written. Broken bytes of the
//! newest segment that no later frame calls durable are a write that never finished: they are taken out. Anywhere else
//! they are damage: skipped up to the next sound frame, counted, and a copy of the segment kept aside. Nothing that a
//! checksum does not vouch for is ever served.
//!
//! Invariants
//! - Sequences rise by one, from 1, over all restarts.
//! - `apply` runs in sequence order, after the sync and before the receipt.
//! - After a failed sync nothing is acknowledged again by this process: what the kernel did with the bytes is unknown.
//! - A failed write (a full disk) leaves no trace: the file is cut back, the append is refused, the next may succeed.

mod coming;
mod folder;
mod frame;
mod kept;
mod segment;
mod thread;

pub use coming::Announced;
pub use folder::{FolderError, LogFolder};
pub use frame::{Compression, Encoding, Frame};
pub use kept::Size;
pub use segment::{Damage, FORMAT_VERSION, Recovered};

use std::sync::Arc;

use spanlake_model::{Entropy, TenantId, WriterId};
use tokio::sync::{mpsc, oneshot};

use self::coming::Coming;
use crate::disk::Disk;

/// Settings of the log.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A segment is closed at this size.
    pub segment_bytes_max: u64,
    /// A segment with frames is closed this many seconds after it was made, so that what was sent does not lie there for as long as
    /// others keep sending little.
    pub segment_age_max_s: u64,
    /// Appends that may wait for the disk; more are refused with "unavailable".
    pub queue_max: usize,
    /// Bytes one sync may cover.
    pub batch_bytes_max: usize,
    /// How long a sync waits, in microseconds, for requests that are being decoded and could share it. It never waits when
    /// there are none, so a lone sender loses nothing; 0 never waits.
    pub batch_wait_us: u64,
    /// `none`, or `zstd` for a disk that takes less than about 200 MB/s.
    pub compression: Compression,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_bytes_max: 64 << 20,
            segment_age_max_s: 900,
            queue_max: 1_024,
            batch_bytes_max: 8 << 20,
            batch_wait_us: 1_000,
            compression: Compression::None,
        }
    }
}

/// Why a frame was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// As many appends wait as may.
    #[error("the log's queue is full")]
    Busy,
    /// The disk did not take it; nothing of it stays.
    #[error("the log could not be written")]
    Write(#[source] Arc<std::io::Error>),
    /// A sync failed, now or before: this process acknowledges nothing any more.
    #[error("the log failed to sync and has stopped")]
    Stopped,
}

/// An append on its way: the frame but for its sequence, and what to apply once it is durable.
struct Append<P> {
    tenant: TenantId,
    sealed: frame::Sealed,
    payload: P,
    done: oneshot::Sender<Result<u64, AppendError>>,
}

enum Command<P> {
    Append(Box<Append<P>>),
    /// Remove closed segments whose every tenant is at or below its watermark.
    Trim(Vec<(TenantId, u64)>),
}

/// A handle on the running log. Dropping the last one ends its thread after what is queued.
pub struct Log<P> {
    queue: mpsc::Sender<Command<P>>,
    coming: Arc<Coming>,
    kept: Arc<kept::Kept>,
    compression: Compression,
}

impl<P> Clone for Log<P> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            coming: self.coming.clone(),
            kept: self.kept.clone(),
            compression: self.compression,
        }
    }
}

impl<P: Send + 'static> Log<P> {
    /// Starts the log after [`LogFolder::recover`]. `apply` is called on the log's thread with each durable frame's
    /// sequence and payload, in order; it must be quick, everyone waits for it.
    ///
    /// # Errors
    /// When the thread or the first segment cannot be made.
    pub fn start(
        folder: LogFolder,
        recovered: Recovered,
        config: Config,
        apply: impl FnMut(u64, P) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, commands) = mpsc::channel(config.queue_max);
        let (coming, compression) = (Arc::new(Coming::default()), config.compression);
        let kept = Arc::default();
        thread::spawn(folder, recovered, config, commands, coming.clone(), Arc::clone(&kept), apply)?;
        Ok(Self { queue, coming, kept, compression })
    }

    /// Says that an append is being prepared, so that a batch may wait for it a moment.
    pub fn announce(&self) -> Announced {
        self.coming.announce()
    }

    /// Appends a frame that was announced and waits until it is durable and applied; answers its sequence.
    ///
    /// Once this is called the frame may become durable even if the future is dropped.
    ///
    /// # Errors
    /// See [`AppendError`]; after any of them the frame is not in the log, except that [`AppendError::Stopped`] cannot know.
    pub async fn append(&self, announced: Announced, frame: Frame, payload: P) -> Result<u64, AppendError> {
        let (done, receipt) = oneshot::channel();
        let append = Append { tenant: frame.tenant, sealed: frame.seal(self.compression), payload, done };
        let command = Command::Append(Box::new(append));
        self.queue.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AppendError::Busy,
            mpsc::error::TrySendError::Closed(_) => AppendError::Stopped,
        })?;
        // It is in the queue: whoever waits for it finds it there.
        drop(announced);
        receipt.await.unwrap_or(Err(AppendError::Stopped))
    }

    /// Which frames keep the log longer than `bytes_max`: all up to this sequence lie in closed segments beyond it; 0 when there are none.
    pub fn sequence_beyond(&self, bytes_max: u64) -> u64 {
        self.kept.beyond(bytes_max)
    }

    /// How much log there is.
    pub fn size(&self) -> Size {
        self.kept.size()
    }

    /// Removes closed segments that are wholly in data files: every tenant in them is at or below its watermark here.
    pub async fn trim(&self, watermarks: Vec<(TenantId, u64)>) {
        // A log that has stopped trims at its next start.
        let _ = self.queue.send(Command::Trim(watermarks)).await;
    }
}

/// Opens the log's folder for this process alone. `new_writer` names it when it is new; `entropy` salts its segments.
///
/// # Errors
/// See [`FolderError`].
pub fn open(
    path: &std::path::Path,
    disk: Arc<dyn Disk>,
    entropy: Arc<dyn Entropy>,
    new_writer: impl FnOnce() -> WriterId,
) -> Result<LogFolder, FolderError> {
    LogFolder::open(path, disk, entropy, new_writer)
}

#[cfg(test)]
mod tests;
