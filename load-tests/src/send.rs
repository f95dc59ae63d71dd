//! `send`: as fast as the server acknowledges, or at a rate, and never without an end.
//!
//! ```text
//! generator threads ── queue, one batch per connection ──▶ connections ── request, answer, retries ──▶ ledger, tally
//!     └ wait when it is full                                  └ wait when it is empty: `starved_seconds`
//! ```
//! With a rate, a batch has a time at which it is due, and its latency counts from then: a server that stalls makes
//! the batches behind it late as well, as it would for real senders. Without a rate it counts from the first attempt.
//! Retries are inside the latency.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Serialize;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::batch::{Batch, Encoding, Pool};
use crate::cli;
use crate::client::{Client, Outcome, pause};
use crate::clock::now_nanos;
use crate::ledger::Ledger;
use crate::report::{Percentiles, Tally, rounded};
use crate::target;

/// Latencies are kept one by one: 4 bytes each.
const BATCHES_MAX: u64 = 20_000_000;
/// A connection that has given up so many batches stops.
const ERRORS_MAX: u64 = 3;
/// How long after the end a batch under way may still be acknowledged.
const GRACE: Duration = Duration::from_secs(60);

/// What `send` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    encoding: Encoding,
    gzip: bool,
    batch: u32,
    connections: u32,
    seed: u64,
    run: u64,
    /// What `--spans` asked for.
    spans_wanted: Option<u64>,
    /// Acknowledged, and not rejected.
    pub(crate) spans: u64,
    /// Of the acknowledged requests, before compression.
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    spans_per_second: f64,
    mb_per_second: f64,
    latency_ms: Percentiles,
    requests: std::collections::BTreeMap<String, u64>,
    pub(crate) errors: u64,
    pub(crate) retries: u64,
    pub(crate) rejected_spans: u64,
    messages: Vec<String>,
    /// In this encoding, before compression, with the span's share of the resource.
    average_span_bytes: f64,
    generator: Generator,
}

/// What the load itself cost, so that it is not mistaken for the server's limit.
#[derive(Debug, Serialize)]
struct Generator {
    threads: u32,
    pool_spans: u64,
    /// How often each text was sent.
    text_repeats: f64,
    /// Before the clock started.
    pool_seconds: f64,
    /// Spent on preparing batches, all threads together.
    busy_seconds: f64,
    /// Connections, all together, waited so long for a batch. Near 0: the server was the limit.
    starved_seconds: f64,
}

impl Report {
    /// What writing the batches took before the clock started.
    pub(crate) fn pool_seconds(&self) -> f64 {
        self.generator.pool_seconds
    }

    pub(crate) fn is_clean(&self) -> bool {
        let enough = self.spans_wanted.map_or(self.spans > 0, |wanted| self.spans == wanted);
        self.errors == 0 && self.rejected_spans == 0 && enough
    }
}

/// When a run is over, and how it is paced.
struct Plan {
    run: u64,
    batch: u64,
    /// Numbers from this one on are not sent.
    batches: u64,
    started: Instant,
    deadline: Instant,
    rate: Option<u32>,
    history: Option<Duration>,
    ago: Duration,
    retries: u32,
    gzip: bool,
}

impl Plan {
    fn new(args: &cli::Send, run: u64) -> Result<Self> {
        let batch = u64::from(args.batch);
        let batches = args.spans.map_or(u64::MAX, |spans| spans.div_ceil(batch)).min(BATCHES_MAX);
        ensure!(args.spans.is_none_or(|spans| spans <= BATCHES_MAX * batch), "too many batches: use a bigger --batch");
        let started = Instant::now();
        let default = if args.spans.is_some() { Duration::from_secs(600) } else { Duration::from_secs(10) };
        let deadline = started + args.duration.unwrap_or(default);
        let (rate, history, ago) = (args.rate, args.history, args.ago.unwrap_or_default());
        let (retries, gzip) = (args.retries, args.gzip);
        Ok(Self { run, batch, batches, started, deadline, rate, history, ago, retries, gzip })
    }

    /// What a batch takes for now: now, or its place in the history.
    fn moment(&self, number: u64) -> u64 {
        let still_to_come = 1.0 - (number + 1) as f64 / self.batches as f64;
        let place = self.history.map(|history| history.mul_f64(still_to_come.max(0.0))).unwrap_or_default();
        now_nanos().saturating_sub((self.ago + place).as_nanos() as u64)
    }

