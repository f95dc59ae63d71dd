//! One story with a plan of faults, told to its end by clients, an init system and a clock that do not give up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use futures::TryStreamExt;
use spanlake_catalog::{Erasures as _, Files as _};
use spanlake_model::{Clock as _, FaultKind, Table, TimeRange, Timestamp};
use spanlake_store::Store;
use spanlake_testkit::otlp;

use super::catalog::FaultyCatalog;
use super::disk::FaultyDisk;
use super::objects::FaultyObjects;
use super::plan::{Faults, Plan, Point, Process};
use crate::oracle::reader::{Reader, is_old_or_new};
use crate::oracle::truth::{Number, Truth, Version};
use crate::world::{Keep, Outside, WRITERS, World};

const ROLES: [&str; 3] = ["writer 0", "writer 1", "compactor"];
const COMPACTOR: usize = 2;
/// Looks, two days apart, after which a compactor must be done: leases and pauses end, orphans are found, then deleted.
const LOOKS: usize = 4;
/// How often something is tried before it is said not to work any more.
const TRIES: usize = 6;
/// Failures in a row after which an init system starts a process again that is still there.
const PATIENCE: usize = 2;

/// A span of a batch, and whether it has ended.
type Draft = (u8, bool);

#[derive(Clone, Copy, Debug)]
enum Act {
    Start(usize),
    Send(usize, &'static [Draft]),
    /// The batch that was sent as this many before the last.
    SendAgain(usize, usize),
    Flush(usize),
    Compact,
    Pass(u64),
    /// The trace of this span is deleted.
    Delete(u8),
    /// Drains, ends, and starts again.
    Restart(usize),
    /// Ends without a word.
    Crash(usize),
}

const STORY: &[Act] = &[
    Act::Start(0),
    Act::Start(1),
    Act::Send(0, &[(0, true), (1, true), (2, false), (3, true)]),
    Act::Send(1, &[(5, true), (6, false), (7, true)]),
    Act::SendAgain(0, 1),
    Act::Flush(0),
    Act::Flush(1),
    // Finished, corrected, and one that must not win.
    Act::Send(0, &[(2, true), (0, true), (3, false)]),
    Act::Send(1, &[(6, true), (5, false), (8, true)]),
    Act::Flush(1),
    Act::Crash(0),
    Act::Start(0),
    Act::SendAgain(0, 1),
    Act::Flush(0),
    Act::Compact,
    Act::Send(0, &[(1, true), (9, true), (5, true)]),
    Act::Delete(6),
    Act::Restart(0),
    Act::SendAgain(1, 2),
    Act::Crash(1),
    Act::Start(1),
    Act::Flush(1),
    Act::Compact,
    Act::Pass(11),
    Act::Compact,
];

/// Tells the story; answers all calls made in it. Panics, with the plan, when it does not end well.
pub(crate) fn run(keep: Keep, plan: Plan) -> Vec<Point> {
    println!("{keep:?} {plan:?}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut run = Run::begin(keep, plan).await;
        for act in STORY {
            run.take(*act).await;
        }
        let points = run.faults.called();
        run.end().await;
        points
    })
}

/// How trying something ended.
enum Tried {
    Done,
    Failed(String),
    Ended,
}

struct Batch {
    versions: Vec<(Number, Version)>,
    bytes: Vec<u8>,
}

struct Run {
    world: Arc<World>,
    faults: Arc<Faults>,
    /// More than one fault is planned, so that what is done meanwhile may itself fail.
    is_crowded: bool,
    processes: [Arc<Process>; 3],
    truth: Truth,
    sent: Vec<Batch>,
    versions: u64,
    /// What is being sent.
    to_come: Vec<(Number, Version)>,
}

impl Run {
    async fn begin(keep: Keep, plan: Plan) -> Self {
        let is_crowded = plan.len() > 1;
        let world = Arc::new(World::new(1, keep).await);
        let faults = Faults::new(plan);
        let processes = ROLES.map(|who| Process::new(&faults, who));
        let (sent, to_come) = (Vec::new(), Vec::new());
        Self { world, faults, is_crowded, processes, truth: Truth::default(), sent, versions: 0, to_come }
    }

