//! A disk that fills up at any step, and has room again.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore as _, PutMode, PutOptions, PutPayload};
use spanlake_model::{SystemEntropy, TenantId, WriterId};
use spanlake_store::disk::{Disk as _, Space};
use spanlake_store::export::Outlet;
use spanlake_store::log::{self, AppendError, Config, Log, LogFolder};
use spanlake_store::{Store, file};
use spanlake_testkit::{SimulatedDisk, TemporaryFolder};

use crate::ledger::Ledger;

/// More steps than a few appends or a put have.
const STEPS: u64 = 30;

#[tokio::test]
async fn a_log_that_finds_no_room_at_any_step_refuses_loses_nothing_and_goes_on_when_there_is() {
    for step in 0..STEPS {
        let folder = TemporaryFolder::in_memory("full");
        let disk = SimulatedDisk::new(folder.path());
        let (log, mut ledger) = (start(open(&disk, &folder), &mut Ledger::default()), Ledger::default());
        disk.fill_after(step);
        let mut refused = 0;
        for _ in 0..10 {
            let frame = ledger.frame(1, vec![9; 60]);
            match log.append(log.announce(), frame.clone(), ()).await {
                Ok(sequence) => ledger.acknowledged(sequence, frame).unwrap(),
                Err(AppendError::Write(error)) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "step {step}");
                    refused += 1;
                }
                Err(other) => panic!("step {step}: {other}"),
            }
        }
        assert!(refused > 0 || step > 10, "step {step}");
        disk.make_room();
        for _ in 0..3 {
            let frame = ledger.frame(1, vec![8; 60]);
            ledger.acknowledged(log.append(log.announce(), frame.clone(), ()).await.unwrap(), frame).unwrap();
        }
        drop(start(open(&disk.power_loss(step), &folder), &mut ledger));
    }
}

fn open(disk: &SimulatedDisk, folder: &TemporaryFolder) -> LogFolder {
    let writer = WriterId::from_bytes([1; 16]);
    log::open(&folder.path().join("log"), Arc::new(disk.clone()), Arc::new(SystemEntropy), || writer).unwrap()
}

fn start(folder: LogFolder, ledger: &mut Ledger) -> Log<()> {
    let mut frames = Vec::new();
    let recovered = folder.recover(|frame| frames.push(frame)).unwrap();
    ledger.recovered(&frames, &recovered).unwrap();
    Log::start(folder, recovered, Config { segment_bytes_max: 400, ..Config::default() }, |_, ()| {}).unwrap()
}

#[tokio::test]
async fn an_object_that_finds_no_room_at_any_step_is_refused_leaves_nothing_and_is_taken_later() {
    for step in 0..STEPS {
        let folder = TemporaryFolder::in_memory("full");
        let disk = SimulatedDisk::new(folder.path());
        let url = format!("file:{}", folder.path().join("store").display());
        let store = Store::open(&spanlake_store::Config { url }, Arc::new(disk.clone())).unwrap();
        let tenant = TenantId::from_bytes([1; 16]);
        let path = Path::from(format!("t/{tenant}/spans/2026-01-01/a.parquet"));
        let put = || {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let objects = store.tenant(tenant);
            let path = path.clone();
            async move { objects.put_opts(&path, PutPayload::from_static(b"some rows"), options).await }
        };
        disk.fill_after(step);
        let was_refused = put().await.is_err();
        let day = folder.path().join(format!("store/t/{tenant}/spans/2026-01-01"));
        let left = disk.list(&day).map_or(0, |files| files.len());
        assert_eq!(left, usize::from(!was_refused), "step {step} leaves nothing half");
        disk.make_room();
        assert_eq!(put().await.is_err(), !was_refused, "step {step}: taken now, or there already");
        file::delete(store.tenant(tenant).as_ref(), path.as_ref()).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_of_an_export_that_finds_no_room_at_any_step_leaves_nothing_under_its_name() {
    // In one piece, and in parts.
    for length in [9, 9 << 20] {
        for step in 0..STEPS {
            let folder = TemporaryFolder::in_memory("full");
            let disk = SimulatedDisk::new(folder.path());
            let outlet = Outlet::folder(&folder.path().join("exports"), "e", Arc::new(disk.clone())).unwrap();
            let put = || outlet.put("run=000001/a.parquet", Bytes::from(vec![7; length]));
            disk.fill_after(step);
            let was_refused = put().await.is_err();
            disk.make_room();
            let there = outlet.get("run=000001/a.parquet").await.unwrap();
            assert_eq!(there.is_some(), !was_refused, "{length} bytes, step {step}");
            put().await.unwrap();
            let whole = outlet.get("run=000001/a.parquet").await.unwrap().unwrap();
            assert_eq!(whole.len(), length, "step {step}: taken now, or there already");
        }
    }
}

#[test]
fn a_disk_is_short_below_the_reserve_and_not_above_it() {
    let folder = TemporaryFolder::in_memory("space");
    let disk = SimulatedDisk::new(folder.path());
    let space = Space::new(Arc::new(disk.clone()), folder.path().to_owned(), 1);
    space.look();
    assert!(!space.is_short());
    disk.fill_after(0);
    assert!(!space.is_short(), "nobody has looked");
    space.look();
    assert!(space.is_short());
    disk.make_room();
    space.look();
    assert!(!space.is_short());
}
