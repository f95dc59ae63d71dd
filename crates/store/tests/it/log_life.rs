//! The log through several lives of a machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::join_all;
use spanlake_model::{TenantId, WriterId};
use spanlake_store::disk::Disk as _;
use spanlake_store::log::{self, Config, FolderError, Log, LogFolder};
use spanlake_testkit::disk::Sync;
use spanlake_testkit::{Dice, SeededEntropy, SimulatedDisk, TemporaryFolder};

use crate::ledger::{Broken, Ledger, ensure};

const LIVES: usize = 4;
const STEPS: usize = 12;

/// Several lives of one log, each ended at any operation by the end of the process or of the power.
pub(crate) async fn live(seed: u64, ignored: impl Fn(&Sync) -> bool + Send + 'static) -> Result<(), Broken> {
    let folder = TemporaryFolder::in_memory("log-life");
    let mut world = World {
        dice: Dice::new(seed),
        disk: SimulatedDisk::new(folder.path()),
        path: folder.path().join("data/log"),
        ledger: Ledger::default(),
    };
    world.disk.ignore(ignored);
    for _ in 0..LIVES {
        let operations = 1 + world.dice.below(60) as u64;
        world.disk.stop_after(operations, world.dice.number());
        world.live_once().await?;
        world.disk =
            if world.dice.chance(25) { world.disk.killed() } else { world.disk.power_loss(world.dice.number()) };
    }
    world.live_once().await
}

struct World {
    dice: Dice,
    disk: SimulatedDisk,
    path: PathBuf,
    ledger: Ledger,
}

impl World {
    /// From a start until the disk stops, or there is nothing more to do.
    async fn live_once(&mut self) -> Result<(), Broken> {
        let Some(log) = self.start()? else { return Ok(()) };
        for _ in 0..STEPS {
            if self.disk.is_stopped() {
                return Ok(());
            }
            if self.dice.chance(20) { self.trim(&log).await? } else { self.append(&log).await? }
        }
        Ok(())
    }

    /// None when the disk stopped before the log ran.
    fn start(&mut self) -> Result<Option<Log<()>>, Broken> {
        let Some(folder) = self.open()? else { return Ok(None) };
        self.ledger.opened(folder.writer())?;
        let mut frames = Vec::new();
        let recovered = match folder.recover(|frame| frames.push(frame)) {
            Ok(recovered) => recovered,
            Err(error) => return self.excuse(&error),
        };
        self.ledger.recovered(&frames, &recovered)?;
        let config = Config { segment_bytes_max: 600, ..Config::default() };
        match Log::start(folder, recovered, config, |_, ()| {}) {
            Ok(log) => Ok(Some(log)),
            Err(error) => self.excuse(&error),
        }
    }

    fn open(&self) -> Result<Option<LogFolder>, Broken> {
        loop {
            let writer = WriterId::from_bytes(self.dice.noise(16).try_into().expect("sixteen"));
            match log::open(
                &self.path,
                Arc::new(self.disk.clone()),
                Arc::new(SeededEntropy::new(self.dice.number())),
                || writer,
            ) {
                Ok(folder) => return Ok(Some(folder)),
                // The thread of the life before has not noticed its end yet.
                Err(FolderError::InUse(_)) => std::thread::yield_now(),
                Err(error) => return self.excuse(&error),
            }
        }
    }

    /// Only a disk that stopped may keep the log from starting.
    fn excuse<T>(&self, error: &dyn std::error::Error) -> Result<Option<T>, Broken> {
        ensure(self.disk.is_stopped(), || format!("the log does not start: {error:?}"))?;
        Ok(None)
    }

    /// A few appends at once.
    async fn append(&mut self, log: &Log<()>) -> Result<(), Broken> {
        let frames: Vec<_> = (0..=self.dice.below(3)).map(|_| self.frame()).collect();
        let answers = join_all(frames.iter().map(|frame| log.append(log.announce(), frame.clone(), ()))).await;
        for (frame, answer) in frames.into_iter().zip(answers) {
            match answer {
                Ok(sequence) => self.ledger.acknowledged(sequence, frame)?,
                Err(error) => drop(self.excuse::<()>(&error)?),
            }
        }
        Ok(())
    }

    fn frame(&mut self) -> log::Frame {
        let length = if self.dice.chance(20) { 700 } else { self.dice.below(90) };
        self.ledger.frame(1 + u8::from(self.dice.chance(50)), self.dice.noise(length))
    }

    /// Trims somewhere, and waits until that has happened.
    async fn trim(&mut self, log: &Log<()>) -> Result<(), Broken> {
        let watermark = self.dice.below(self.ledger.highest() as usize + 1) as u64;
        self.ledger.trimmed(watermark);
        log.trim([1, 2].map(|tenant| (TenantId::from_bytes([tenant; 16]), watermark)).to_vec()).await;
        // The first append may share the trim's turn; when the second is answered, the trim is over.
        self.append(log).await?;
        self.append(log).await?;
        if !self.disk.is_stopped() {
            self.ledger.gone_below(first_sequence(&self.disk, &self.path));
        }
        Ok(())
    }
}

/// Of the oldest segment that is left.
fn first_sequence(disk: &SimulatedDisk, folder: &Path) -> u64 {
    let segments = disk.list(folder).unwrap();
    let sequence = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok();
    segments.iter().filter(|path| path.extension().is_some_and(|e| e == "log")).find_map(sequence).unwrap_or(0)
}
