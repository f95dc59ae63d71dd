//! `probe`: is what was acknowledged there at once?

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use reqwest::Url;
use serde::Serialize;
use tokio::time::Instant;

use crate::batch::{Batch, Encoding, Pool};
use crate::cli;
use crate::client::{Client, Outcome, pause, reader};
use crate::clock::now_nanos;
use crate::report::Percentiles;
use crate::target;
use crate::verify::span_ids;

/// How long to wait between two looks at a trace that is not there yet.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How often a write is tried.
const WRITE_ATTEMPTS: u32 = 8;

/// What `probe` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    probes: u32,
    /// Seen whole by the first read after the acknowledgement.
    pub(crate) visible_at_first_read: u32,
    pub(crate) errors: u32,
    /// From the first attempt to write until the acknowledgement.
    ack_ms: Percentiles,
    /// From the first attempt to write until a read returned all spans.
    write_to_visible_ms: Percentiles,
    messages: Vec<String>,
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.errors == 0
    }
}

/// Probes one trace after the other.
pub(crate) async fn run(args: &cli::Probe) -> Result<Report> {
    let base = target::parse(&args.target.url, args.target.allow_remote)?;
    let pool = Pool::write(args.seed, args.count.min(32) as usize, args.spans as usize, Encoding::Protobuf)?;
    let mut prober = Prober {
        client: Client::new(&base, &args.target.key, Encoding::Protobuf, false)?,
        reader: reader(&args.target.key)?,
        base,
        timeout: args.timeout,
    };
    let (mut acks, mut visibles, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    let (mut errors, mut at_first_read) = (0, 0);
    let run = now_nanos();
    for number in 0..args.count {
        match prober.probe(&pool.batch(run, number.into(), now_nanos())).await {
            Ok(seen) => {
                acks.push(micros(seen.ack));
                visibles.push(micros(seen.visible));
                at_first_read += u32::from(seen.reads == 1);
            }
            Err(error) => {
                errors += 1;
                messages.push(format!("{error:#}"));
                if messages.len() >= 10 {
                    break;
                }
            }
        }
    }
    Ok(Report {
        probes: args.count,
        visible_at_first_read: at_first_read,
        errors,
        ack_ms: Percentiles::of_micros(acks),
        write_to_visible_ms: Percentiles::of_micros(visibles),
        messages,
    })
}

struct Seen {
    ack: Duration,
    visible: Duration,
    reads: u32,
}

struct Prober {
    client: Client,
    reader: reqwest::Client,
    base: Url,
    timeout: Duration,
}

impl Prober {
    async fn probe(&mut self, batch: &Batch) -> Result<Seen> {
        let begun = Instant::now();
        self.write(batch).await?;
        let ack = begun.elapsed();
        let give_up = Instant::now() + self.timeout;
        let mut reads = 1;
        while !self.is_visible(batch).await? {
            ensure!(Instant::now() < give_up, "a trace was not visible {:?} after its acknowledgement", self.timeout);
            tokio::time::sleep(LOOK_AGAIN).await;
            reads += 1;
        }
        Ok(Seen { ack, visible: begun.elapsed(), reads })
    }

    async fn write(&mut self, batch: &Batch) -> Result<()> {
        let mut last = String::new();
        for attempt in 1..=WRITE_ATTEMPTS {
            match self.client.send(batch.body.clone()).await {
                Outcome::Accepted { rejected: 0, .. } => return Ok(()),
                Outcome::Accepted { rejected, .. } => bail!("{rejected} spans were rejected"),
                Outcome::Refused { status, message } => bail!("refused: {status} {message}"),
                Outcome::Later { status, after, message } => {
                    last = format!("{status} {message}");
                    tokio::time::sleep(pause(attempt, after)).await;
                }
            }
        }
        bail!("not accepted: {last}")
    }

    async fn is_visible(&self, batch: &Batch) -> Result<bool> {
        for (trace, spans) in &batch.ids {
            let found = span_ids(&self.reader, &self.base, &format!("{trace:032x}")).await?;
            let unique: HashSet<_> = found.iter().collect();
            ensure!(unique.len() == found.len(), "trace {trace:032x} lists a span twice");
            if !spans.iter().all(|span| unique.contains(&format!("{span:016x}"))) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
