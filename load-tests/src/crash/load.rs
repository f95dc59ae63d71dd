//! Senders that note what was acknowledged, until the server is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Url;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::promises::Promises;
use crate::batch::{Batch, Encoding};
use crate::client::{Client, Outcome, pause};
use crate::random::Draw;

/// A sender waits up to so long between two batches: a life is for many small writes, not for many spans.
const REST_MAX_MS: u64 = 20;
/// "Not now" is taken so often before it counts as a failure.
const ATTEMPTS: u32 = 12;

/// Who sends, and to whom.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) base: Url,
    pub(super) key: String,
    pub(super) connections: u64,
    pub(super) promises: Arc<Promises>,
}

impl Sender {
    /// Starts the connections. They send new batches of `cycle` until `stopped` is set, which must be done just before the
    /// kill: a connection that breaks earlier is an error.
    pub(super) fn begin(&self, cycle: u64, stopped: &Arc<AtomicBool>, draw: &mut Draw) -> Result<JoinSet<Result<()>>> {
        let mut connections = JoinSet::new();
        for _ in 0..self.connections {
            let (promises, stopped) = (self.promises.clone(), stopped.clone());
            let mut connection = self.connect()?;
            let mut rests = Draw::new(draw.between(0, u64::MAX - 1));
            connections.spawn(async move {
                while !stopped.load(Ordering::SeqCst) {
                    let batch = promises.next(cycle);
                    if deliver(&mut connection, &batch, &stopped).await? {
                        promises.acknowledge(batch.number);
                    }
                    sleep(Duration::from_millis(rests.between(0, REST_MAX_MS))).await;
                }
                Ok(())
            });
        }
        Ok(connections)
    }

    /// Sends batches of before again, the first of them over every connection at once. All must be acknowledged.
    pub(super) async fn again(&self, numbers: &[u64]) -> Result<()> {
        let never = Arc::new(AtomicBool::new(false));
        let mut connections = JoinSet::new();
        for connection in 0..self.connections as usize {
            let rest = numbers.iter().skip(1).skip(connection).step_by(self.connections as usize);
            let numbers: Vec<u64> = numbers.iter().take(1).chain(rest).copied().collect();
            let (promises, never, mut client) = (self.promises.clone(), never.clone(), self.connect()?);
            connections.spawn(async move {
                for number in numbers {
                    let batch = promises.again(number).context("a batch that was never sent")?;
                    deliver(&mut client, &batch, &never).await?;
                    promises.acknowledge(number);
                }
                anyhow::Ok(())
            });
        }
        join(connections).await
    }

    fn connect(&self) -> Result<Client> {
        Client::new(&self.base, &self.key, Encoding::Protobuf, false)
    }
}

/// Waits for all; the first failure is the answer.
pub(super) async fn join(mut connections: JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = connections.join_next().await {
        ended.context("a sender panicked")??;
    }
    Ok(())
}

/// Whether the batch was acknowledged; `false` only after `stopped`.
async fn deliver(client: &mut Client, batch: &Batch, stopped: &AtomicBool) -> Result<bool> {
    let mut last = String::new();
    for attempt in 1..=ATTEMPTS {
        let outcome = client.send(batch.body.clone()).await;
        match outcome {
            Outcome::Accepted { rejected: 0, .. } => return Ok(true),
            Outcome::Accepted { rejected, .. } => bail!("{rejected} sound spans were rejected"),
            Outcome::Refused { status, message } => bail!("a sound batch was refused: {status} {message}"),
            Outcome::Later { .. } if stopped.load(Ordering::SeqCst) => return Ok(false),
            Outcome::Later { status, after, message } if status.parse::<u16>().is_ok() => {
                last = format!("{status} {message}");
                sleep(pause(attempt, after).min(Duration::from_secs(1))).await;
            }
            Outcome::Later { message, .. } => bail!("the server went away before it was killed: {message}"),
        }
    }
    bail!("not acknowledged in {ATTEMPTS} attempts: {last}")
}
