//! Appends that are on their way share a sync with those that wait; and nobody waits for nobody.

use std::sync::Arc;

use futures::future::join_all;
use spanlake_model::{SystemEntropy, WriterId};
use spanlake_store::log::{self, Config, Log};
use spanlake_testkit::disk::Change;
use spanlake_testkit::{SimulatedDisk, TemporaryFolder};

use crate::ledger::Ledger;

/// Longer than any test may take: whoever waits so long hangs.
const FOR_EVER_US: u64 = 3_600_000_000;

struct Started {
    log: Log<()>,
    disk: SimulatedDisk,
    _folder: TemporaryFolder,
}

fn start(batch_wait_us: u64) -> Started {
    let folder = TemporaryFolder::in_memory("batching");
    let disk = SimulatedDisk::new(folder.path());
    let writer = WriterId::from_bytes([1; 16]);
    let opened = log::open(folder.path(), Arc::new(disk.clone()), Arc::new(SystemEntropy), || writer).unwrap();
    let recovered = opened.recover(|_| {}).unwrap();
    let log = Log::start(opened, recovered, Config { batch_wait_us, ..Config::default() }, |_, ()| {}).unwrap();
    Started { log, disk, _folder: folder }
}

impl Started {
    fn syncs(&self) -> usize {
        self.disk.syncs().iter().filter(|sync| !sync.is_folder && sync.changes.contains(&Change::Appended)).count()
    }
}

fn frame() -> log::Frame {
    Ledger::default().frame(1, vec![1; 20])
}

#[tokio::test]
async fn appends_that_were_announced_share_one_sync() {
    let started = start(FOR_EVER_US);
    let before = started.syncs();
    let announced: Vec<_> = (0..8).map(|_| started.log.announce()).collect();
    let appends = announced.into_iter().map(|announced| {
        let log = started.log.clone();
        // A task each: they come one after the other.
        tokio::spawn(async move { log.append(announced, frame(), ()).await.unwrap() })
    });
    let sequences: Vec<_> = join_all(appends).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(started.syncs() - before, 1);
}

#[tokio::test]
async fn a_lone_append_waits_for_nobody() {
    let started = start(FOR_EVER_US);
    let before = started.syncs();
    for sequence in 1..=3 {
        assert_eq!(started.log.append(started.log.announce(), frame(), ()).await.unwrap(), sequence);
    }
    assert_eq!(started.syncs() - before, 3);
}

#[tokio::test]
async fn an_announced_request_that_comes_to_nothing_lets_the_others_go() {
    let started = start(FOR_EVER_US);
    let refused = started.log.announce();
    let append = started.log.append(started.log.announce(), frame(), ());
    let (sequence, ()) = futures::join!(append, async { drop(refused) });
    assert_eq!(sequence.unwrap(), 1);
}

#[tokio::test]
async fn nobody_waits_longer_than_configured_for_one_that_does_not_come() {
    for wait_us in [0, 1_000] {
        let started = start(wait_us);
        let _late = started.log.announce();
        assert_eq!(started.log.append(started.log.announce(), frame(), ()).await.unwrap(), 1);
    }
}
