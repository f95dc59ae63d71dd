//! `crash`: a server that is killed at random keeps every promise it made.
//!
//! ```text
//! start ─▶ look at what the last life touched, and at some of before ─▶ send again what nobody answered, and some of before
//!   ▲                                                                                        │
//!   └── sometimes killed while starting, too ◀── SIGKILL at a random moment ◀── several connections send
//! ```
//! An acknowledged span must be there once, in the list of spans, in the sums over traces and in the export; a span that was
//! sent and not acknowledged may be there once or not at all; nothing else may be there. The settings make flushes and merges
//! happen all the time. The seed decides when to kill and what to send again; what the server is doing at that moment is
//! not ours to repeat, so a failing folder stays.

mod check;
mod load;
mod promises;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use self::check::{Checker, Findings};
use self::load::{Sender, join};
use self::promises::{Promises, Slot};
use crate::account::sign_up;
use crate::cli;
use crate::client::reader;
use crate::clock::now_nanos;
use crate::random::Draw;
use crate::report::{Percentiles, rounded};
use crate::server::{self, Server, Setting};

/// Flushes, rolls of the log and merges happen all the time, so that a kill meets every moment of them.
const SETTINGS: [Setting; 13] = [
    ("SPANLAKE_INGEST__FLUSH_BYTES", "600000"),
    ("SPANLAKE_INGEST__FLUSH_AGE_S", "1"),
    ("SPANLAKE_INGEST__FLUSH_SMALL_BYTES", "0"),
    ("SPANLAKE_INGEST__FLUSH_CHECK_MS", "20"),
    ("SPANLAKE_INGEST__LOG__SEGMENT_BYTES_MAX", "400000"),
    ("SPANLAKE_COMPACTOR__LEAST_FILES", "3"),
    ("SPANLAKE_COMPACTOR__LOOK_INTERVAL_S", "1"),
    ("SPANLAKE_COMPACTOR__LINGERING_S", "5"),
    ("SPANLAKE_COMPACTOR__TARGET_BYTES", "4000000"),
    // A killed compactor's lease and its orphans are soon taken over.
    ("SPANLAKE_COMPACTOR__LEASE_S", "2"),
    ("SPANLAKE_COMPACTOR__RETRY_S", "1"),
    ("SPANLAKE_COMPACTOR__ORPHAN_AGE_S", "30"),
    ("SPANLAKE_COMPACTOR__ORPHAN_INTERVAL_S", "2"),
];
/// A life under load lasts so long at most.
const LIFE_MAX_MS: u64 = 500;
/// A start that is cut short is cut within this time.
const START_MAX_MS: u64 = 400;
/// So many starts are cut short: a merge begins with the start, so that this is where most of them are hit.
const CUT_STARTS: f64 = 0.3;
/// Acknowledged batches that are sent again in each life.
const AGAIN: usize = 6;
/// Batches of before, whose slots are looked at in each life.
const BEFORE: usize = 2;

/// What `crash` prints.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    seed: u64,
    cycles: u64,
    /// Killed while starting, beside the kill under load that each cycle has.
    cut_starts: u64,
    acknowledged_spans: u64,
    /// Batches without an answer when the server was killed, sent again after.
    unanswered_batches: u64,
    /// Acknowledged batches that were sent again.
    resent_batches: u64,
    /// Rows read back and compared, all ways together.
    checked_spans: u64,
    lost: u64,
    doubled: u64,
    foreign: u64,
    /// How far the sums over traces were from the number of spans.
    miscounted: u64,
    ready_ms: Percentiles,
    /// Data files that came, by flushes and merges, and that went, by merges.
    files_written: u64,
    files_removed: u64,
    seconds: f64,
    /// Why the run ended early, if it did.
    failure: Option<String>,
    examples: Vec<String>,
    /// Kept when something was wrong: the server's data and its log.
    folder: Option<PathBuf>,
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.failure.is_none() && self.lost + self.doubled + self.foreign + self.miscounted == 0
    }
}

/// Kills until all cycles are done or something is wrong. What is wrong is in the report.
///
/// # Errors
/// The run cannot begin: no binary, no folder.
pub(crate) async fn run(args: &cli::Crash) -> Result<Report> {
    let begun = Instant::now();
    let binary = server::binary(args.server.as_deref())?;
    let now = now_nanos();
    let seed = args.seed.unwrap_or(now);
    let folder = args.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = folder.join(format!("spanlake-crash-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut run = Run {
        binary,
        folder: folder.clone(),
        ready_within: args.ready_within,
        draw: Draw::new(seed),
        promises: Arc::new(Promises::new(seed, args.batch as usize, args.cycles, now)?),
        connections: args.connections,
        key: None,
        findings: Findings::default(),
        files: BTreeSet::new(),
        ready_micros: Vec::new(),
        report: Report { seed, ..Report::default() },
    };
    let bound = args.timeout.unwrap_or(Duration::from_secs(60 + 10 * args.cycles));
    let outcome = timeout(bound, run.cycles(args.cycles, args.full_every)).await;
    let outcome = outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("not done in {bound:?}")));
    let mut report = run.finish(outcome.err().map(|error| format!("{error:#}")));
    report.seconds = rounded(begun.elapsed().as_secs_f64());
    if report.is_clean() {
        std::fs::remove_dir_all(&folder)?;
    } else {
        report.folder = Some(folder);
    }
    Ok(report)
}