    /// What a process works with.
    fn outside(&self, role: usize) -> Outside {
        let process = self.processes[role].clone();
        let disk = Arc::new(FaultyDisk(process.clone()));
        let store = match &self.world.objects {
            Some(objects) => Store::over(Arc::new(FaultyObjects { inner: objects.clone(), process: process.clone() })),
            None => self.world.folder_store(disk.clone()),
        };
        let catalog = Arc::new(FaultyCatalog { inner: self.world.catalog.clone(), process });
        Outside { catalog, store, disk }
    }

    /// Does it, however often it takes, and looks.
    async fn take(&mut self, act: Act) {
        match act {
            Act::Start(writer) => self.insist(act, Deed::Start(writer)).await,
            Act::Flush(writer) => self.insist(act, Deed::Flush(writer)).await,
            Act::Compact => self.insist(act, Deed::Compact).await,
            Act::Pass(minutes) => self.world.clock.advance(Duration::from_secs(minutes * 60)),
            Act::Crash(writer) => self.stop(writer),
            Act::Delete(number) => self.delete(act, Number(number)).await,
            Act::Restart(writer) => {
                self.insist(act, Deed::Drain(writer)).await;
                self.stop(writer);
                self.insist(act, Deed::Start(writer)).await;
            }
            Act::Send(writer, drafts) => {
                let batch = self.write(drafts);
                self.send(act, writer, batch).await;
            }
            Act::SendAgain(writer, back) => {
                self.send(act, writer, self.sent.len() - 1 - back.min(self.sent.len() - 1)).await
            }
        }
        self.look(act).await;
    }

    /// Deletes while all writers are up, asking again when told so.
    async fn delete(&mut self, act: Act, like: Number) {
        let path = format!("/v1/traces/{}", like.trace());
        for _ in 0..TRIES {
            let reader = Reader { world: &self.world, holder: 0 };
            let (status, answer) = self.ask(reader.ask(Method::DELETE, &path, Body::empty())).await;
            if status == StatusCode::NO_CONTENT {
                self.truth.erase(|number| number.trace() == like.trace());
                return;
            }
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
            self.revive_ended(act).await;
        }
        panic!("nothing can be deleted any more");
    }

    fn write(&mut self, drafts: &[Draft]) -> usize {
        let mut version = |is_finished| {
            self.versions += 1;
            Version::of(0, self.versions, is_finished)
        };
        let versions: Vec<_> = drafts.iter().map(|(number, ended)| (Number(*number), version(*ended))).collect();
        let bytes = otlp::protobuf(versions.iter().map(|(number, version)| version.to_otlp(*number)).collect());
        self.sent.push(Batch { versions, bytes });
        self.sent.len() - 1
    }

    async fn send(&mut self, act: Act, writer: usize, batch: usize) {
        let Batch { versions, bytes } = &self.sent[batch];
        let deed = Deed::Send(writer, bytes.clone());
        self.to_come = versions.clone();
        self.insist(act, deed).await;
        let received_at = self.world.clock.now();
        for (number, version) in std::mem::take(&mut self.to_come) {
            self.truth.take(number, version, received_at);
        }
    }

    /// Tries until it is done. A process that has ended, or fails again and again, is started again.
    async fn insist(&mut self, act: Act, deed: Deed) {
        let mut failures = Vec::new();
        for _ in 0..TRIES {
            match self.attempt(&deed).await {
                Tried::Done => return,
                Tried::Ended => self.revive(act, &deed).await,
                Tried::Failed(why) => {
                    failures.push(why);
                    if failures.len().is_multiple_of(PATIENCE) {
                        self.stop(deed.role());
                        self.revive(act, &deed).await;
                    }
                }
            }
        }
        panic!("{act:?} does not work any more: {failures:#?}");
    }

