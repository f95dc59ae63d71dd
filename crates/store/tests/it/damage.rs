//! Bytes of the log that rot: flipped, zeroed, overwritten or cut off, anywhere.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spanlake_model::{SystemEntropy, WriterId};
use spanlake_store::disk::Disk as _;
use spanlake_store::log::{self, Config, FolderError, Frame, Log, LogFolder, Recovered};
use spanlake_testkit::{Dice, SimulatedDisk, TemporaryFolder};

use crate::ledger::{Broken, Ledger, ensure};
use crate::seeds;

const USUAL_SEEDS: u64 = 150;
/// Two copies of a header.
const HEADER: usize = 80;

#[tokio::test]
async fn only_frames_whose_bytes_rotted_are_lost_and_they_are_counted_and_none_is_served_changed() {
    for seed in seeds(USUAL_SEEDS) {
        assert_eq!(rot(seed).await, Ok(()), "again with SPANLAKE_TEST_SEED={seed}");
    }
}

async fn rot(seed: u64) -> Result<(), Broken> {
    let (dice, folder) = (Dice::new(seed), TemporaryFolder::in_memory("damage"));
    let written = write(&dice, folder.path()).await;
    let segments = segments(folder.path());
    let damaged = &segments[dice.below(segments.len())];
    let is_newest = damaged == segments.last().unwrap();
    let before = std::fs::read(damaged).unwrap();
    let mut after = before.clone();
    (0..=dice.below(2)).for_each(|_| damage(&dice, &mut after));
    std::fs::write(damaged, &after).unwrap();

    let (served, recovered) = recover(folder.path());
    let hurt = hurt(&before, &after);
    for (sequence, frame) in &written {
        let is_there = served.get(sequence).is_some_and(|served| served == frame);
        ensure(is_there || hurt.contains(sequence), || format!("frame {sequence} is lost, and its bytes are whole"))?;
    }
    ensure(served.iter().all(|(sequence, frame)| written.get(sequence) == Some(frame)), || "made up".to_owned())?;
    let lost = (written.len() - served.len()) as u64;
    let counted = recovered.frames_damaged();
    ensure(counted <= lost, || format!("{lost} frames are lost and {counted} counted"))?;
    let is_said = counted > 0 || (is_newest && recovered.torn_bytes > 0) || before.starts_with(&after);
    ensure(lost == 0 || is_said, || format!("{lost} frames are lost and nobody says so"))?;
    for damage in &recovered.damage {
        ensure(std::fs::read(&damage.path).unwrap() == after, || "no copy is kept".to_owned())?;
    }
    goes_on(folder.path(), &served).await
}

/// The next start finds the same, and the log takes more.
async fn goes_on(folder: &Path, served: &BTreeMap<u64, Frame>) -> Result<(), Broken> {
    let (again, _) = recover(folder);
    ensure(again == *served, || "a second start serves something else".to_owned())?;
    let log = start(folder);
    let frame = Ledger::default().frame(1, vec![7; 30]);
    let sequence = log.append(log.announce(), frame, ()).await.map_err(|error| error.to_string())?;
    ensure(served.keys().all(|earlier| *earlier < sequence), || "a sequence is used again".to_owned())?;
    drop(log);
    let (after, _) = recover(folder);
    ensure(after.len() == served.len() + 1 && after.contains_key(&sequence), || "the log does not go on".to_owned())
}

/// A log of several segments.
async fn write(dice: &Dice, folder: &Path) -> BTreeMap<u64, Frame> {
    let (log, mut ledger, mut written) = (start(folder), Ledger::default(), BTreeMap::new());
    for _ in 0..8 {
        let length = |dice: &Dice| if dice.chance(20) { 900 } else { dice.below(80) };
        let frames: Vec<_> = (0..=dice.below(4)).map(|_| ledger.frame(1, dice.noise(length(dice)))).collect();
        let appends = frames.iter().map(|frame| log.append(log.announce(), frame.clone(), ()));
        for (frame, sequence) in frames.iter().zip(futures::future::join_all(appends).await) {
            let sequence = sequence.unwrap();
            written.insert(sequence, Frame { sequence, ..frame.clone() });
        }
    }
    drop(log);
    drop(open(folder));
    written
}

fn open(folder: &Path) -> LogFolder {
    loop {
        let writer = WriterId::from_bytes([1; 16]);
        match log::open(folder, Arc::new(SimulatedDisk::new(folder)), Arc::new(SystemEntropy), || writer) {
            Ok(folder) => return folder,
            Err(FolderError::InUse(_)) => std::thread::yield_now(),
            Err(other) => panic!("{other}"),
        }
    }
}

fn start(folder: &Path) -> Log<()> {
    let opened = open(folder);
    let recovered = opened.recover(|_| {}).unwrap();
    Log::start(opened, recovered, Config { segment_bytes_max: 1_500, ..Config::default() }, |_, ()| {}).unwrap()
}

fn recover(folder: &Path) -> (BTreeMap<u64, Frame>, Recovered) {
    let mut served = BTreeMap::new();
    let recovered = open(folder).recover(|frame| drop(served.insert(frame.sequence, frame))).unwrap();
    (served, recovered)
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut files = SimulatedDisk::new(folder).list(folder).unwrap();
    files.retain(|path| path.extension().is_some_and(|e| e == "log"));
    files
}

fn damage(dice: &Dice, bytes: &mut Vec<u8>) {
    let start = dice.below(bytes.len().max(1));
    let length = [1, 4, 40, 300][dice.below(4)].min(bytes.len() - start);
    match dice.below(4) {
        0 if length > 0 => bytes[start] ^= 1 << dice.below(8),
        1 => bytes[start..start + length].fill(0),
        2 => bytes[start..start + length].copy_from_slice(&dice.noise(length)),
        _ => bytes.truncate(start),
    }
}

/// The sequences of the frames whose bytes, or whose whole header, are not what they were.
fn hurt(before: &[u8], after: &[u8]) -> Vec<u64> {
    let is_whole = |range: Range<usize>| after.get(range.clone()) == before.get(range);
    let is_header_lost = !is_whole(0..HEADER / 2) && !is_whole(HEADER / 2..HEADER);
    let (mut hurt, mut at) = (Vec::new(), HEADER);
    while at < before.len() {
        let length = 8 + u32::from_le_bytes(before[at..at + 4].try_into().unwrap()) as usize;
        if is_header_lost || !is_whole(at..at + length) {
            hurt.push(u64::from_le_bytes(before[at + 8..at + 16].try_into().unwrap()));
        }
        at += length;
    }
    hurt
}
