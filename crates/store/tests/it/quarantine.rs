//! What a start of the log tells others: whose it is, and where it put a damaged segment.

use std::path::Path;
use std::sync::Arc;

use spanlake_model::{SystemEntropy, WriterId};
use spanlake_store::disk::Disk as _;
use spanlake_store::log::{self, Config, FolderError, Log, LogFolder};
use spanlake_testkit::disk::Sync;
use spanlake_testkit::{Dice, SimulatedDisk, TemporaryFolder};

use crate::ledger::{Broken, Ledger, ensure};

/// More steps than opening and recovering have.
const STEPS: usize = 16;

fn open(disk: &SimulatedDisk, folder: &Path, dice: &Dice) -> Result<LogFolder, FolderError> {
    let writer = WriterId::from_bytes(dice.noise(16).try_into().unwrap());
    loop {
        match log::open(folder, Arc::new(disk.clone()), Arc::new(SystemEntropy), || writer) {
            Err(FolderError::InUse(_)) => std::thread::yield_now(),
            outcome => return outcome,
        }
    }
}

/// The process ends at any step, or the power goes, and in the next start.
fn end(disk: &SimulatedDisk, dice: &Dice) -> SimulatedDisk {
    if dice.chance(50) { disk.killed() } else { disk.power_loss(dice.number()) }
}

/// A writer's id that a start answered is the id of every later one.
pub(crate) async fn tell_writer(seed: u64, ignored: impl Fn(&Sync) -> bool + Send + 'static) -> Result<(), Broken> {
    let (dice, folder) = (Dice::new(seed), TemporaryFolder::in_memory("writer"));
    let mut disk = SimulatedDisk::new(folder.path());
    disk.ignore(ignored);
    disk.stop_after(dice.below(STEPS) as u64, dice.number());
    let mut told = open(&disk, folder.path(), &dice).ok().map(|opened| opened.writer());
    for _ in 0..2 {
        disk = end(&disk, &dice);
        let writer = open(&disk, folder.path(), &dice).map_err(|error| format!("{error:?}"))?.writer();
        let before = *told.get_or_insert(writer);
        ensure(before == writer, || format!("the log was {before}'s and is {writer}'s"))?;
    }
    Ok(())
}

/// A copy of a damaged segment that a start answered stays, whole.
pub(crate) async fn keep_copy(seed: u64, ignored: impl Fn(&Sync) -> bool + Send + 'static) -> Result<(), Broken> {
    let (dice, folder) = (Dice::new(seed), TemporaryFolder::in_memory("copy"));
    let mut disk = SimulatedDisk::new(folder.path());
    write(&disk, folder.path(), &dice).await?;
    disk.ignore(ignored);
    disk = disk.killed();
    let segment = folder.path().join("00000000000000000001.log");
    disk.damage(&segment, |bytes| bytes[100] ^= 1);
    let damaged = disk.read(&segment).map_err(|error| error.to_string())?;
    disk.stop_after(dice.below(STEPS) as u64, dice.number());
    // May stop anywhere.
    drop(open(&disk, folder.path(), &dice).map(|opened| opened.recover(|_| {}).is_ok()));
    disk = end(&disk, &dice);
    let opened = open(&disk, folder.path(), &dice).map_err(|error| format!("{error:?}"))?;
    let recovered = opened.recover(|_| {}).map_err(|error| format!("{error:?}"))?;
    ensure(recovered.damage.len() == 1, || format!("one hole: {:?}", recovered.damage))?;
    let disk = disk.power_loss(dice.number());
    let copy = disk.read(&recovered.damage[0].path).map_err(|error| format!("the copy is gone: {error}"))?;
    ensure(copy == damaged, || "the copy is not whole".to_owned())
}

/// A log of several segments.
async fn write(disk: &SimulatedDisk, folder: &Path, dice: &Dice) -> Result<(), Broken> {
    let opened = open(disk, folder, dice).map_err(|error| format!("{error:?}"))?;
    let recovered = opened.recover(|_| {}).map_err(|error| format!("{error:?}"))?;
    let config = Config { segment_bytes_max: 200, ..Config::default() };
    let log = Log::start(opened, recovered, config, |_, ()| {}).map_err(|error| error.to_string())?;
    let mut ledger = Ledger::default();
    for _ in 0..6 {
        let frame = ledger.frame(1, vec![5; 60]);
        log.append(log.announce(), frame, ()).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}