    async fn attempt(&mut self, deed: &Deed) -> Tried {
        let process = self.processes[deed.role()].clone();
        let doing = deed.clone().run(self.world.clone(), self.outside(deed.role()));
        let mut task = tokio::spawn(doing);
        tokio::select! {
            biased;
            () = process.ended() => {
                task.abort();
                let _ = task.await;
                return Tried::Ended;
            }
            done = &mut task => return tried(done.unwrap()),
            () = self.faults.stalled() => {}
        }
        self.meanwhile(deed).await;
        let done = task.await.unwrap();
        if process.has_ended() { Tried::Ended } else { tried(done) }
    }

    /// The process is no more; what it held in memory is gone.
    fn stop(&mut self, role: usize) {
        self.processes[role].end();
        if role < COMPACTOR {
            self.world.crash_writer(role);
        }
        self.processes[role] = Process::new(&self.faults, ROLES[role]);
    }

    /// Starts again what has ended, unless starting it is what is to be done next.
    async fn revive(&mut self, act: Act, deed: &Deed) {
        let role = deed.role();
        self.stop(role);
        if role == COMPACTOR || matches!(deed, Deed::Start(_)) {
            return;
        }
        Box::pin(self.insist(act, Deed::Start(role))).await;
    }

    /// Somebody is held up: the others go on, and a query begins that may have to wait.
    async fn meanwhile(&mut self, held_up: &Deed) {
        let (world, before) = (self.world.clone(), self.truth.rows());
        let reading = tokio::spawn(async move { Reader { world: &world, holder: 0 }.rows().await });
        let mut to_come = self.to_come.clone();
        for writer in (0..WRITERS).filter(|writer| *writer != held_up.role()) {
            if let Some(service) = self.world.writers.get(writer) {
                to_come.extend(self.send_more(writer).await);
                service.flush().await.unwrap();
            }
        }
        self.world.compact(&self.world.outside()).await.unwrap();
        self.faults.release();
        match reading.await.unwrap() {
            Ok(seen) => is_old_or_new(&seen, &before, &to_come),
            Err(fault) => assert_eq!(fault.kind(), FaultKind::Unavailable, "{held_up:?}: {fault}"),
        }
    }

    /// What nobody else sends.
    async fn send_more(&mut self, writer: usize) -> Vec<(Number, Version)> {
        let fresh = u8::try_from(40 + writer).unwrap();
        self.write(&[(fresh, true), (fresh + 4, false)]);
        // The story counts its batches from the last.
        let Batch { versions, bytes } = self.sent.pop().unwrap();
        self.world.send(writer, 0, &bytes).await.unwrap();
        for (number, version) in &versions {
            self.truth.take(*number, version.clone(), self.world.clock.now());
        }
        versions
    }

    /// Everything acknowledged is seen once, and nothing else but what is being sent. While a writer is down, nobody is
    /// told a part of it for the whole; who is told to ask again does so.
    async fn look(&mut self, act: Act) {
        for _ in 0..TRIES {
            let reader = Reader { world: &self.world, holder: 0 };
            match self.ask(reader.rows()).await {
                Ok(seen) => return is_old_or_new(&seen, &self.truth.rows(), &self.to_come),
                Err(fault) => assert_eq!(fault.kind(), FaultKind::Unavailable, "{act:?}: {fault}"),
            }
            if (0..WRITERS).any(|writer| self.world.writers.get(writer).is_none()) {
                return;
            }
            self.revive_ended(act).await;
        }
        panic!("after {act:?} no query is answered any more");
    }

    /// A query, whose calls may be held up like any others.
    async fn ask<T>(&self, question: impl Future<Output = T>) -> T {
        let mut question = std::pin::pin!(question);
        loop {
            tokio::select! {
                biased;
                answer = &mut question => return answer,
                () = self.faults.stalled() => self.faults.release(),
            }
        }
    }

    async fn revive_ended(&mut self, act: Act) {
        for writer in 0..WRITERS {
            if self.processes[writer].has_ended() {
                self.stop(writer);
                self.insist(act, Deed::Start(writer)).await;
            }
        }
    }