    fn due(&self, number: u64) -> Option<Instant> {
        let rate = self.rate?;
        Some(self.started + Duration::from_secs_f64((number * self.batch) as f64 / f64::from(rate)))
    }
}

/// Sends until the plan is done.
pub(crate) async fn run(args: &cli::Send) -> Result<Report> {
    let base = match args.encoding {
        Encoding::Grpc => target::parse(&args.grpc, args.target.allow_remote)?,
        Encoding::Protobuf | Encoding::Json => target::parse(&args.target.url, args.target.allow_remote)?,
    };
    let ledger = args.ledger.as_deref().map(Ledger::append_to).transpose()?.map(Arc::new);
    let before = Instant::now();
    let batches = Batches::write(args).await?;
    let pool_seconds = before.elapsed().as_secs_f64();

    let run = args.run.unwrap_or_else(now_nanos);
    let plan = Arc::new(Plan::new(args, run)?);
    let (queue, generators) = generate(Arc::clone(&batches), Arc::clone(&plan), args);
    let mut connections = JoinSet::new();
    for _ in 0..args.connections {
        // gRPC compresses in its client; HTTP bodies come compressed from the generator.
        let client = Client::new(&base, &args.target.key, args.encoding, args.gzip)?;
        let connection =
            Connection { client, queue: Arc::clone(&queue), plan: Arc::clone(&plan), ledger: ledger.clone() };
        connections.spawn(connection.run());
    }
    let mut total = Tally::default();
    while let Some(tally) = connections.join_next().await {
        total.add(tally.context("a connection panicked")??);
    }
    let seconds = plan.started.elapsed().as_secs_f64();
    drop(queue);
    let mut busy = Duration::ZERO;
    for generator in generators {
        busy += tokio::task::spawn_blocking(|| generator.join())
            .await?
            .map_err(|_| anyhow!("a generator thread panicked"))??;
    }
    let generator = Generator {
        threads: args.generators,
        pool_spans: batches.pool.spans(),
        text_repeats: rounded(total.spans as f64 / batches.pool.spans() as f64),
        pool_seconds: rounded(pool_seconds),
        busy_seconds: rounded(busy.as_secs_f64()),
        starved_seconds: rounded(total.starved_seconds),
    };
    Ok(report(args, run, seconds, total, batches.pool.average_span_bytes(), generator))
}

fn report(args: &cli::Send, run: u64, seconds: f64, total: Tally, average: f64, generator: Generator) -> Report {
    Report {
        encoding: args.encoding,
        gzip: args.gzip,
        batch: args.batch,
        connections: args.connections,
        seed: args.seed,
        run,
        spans_wanted: args.spans,
        spans: total.spans,
        bytes: total.body_bytes,
        seconds: rounded(seconds),
        spans_per_second: (total.spans as f64 / seconds).round(),
        mb_per_second: rounded(total.body_bytes as f64 / seconds / 1e6),
        latency_ms: Percentiles::of_micros(total.micros),
        requests: total.statuses,
        errors: total.errors,
        retries: total.retries,
        rejected_spans: total.rejected_spans,
        messages: total.messages,
        average_span_bytes: rounded(average),
        generator,
    }
}

/// The pool, and the odd batch at the end of a run of so many spans.
struct Batches {
    pool: Pool,
    last: Option<Pool>,
}

impl Batches {
    async fn write(args: &cli::Send) -> Result<Arc<Self>> {
        let batch = u64::from(args.batch);
        let count = args.spans.map_or(u64::MAX, |spans| spans.div_ceil(batch)).min(u64::from(args.pool)) as usize;
        let (seed, size, encoding) = (args.seed, args.batch as usize, args.encoding);
        let odd = args.spans.map_or(0, |spans| spans % batch) as usize;
        let written = tokio::task::spawn_blocking(move || {
            let last = if odd > 0 { Some(Pool::write(!seed, 1, odd, encoding)?) } else { None };
            anyhow::Ok(Arc::new(Self { pool: Pool::write(seed, count, size, encoding)?, last }))
        });
        written.await?
    }

    fn batch(&self, plan: &Plan, number: u64) -> Batch {
        let pool = if number + 1 == plan.batches { self.last.as_ref().unwrap_or(&self.pool) } else { &self.pool };
        pool.batch(plan.run, number, plan.moment(number))
    }
}

type Queue = Arc<Mutex<mpsc::Receiver<Prepared>>>;
type GeneratorThread = std::thread::JoinHandle<Result<Duration>>;