/// A run under way.
struct Run {
    binary: PathBuf,
    folder: PathBuf,
    ready_within: Duration,
    draw: Draw,
    promises: Arc<Promises>,
    connections: u64,
    key: Option<String>,
    findings: Findings,
    /// Data files there at the last start.
    files: BTreeSet<PathBuf>,
    ready_micros: Vec<u32>,
    report: Report,
}

impl Run {
    async fn cycles(&mut self, cycles: u64, full_every: u64) -> Result<()> {
        let mut touched = BTreeSet::new();
        for cycle in 0..cycles {
            let (server, sender) = self.start().await?;
            let everything = cycle > 0 && cycle % full_every == 0;
            self.check(&sender, if everything { self.everything() } else { touched }).await?;
            touched = self.live(server, &sender, cycle).await?;
            self.report.cycles += 1;
            if !self.findings.is_clean() {
                return Ok(());
            }
        }
        let (server, sender) = self.start().await?;
        sender.again(&self.promises.unanswered()).await?;
        self.check(&sender, self.everything()).await?;
        server.kill()
    }

    fn everything(&self) -> BTreeSet<Slot> {
        self.promises.slots(0..self.promises.count())
    }

    /// Starts the server, now and then after a start that is cut short.
    async fn start(&mut self) -> Result<(Server, Sender)> {
        while self.draw.chance(CUT_STARTS) {
            let server = Server::start(&self.binary, &self.folder, &SETTINGS)?;
            sleep(Duration::from_millis(self.draw.between(0, START_MAX_MS))).await;
            server.kill().context("while starting")?;
            self.report.cut_starts += 1;
        }
        let mut server = Server::start(&self.binary, &self.folder, &SETTINGS)?;
        let ready = server.ready(self.ready_within).await?;
        self.ready_micros.push(u32::try_from(ready.took.as_micros()).unwrap_or(u32::MAX));
        self.count_files()?;
        let key = match &self.key {
            Some(key) => key.clone(),
            None => self.key.insert(sign_up(&ready.http, "load").await?).clone(),
        };
        let (connections, promises) = (self.connections, self.promises.clone());
        Ok((server, Sender { base: ready.http, key, connections, promises }))
    }

    /// One life: what nobody answered and some of before is sent again, then new batches until the kill. Answers the slots
    /// that were written to.
    async fn live(&mut self, server: Server, sender: &Sender, cycle: u64) -> Result<BTreeSet<Slot>> {
        let unanswered = self.promises.unanswered();
        let before = self.promises.some_acknowledged(&mut self.draw, AGAIN);
        self.report.unanswered_batches += unanswered.len() as u64;
        self.report.resent_batches += before.len() as u64;
        let again: Vec<u64> = before.into_iter().chain(unanswered).collect();
        sender.again(&again).await?;

        let first = self.promises.count();
        let stopped = Arc::new(AtomicBool::new(false));
        let connections = sender.begin(cycle, &stopped, &mut self.draw)?;
        sleep(Duration::from_millis(self.draw.between(0, LIFE_MAX_MS))).await;
        stopped.store(true, Ordering::SeqCst);
        server.kill()?;
        join(connections).await?;
        Ok(self.promises.slots(again.into_iter().chain(first..self.promises.count())))
    }

    /// Reads `slots` and a few of before; the export of one of them.
    async fn check(&mut self, sender: &Sender, mut slots: BTreeSet<Slot>) -> Result<()> {
        let before = self.promises.some_acknowledged(&mut self.draw, BEFORE);
        slots.extend(self.promises.slots(before));
        let checker = Checker { client: reader(&sender.key)?, base: sender.base.clone() };
        let exported = self.draw.between(0, slots.len().saturating_sub(1) as u64) as usize;
        for (index, (slot, expected)) in self.promises.expected(&slots).into_iter().enumerate() {
            checker.lists(slot, &expected, &mut self.findings).await?;
            if index == exported {
                checker.export(slot, &expected, &mut self.findings).await?;
            }
        }
        Ok(())
    }

    fn count_files(&mut self) -> Result<()> {
        let files: BTreeSet<_> = server::files(&server::data(&self.folder), "parquet")?.into_iter().collect();
        self.report.files_written += files.difference(&self.files).count() as u64;
        self.report.files_removed += self.files.difference(&files).count() as u64;
        self.files = files;
        Ok(())
    }

    fn finish(self, failure: Option<String>) -> Report {
        let found = self.findings;
        Report {
            acknowledged_spans: self.promises.acknowledged_spans(),
            checked_spans: found.checked_spans,
            lost: found.lost,
            doubled: found.doubled,
            foreign: found.foreign,
            miscounted: found.miscounted,
            examples: found.examples,
            ready_ms: Percentiles::of_micros(self.ready_micros),
            failure,
            ..self.report
        }
    }
}