    /// After everything: once more from the disks alone, then taking more, then clean.
    async fn end(mut self) {
        let left = self.faults.left();
        assert!(left.is_empty() || self.is_crowded, "the story never came to {left:?}");
        self.faults.end();
        self.is_complete().await;
        for writer in 0..WRITERS {
            self.stop(writer);
            self.insist(Act::Start(writer), Deed::Start(writer)).await;
        }
        self.is_complete().await;
        for writer in 0..WRITERS {
            self.take(Act::Send(writer, &[(0, true), (30, true)])).await;
            self.take(Act::Flush(writer)).await;
        }
        self.is_complete().await;
        for _ in 0..LOOKS {
            self.take(Act::Compact).await;
            self.take(Act::Pass(2 * 24 * 60)).await;
        }
        self.is_complete().await;
        self.is_clean().await;
    }

    async fn is_complete(&self) {
        let reader = |holder| Reader { world: &self.world, holder };
        assert_eq!(reader(0).rows().await.unwrap(), self.truth.rows(), "everything acknowledged, once");
        assert!(reader(1).rows().await.unwrap().is_empty(), "another tenant sees nothing of it");
    }

    /// In the store is what the catalog knows, and nothing else.
    async fn is_clean(&self) {
        let tenant = self.world.holders[0].caller.tenant();
        let live = self.world.catalog.snapshot(tenant, Table::Spans, TimeRange::all()).await.unwrap().files;
        let end_of_time = Timestamp::from_nanos(i64::MAX);
        let mut removed = self.world.catalog.removable(end_of_time, Duration::ZERO, u32::MAX).await.unwrap();
        removed.extend(self.world.catalog.erased_removable(end_of_time, Duration::ZERO, u32::MAX).await.unwrap());
        let known: BTreeSet<_> =
            live.into_iter().map(|file| file.path).chain(removed.into_iter().map(|file| file.path)).collect();
        let objects = self.world.store.tenant(tenant);
        let stored: BTreeSet<_> =
            objects.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
        let lost: Vec<_> = known.difference(&stored).collect();
        assert!(lost.is_empty(), "the catalog knows files that are not there: {lost:?}");
        let orphans: Vec<_> = stored.difference(&known).collect();
        assert!(orphans.is_empty(), "files that nobody knows of stay: {orphans:?}");
    }
}

fn tried(outcome: Result<(), String>) -> Tried {
    match outcome {
        Ok(()) => Tried::Done,
        Err(why) => Tried::Failed(why),
    }
}

/// What a process does.
#[derive(Clone, Debug)]
enum Deed {
    Start(usize),
    Send(usize, Vec<u8>),
    Flush(usize),
    Drain(usize),
    Compact,
}

impl Deed {
    fn role(&self) -> usize {
        match self {
            Self::Start(writer) | Self::Send(writer, _) | Self::Flush(writer) | Self::Drain(writer) => *writer,
            Self::Compact => COMPACTOR,
        }
    }

    async fn run(self, world: Arc<World>, outside: Outside) -> Result<(), String> {
        let up = |writer: usize| world.writers.get(writer).ok_or_else(|| "the writer is down".to_owned());
        match self {
            Self::Start(writer) => world.start_writer(writer, &outside).await.map_err(|error| told(&error)),
            Self::Flush(writer) => up(writer)?.flush().await.map_err(|error| told(&error)),
            Self::Drain(writer) => up(writer)?.drain().await.map_err(|error| told(&error)),
            Self::Compact => world.compact(&outside).await.map(drop).map_err(|fault| fault.to_string()),
            Self::Send(writer, bytes) => match world.send(writer, 0, &bytes).await {
                Ok(accepted) if accepted.receipt.is_some() && accepted.rejected == 0 => Ok(()),
                Ok(accepted) => panic!("taken in part: {accepted:?}"),
                Err(fault) => Err(fault.to_string()),
            },
        }
    }
}

/// With its causes.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