/// A batch, and its body as it travels.
struct Prepared {
    batch: Batch,
    payload: bytes::Bytes,
}

/// Starts the generators. Each ends when the plan has no more batches or nobody takes them any more.
fn generate(batches: Arc<Batches>, plan: Arc<Plan>, args: &cli::Send) -> (Queue, Vec<GeneratorThread>) {
    let (sender, receiver) = mpsc::channel(args.connections as usize);
    let next = Arc::new(AtomicU64::new(0));
    let compress = plan.gzip && args.encoding != Encoding::Grpc;
    let threads = (0..args.generators)
        .map(|_| {
            let (batches, plan, next, sender) = (batches.clone(), plan.clone(), next.clone(), sender.clone());
            std::thread::spawn(move || {
                let mut busy = Duration::ZERO;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= plan.batches {
                        return Ok(busy);
                    }
                    let begun = std::time::Instant::now();
                    let batch = batches.batch(&plan, number);
                    let payload = if compress { gzip(&batch.body)? } else { batch.body.clone() };
                    busy += begun.elapsed();
                    if sender.blocking_send(Prepared { batch, payload }).is_err() {
                        return Ok(busy);
                    }
                }
            })
        })
        .collect();
    (Arc::new(Mutex::new(receiver)), threads)
}

fn gzip(body: &[u8]) -> Result<bytes::Bytes> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(body.len() / 3), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, body)?;
    Ok(encoder.finish()?.into())
}

/// Takes batches from the queue and sends them, one at a time.
struct Connection {
    client: Client,
    queue: Queue,
    plan: Arc<Plan>,
    ledger: Option<Arc<Ledger>>,
}

impl Connection {
    async fn run(mut self) -> Result<Tally> {
        let mut tally = Tally::default();
        while tally.errors < ERRORS_MAX {
            let Some(prepared) = self.take(&mut tally).await else { break };
            let due = self.plan.due(prepared.batch.number);
            if let Some(due) = due {
                if due >= self.plan.deadline {
                    break;
                }
                sleep_until(due).await;
            }
            self.deliver(&prepared, due.unwrap_or_else(Instant::now), &mut tally).await?;
        }
        Ok(tally)
    }

    async fn take(&self, tally: &mut Tally) -> Option<Prepared> {
        let begun = Instant::now();
        let prepared = timeout_at(self.plan.deadline, async { self.queue.lock().await.recv().await }).await;
        tally.starved_seconds += begun.elapsed().as_secs_f64();
        prepared.ok().flatten().filter(|_| Instant::now() < self.plan.deadline)
    }

    /// Sends one batch until it is acknowledged or given up.
    async fn deliver(&mut self, prepared: &Prepared, since: Instant, tally: &mut Tally) -> Result<()> {
        let last_moment = self.plan.deadline + GRACE;
        for attempt in 0..=self.plan.retries {
            tally.retries += u64::from(attempt > 0);
            let Ok(outcome) = timeout_at(last_moment, self.client.send(prepared.payload.clone())).await else {
                tally.say("not acknowledged before the end".to_owned());
                break;
            };
            match outcome {
                Outcome::Accepted { status, rejected } => {
                    tally.count(&status);
                    return self.acknowledged(&prepared.batch, rejected, since, tally);
                }
                Outcome::Refused { status, message } => {
                    tally.count(&status);
                    tally.say(message);
                    break;
                }
                Outcome::Later { status, after, message } => {
                    tally.count(&status);
                    tally.say(message);
                    let next = Instant::now() + pause(attempt + 1, after);
                    if attempt == self.plan.retries || next >= last_moment {
                        break;
                    }
                    sleep_until(next).await;
                }
            }
        }
        tally.errors += 1;
        Ok(())
    }

    fn acknowledged(&self, batch: &Batch, rejected: u64, since: Instant, tally: &mut Tally) -> Result<()> {
        tally.micros.push(u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX));
        tally.rejected_spans += rejected;
        if rejected > 0 {
            // Which ones is not said, so none of them can be promised.
            tally.say(format!("{rejected} spans of a batch were rejected"));
            tally.spans += batch.spans.saturating_sub(rejected);
            return Ok(());
        }
        if let Some(ledger) = &self.ledger {
            ledger.note(&batch.ids)?;
        }
        tally.spans += batch.spans;
        tally.body_bytes += batch.body.len() as u64;
        Ok(())
    }
}
