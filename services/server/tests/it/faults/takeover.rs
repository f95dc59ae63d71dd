//! Answers that are lost where it matters most, and a writer that does not know that another has taken its place.

use std::sync::Arc;
use std::time::Duration;

use spanlake_ingest::Error;
use spanlake_model::{Clock as _, FaultKind};
use spanlake_testkit::{eventually, otlp};
use tokio_util::sync::CancellationToken;

use super::catalog::FaultyCatalog;
use super::disk::FaultyDisk;
use super::plan::{Call, Fault, Faults, Plan, Point, Process};
use crate::oracle::reader::Reader;
use crate::oracle::truth::{Number, Truth, Version};
use crate::world::{Keep, Outside, World};

const WHO: &str = "writer 0";

fn commits(faults: impl IntoIterator<Item = (u32, Fault)>) -> Plan {
    let point = |nth| Point { who: WHO, call: Call::changes("catalog.commit"), nth };
    faults.into_iter().map(|(nth, fault)| (point(nth), fault)).collect()
}

/// A world with one writer, whose catalog fails as planned.
struct Scene {
    world: World,
    process: Arc<Process>,
    faults: Arc<Faults>,
    truth: Truth,
    versions: u64,
}

impl Scene {
    async fn begin(plan: Plan) -> Self {
        let mut world = World::new(1, Keep::Memory).await;
        (world.config.flush_check_ms, world.config.flush_bytes) = (1, 1);
        let faults = Faults::new(plan);
        let process = Process::new(&faults, WHO);
        let scene = Self { world, process, faults, truth: Truth::default(), versions: 0 };
        scene.world.start_writer(0, &scene.outside()).await.unwrap();
        scene
    }

    fn outside(&self) -> Outside {
        let catalog = FaultyCatalog { inner: self.world.catalog.clone(), process: self.process.clone() };
        Outside { catalog: Arc::new(catalog), ..self.world.outside() }
    }

    /// Sends new versions of these spans, acknowledged.
    async fn send(&mut self, numbers: &[u8]) {
        self.versions += 1;
        let version = Version::of(0, self.versions, true);
        let spans = numbers.iter().map(|number| version.to_otlp(Number(*number))).collect();
        self.world.send(0, 0, &otlp::protobuf(spans)).await.unwrap();
        for number in numbers {
            self.truth.take(Number(*number), version.clone(), self.world.clock.now());
        }
    }

    async fn flush(&self) -> Result<(), Error> {
        self.world.writers.get(0).unwrap().flush().await
    }

    async fn is_seen_once(&self) {
        let seen = Reader { world: &self.world, holder: 0 }.rows().await.unwrap();
        assert_eq!(seen, self.truth.rows());
    }

    /// Another machine starts the writer on the same folder: of the lock that this one holds it knows nothing.
    async fn take_over(&self) {
        std::fs::remove_file(self.world.log_folder(0).join("lock")).unwrap();
        self.world.start_writer(0, &self.world.outside()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_asked_for_again_and_done_once() {
    let mut scene = Scene::begin(commits([(1, Fault::LoseReply)])).await;
    scene.send(&[0, 1, 2]).await;
    scene.flush().await.unwrap();
    assert!(scene.faults.left().is_empty());
    scene.is_seen_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_every_answer_was_lost_is_done_once_whatever_comes_after() {
    let lost = (1..=3).map(|nth| (nth, Fault::LoseReply));
    for crash in [false, true] {
        let mut scene = Scene::begin(commits(lost.clone())).await;
        scene.send(&[0, 1, 2]).await;
        scene.flush().await.unwrap_err();
        assert!(scene.faults.left().is_empty(), "every answer was lost");
        scene.is_seen_once().await;
        scene.send(&[0, 3]).await;
        scene.is_seen_once().await;
        if crash {
            scene.world.crash_writer(0);
            scene.world.start_writer(0, &scene.outside()).await.unwrap();
            scene.is_seen_once().await;
        }
        scene.flush().await.unwrap();
        scene.is_seen_once().await;
        scene.world.compact(&scene.world.outside()).await.unwrap();
        scene.is_seen_once().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_was_taken_over_while_it_commits_changes_nothing_and_takes_nothing_more() {
    let mut scene = Scene::begin(commits([(1, Fault::Stall)])).await;
    scene.send(&[0, 1, 2]).await;
    let first = scene.world.writers.get(0).unwrap();
    let flusher = {
        let first = first.clone();
        tokio::spawn(async move { first.run_flusher(CancellationToken::new()).await })
    };
    scene.faults.stalled().await;
    scene.take_over().await;
    scene.is_seen_once().await;
    scene.flush().await.unwrap();
    scene.is_seen_once().await;
    // What was on its way arrives, too late.
    scene.faults.release();
    tokio::time::timeout(Duration::from_secs(30), flusher).await.expect("it gives up").unwrap();
    scene.is_seen_once().await;
    // Requests still reach it.
    let second = scene.world.writers.put(0, Some(first));
    let refused = scene.world.send(0, 0, &otlp::protobuf(vec![])).await;
    let spans = vec![Version::of(0, 99, true).to_otlp(Number(9))];
    assert!(refused.is_err_and(|fault| fault.kind() == FaultKind::Unavailable));
    let refused = scene.world.send(0, 0, &otlp::protobuf(spans)).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Unavailable);
    scene.world.writers.put(0, second);
    scene.send(&[0, 4]).await;
    scene.is_seen_once().await;
    scene.flush().await.unwrap();
    scene.is_seen_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_whose_disk_went_to_another_acknowledges_nothing_and_its_flush_is_fenced() {
    let mut scene = Scene::begin(Plan::new()).await;
    scene.world.crash_writer(0);
    let disk = Arc::new(FaultyDisk(scene.process.clone()));
    scene.world.start_writer(0, &Outside { disk, ..scene.world.outside() }).await.unwrap();
    scene.send(&[0, 1, 2]).await;
    let first = scene.world.writers.get(0).unwrap();
    scene.process.end();
    scene.take_over().await;
    scene.is_seen_once().await;
    let second = scene.world.writers.put(0, Some(first.clone()));
    let spans = vec![Version::of(0, 99, true).to_otlp(Number(9))];
    let refused = scene.world.send(0, 0, &otlp::protobuf(spans)).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Unavailable);
    let fenced = first.flush().await.unwrap_err();
    assert!(matches!(fenced, Error::Catalog(spanlake_catalog::Error::Fenced { .. })), "{fenced}");
    scene.world.writers.put(0, second);
    scene.is_seen_once().await;
    scene.send(&[0, 4]).await;
    scene.flush().await.unwrap();
    scene.is_seen_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_held_is_refused_to_a_second_start_until_its_holder_is_gone() {
    let mut scene = Scene::begin(Plan::new()).await;
    scene.send(&[0, 1]).await;
    let held = scene.world.try_make_writer(0, &scene.world.outside()).await;
    assert!(matches!(held.map(drop), Err(Error::Folder(spanlake_store::log::FolderError::InUse(_)))));
    scene.is_seen_once().await;
    scene.world.crash_writer(0);
    let free = || async { scene.world.try_make_writer(0, &scene.world.outside()).await.ok() };
    let second = eventually("the folder is free", free).await;
    scene.world.writers.put(0, Some(second));
    scene.is_seen_once().await;
}
