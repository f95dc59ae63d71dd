use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use spanlake_model::{AppId, SystemEntropy, Timestamp};

use super::*;
use crate::disk::LocalDisk;

/// A folder of its own, removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("spanlake-log-{}-{number}", std::process::id())))
    }
    fn folder(&self) -> LogFolder {
        open(&self.0, Arc::new(LocalDisk), Arc::new(SystemEntropy), || WriterId::from_bytes([1; 16])).unwrap()
    }
    fn newest(&self) -> PathBuf {
        LocalDisk.list(&self.0).unwrap().into_iter().rfind(|path| path.extension().is_some_and(|e| e == "log")).unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn frame(tenant: u8, body: &[u8]) -> Frame {
    Frame {
        sequence: 0,
        tenant: TenantId::from_bytes([tenant; 16]),
        app: AppId::from_bytes([2; 16]),
        agent: None,
        received_at: Timestamp::from_secs(9),
        encoding: Encoding::OtlpJson,
        rejected: vec![0, 7],
        body: Bytes::copy_from_slice(body),
    }
}

/// What was applied, in order.
type Applied = Arc<Mutex<Vec<(u64, &'static str)>>>;

/// A started log, the frames it found, and what it found wrong.
struct Started {
    log: Log<&'static str>,
    frames: Vec<Frame>,
    torn_bytes: u64,
    damage: Vec<Damage>,
    applied: Applied,
}

fn start(folder: LogFolder, config: Config) -> Started {
    let mut frames = Vec::new();
    let recovered = folder.recover(|frame| frames.push(frame)).unwrap();
    let (torn_bytes, damage) = (recovered.torn_bytes, recovered.damage.clone());
    let applied = Applied::default();
    let seen = applied.clone();
    let apply = move |sequence, payload| seen.lock().unwrap().push((sequence, payload));
    let log = Log::start(folder, recovered, config, apply).unwrap();
    Started { log, frames, torn_bytes, damage, applied }
}

/// The log's thread lets go of its folder soon after the last handle is dropped.
fn reopen(temporary: &Temporary) -> LogFolder {
    loop {
        match open(&temporary.0, Arc::new(LocalDisk), Arc::new(SystemEntropy), || {
            unreachable!("the folder has a writer")
        }) {
            Ok(folder) => return folder,
            Err(FolderError::InUse(_)) => std::thread::yield_now(),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn what_was_appended_comes_back_in_order_after_a_restart() {
    let temporary = Temporary::new();
    let Started { log, applied, .. } = start(temporary.folder(), Config::default());
    let long = vec![b'x'; 100_000];
    assert_eq!(log.append(log.announce(), frame(1, b"one"), "a").await.unwrap(), 1);
    assert_eq!(log.append(log.announce(), frame(2, &long), "b").await.unwrap(), 2);
    assert_eq!(*applied.lock().unwrap(), [(1, "a"), (2, "b")]);
    drop(log);
    let Started { log, frames, torn_bytes, damage, .. } = start(reopen(&temporary), Config::default());
    assert_eq!(frames[0], Frame { sequence: 1, ..frame(1, b"one") });
    assert_eq!(frames[1], Frame { sequence: 2, ..frame(2, &long) });
    assert_eq!((torn_bytes, damage), (0, vec![]));
    assert_eq!(log.append(log.announce(), frame(1, b"three"), "c").await.unwrap(), 3, "sequences go on");
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused() {
    let temporary = Temporary::new();
    let held = temporary.folder();
    assert!(matches!(
        open(&temporary.0, Arc::new(LocalDisk), Arc::new(SystemEntropy), || held.writer()),
        Err(FolderError::InUse(_))
    ));
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_nothing_before_it_is_lost() {
    let temporary = Temporary::new();
    let Started { log, .. } = start(temporary.folder(), Config::default());
    log.append(log.announce(), frame(1, b"whole"), "a").await.unwrap();
    drop(log);
    drop(reopen(&temporary));
    let path = temporary.newest();
    let sound = std::fs::read(&path).unwrap();
    for torn in [&b"\x01"[..], &[0; 64], &[0xff; 64]] {
        std::fs::write(&path, [&sound[..], torn].concat()).unwrap();
        let mut frames = 0;
        let recovered = reopen(&temporary).recover(|_| frames += 1).unwrap();
        assert_eq!((frames, recovered.torn_bytes), (1, torn.len() as u64));
        assert_eq!(std::fs::read(&path).unwrap(), sound);
    }
}

#[tokio::test]
async fn a_broken_frame_among_sound_ones_is_skipped_counted_and_kept_aside() {
    let temporary = Temporary::new();
    let Started { log, .. } = start(temporary.folder(), Config::default());
    for body in [&b"first"[..], b"second", b"third"] {
        log.append(log.announce(), frame(1, body), "").await.unwrap();
    }
    drop(log);
    drop(reopen(&temporary));
    let path = temporary.newest();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(6).position(|window| window == b"second").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let mut bodies = Vec::new();
    let recovered = reopen(&temporary).recover(|frame| bodies.push(frame.body)).unwrap();
    assert_eq!(bodies, [&b"first"[..], b"third"]);
    assert_eq!(recovered.damage.len(), 1);
    assert_eq!(std::fs::read(&recovered.damage[0].path).unwrap(), bytes);
}

#[tokio::test]
async fn a_segment_goes_when_every_tenant_in_it_is_in_files_and_not_before() {
    let temporary = Temporary::new();
    let Started { log, .. } = start(temporary.folder(), Config { segment_bytes_max: 1, ..Config::default() });
    log.append(log.announce(), frame(1, b"x"), "").await.unwrap();
    log.append(log.announce(), frame(2, b"y"), "").await.unwrap();
    let (one, two) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
    log.trim(vec![(one, 0), (two, 1)]).await;
    log.trim(vec![(one, 1)]).await;
    log.append(log.announce(), frame(1, b"z"), "").await.unwrap();
    drop(log);
    let mut sequences = Vec::new();
    reopen(&temporary).recover(|frame| sequences.push(frame.sequence)).unwrap();
    assert_eq!(sequences, [2, 3]);
}

#[tokio::test]
async fn an_idle_start_does_not_make_the_next_ones_segment_removable() {
    let temporary = Temporary::new();
    drop(start(temporary.folder(), Config::default()));
    let Started { log, .. } = start(reopen(&temporary), Config::default());
    log.trim(vec![]).await;
    log.append(log.announce(), frame(1, b"kept"), "").await.unwrap();
    log.trim(vec![]).await;
    log.append(log.announce(), frame(1, b"too"), "").await.unwrap();
    drop(log);
    let mut bodies = Vec::new();
    reopen(&temporary).recover(|frame| bodies.push(frame.body)).unwrap();
    assert_eq!(bodies, [&b"kept"[..], b"too"]);
}

#[tokio::test]
async fn a_sound_segment_of_another_writer_stops_the_start_and_is_left_alone() {
    let temporary = Temporary::new();
    let Started { log, .. } = start(temporary.folder(), Config::default());
    log.append(log.announce(), frame(1, b"theirs"), "").await.unwrap();
    drop(log);
    drop(reopen(&temporary));
    std::fs::write(temporary.0.join("writer"), WriterId::from_bytes([2; 16]).to_string()).unwrap();
    let before = std::fs::read(temporary.newest()).unwrap();
    let refused = reopen(&temporary).recover(|_| panic!("nothing of it is read"));
    assert!(matches!(refused, Err(FolderError::Foreign { .. })));
    assert_eq!(std::fs::read(temporary.newest()).unwrap(), before);
}

/// A disk whose writes or syncs fail when told to.
struct Failing {
    write: Arc<Mutex<bool>>,
    sync: Arc<Mutex<bool>>,
}

struct FailingFile(Box<dyn crate::disk::DiskFile>, Arc<Mutex<bool>>, Arc<Mutex<bool>>);

impl crate::disk::DiskFile for FailingFile {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if *self.1.lock().unwrap() {
            self.0.append(&bytes[..bytes.len() / 2])?;
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0.append(bytes)
    }
    fn sync(&mut self) -> std::io::Result<()> {
        if *self.2.lock().unwrap() { Err(std::io::ErrorKind::Other.into()) } else { self.0.sync() }
    }
    fn cut(&mut self, length: u64) -> std::io::Result<()> {
        self.0.cut(length)
    }
}

impl Disk for Failing {
    fn create(&self, path: &std::path::Path) -> std::io::Result<Box<dyn crate::disk::DiskFile>> {
        Ok(Box::new(FailingFile(LocalDisk.create(path)?, self.write.clone(), self.sync.clone())))
    }
    fn open(&self, path: &std::path::Path) -> std::io::Result<Box<dyn crate::disk::DiskFile>> {
        LocalDisk.open(path)
    }
    fn read(&self, path: &std::path::Path) -> std::io::Result<Vec<u8>> {
        LocalDisk.read(path)
    }
    fn list(&self, folder: &std::path::Path) -> std::io::Result<Vec<PathBuf>> {
        LocalDisk.list(folder)
    }
    fn rename(&self, from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
        LocalDisk.rename(from, to)
    }
    fn remove(&self, path: &std::path::Path) -> std::io::Result<()> {
        LocalDisk.remove(path)
    }
    fn link(&self, from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
        LocalDisk.link(from, to)
    }
    fn is_folder(&self, path: &std::path::Path) -> bool {
        LocalDisk.is_folder(path)
    }
    fn make_folder(&self, folder: &std::path::Path) -> std::io::Result<()> {
        LocalDisk.make_folder(folder)
    }
    fn free_bytes(&self, folder: &std::path::Path) -> std::io::Result<u64> {
        LocalDisk.free_bytes(folder)
    }
    fn sync_dir(&self, folder: &std::path::Path) -> std::io::Result<()> {
        LocalDisk.sync_dir(folder)
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_but_a_failed_sync_stops_for_good() {
    let temporary = Temporary::new();
    let (write, sync) = (Arc::new(Mutex::new(false)), Arc::new(Mutex::new(false)));
    let disk = Failing { write: write.clone(), sync: sync.clone() };
    let folder = open(&temporary.0, Arc::new(disk), Arc::new(SystemEntropy), || WriterId::from_bytes([1; 16])).unwrap();
    let Started { log, applied, .. } = start(folder, Config::default());
    *write.lock().unwrap() = true;
    assert!(matches!(log.append(log.announce(), frame(1, b"no room"), "").await, Err(AppendError::Write(_))));
    *write.lock().unwrap() = false;
    assert_eq!(log.append(log.announce(), frame(1, b"room"), "kept").await.unwrap(), 1);
    *sync.lock().unwrap() = true;
    assert!(matches!(log.append(log.announce(), frame(1, b"unsure"), "").await, Err(AppendError::Stopped)));
    *sync.lock().unwrap() = false;
    assert!(matches!(log.append(log.announce(), frame(1, b"too late"), "").await, Err(AppendError::Stopped)));
    assert_eq!(*applied.lock().unwrap(), [(1, "kept")]);
    drop(log);
    let mut bodies = Vec::new();
    reopen(&temporary).recover(|frame| bodies.push(frame.body)).unwrap();
    assert_eq!(bodies[0], &b"room"[..]);
}

#[tokio::test]
async fn a_segment_that_is_old_goes_though_another_tenant_sends_on() {
    let temporary = Temporary::new();
    let Started { log, .. } = start(temporary.folder(), Config { segment_age_max_s: 0, ..Config::default() });
    let (one, two) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
    log.append(log.announce(), frame(1, b"x"), "").await.unwrap();
    log.append(log.announce(), frame(2, b"y"), "").await.unwrap();
    log.trim(vec![(one, 1), (two, 0)]).await;
    // A trim is done after the appends that it shares a batch with.
    while log.sequence_beyond(0) < 2 {
        tokio::task::yield_now().await;
    }
    log.append(log.announce(), frame(1, b"later"), "").await.unwrap();
    log.trim(vec![(one, 1), (two, 2)]).await;
    log.append(log.announce(), frame(1, b"last"), "").await.unwrap();
    drop(log);
    let mut bodies = Vec::new();
    reopen(&temporary).recover(|frame| bodies.push(frame.body)).unwrap();
    assert_eq!(bodies, [&b"later"[..], b"last"]);
}

#[tokio::test]
async fn of_writes_that_were_cut_off_only_the_last_few_are_kept_and_nothing_else_of_their_segments() {
    let temporary = Temporary::new();
    drop(start(temporary.folder(), Config::default()));
    for _ in 0..12 {
        let Started { log, .. } = start(reopen(&temporary), Config::default());
        log.append(log.announce(), frame(1, b"kept"), "").await.unwrap();
        drop(log);
        let newest = temporary.newest();
        let mut bytes = std::fs::read(&newest).unwrap();
        bytes.extend_from_slice(b"half a write");
        std::fs::write(&newest, bytes).unwrap();
    }
    let recovered = reopen(&temporary).recover(|_| {}).unwrap();
    assert_eq!((recovered.last_sequence, recovered.torn_bytes), (12, 12));
    let mut kept = LocalDisk.list(&temporary.0).unwrap();
    kept.retain(|path| path.extension().is_some_and(|end| end == "torn"));
    assert_eq!(kept.len(), 8);
    assert!(kept.iter().all(|path| std::fs::read(path).unwrap() == b"half a write"));
}

#[tokio::test]
async fn a_start_knows_when_the_latest_frame_was_received() {
    let temporary = Temporary::new();
    let Started { log, .. } = start(temporary.folder(), Config::default());
    for seconds in [50, 70, 60] {
        let at = Timestamp::from_secs(seconds);
        log.append(log.announce(), Frame { received_at: at, ..frame(1, b"x") }, "").await.unwrap();
    }
    drop(log);
    let recovered = reopen(&temporary).recover(|_| {}).unwrap();
    assert_eq!(recovered.last_received, Some(Timestamp::from_secs(70)));
}
