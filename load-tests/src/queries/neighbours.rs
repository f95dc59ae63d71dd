//! Whether one tenant's crowd is felt by another: the same question of a small tenant, beside a big one that asks heavy questions
//! with as many clients as may run at once, and with ten times as many.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::{Client, Url};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::client::reader;
use crate::report::{Percentiles, rounded};
use crate::stage::begin;
use crate::target::join;

/// What one tenant may run at once, by default.
const SHARE: usize = 4;
const ASKED_FOR: Duration = Duration::from_secs(20);
/// After a refusal.
const PAUSE: Duration = Duration::from_millis(100);

/// What the small tenant felt.
#[derive(Debug, Serialize)]
pub(super) struct Neighbours {
    question: String,
    heavy_question: String,
    alone_ms: Percentiles,
    beside_its_share_ms: Percentiles,
    beside_ten_times_its_share_ms: Percentiles,
    /// Of the p95: with ten times the share, to with the share.
    slower: f64,
}

/// Three times, on one server.
pub(super) async fn measure(binary: &Path, folder: &Path, big: &str, small: &str, heavy: &str) -> Result<Neighbours> {
    let (server, http, ..) = begin(binary, folder, &[]).await?;
    let question = "/v1/traces?limit=50".to_owned();
    let (asked, heavy_url) = (join(&http, &question)?, join(&http, heavy)?);
    let (small, big) = (reader(small)?, reader(big)?);
    let mut felt = Vec::new();
    for clients in [0, SHARE, 10 * SHARE] {
        felt.push(beside(clients, &big, &heavy_url, &small, &asked).await?);
    }
    server.kill()?;
    let [alone_ms, beside_its_share_ms, beside_ten_times_its_share_ms] =
        felt.try_into().map_err(|_| anyhow::anyhow!("three measurements"))?;
    let slower = rounded(beside_ten_times_its_share_ms.p95 / beside_its_share_ms.p95);
    let heavy_question = heavy.to_owned();
    Ok(Neighbours { question, heavy_question, alone_ms, beside_its_share_ms, beside_ten_times_its_share_ms, slower })
}

async fn beside(clients: usize, big: &Client, heavy: &Url, small: &Client, question: &Url) -> Result<Percentiles> {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut crowd = JoinSet::new();
    for _ in 0..clients {
        crowd.spawn(press(big.clone(), heavy.clone(), is_over.clone()));
    }
    let (begun, mut micros) = (Instant::now(), Vec::new());
    while begun.elapsed() < ASKED_FOR {
        let asked = Instant::now();
        small.get(question.clone()).send().await?.error_for_status()?.bytes().await?;
        micros.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    is_over.store(true, Ordering::Relaxed);
    crowd.shutdown().await;
    Ok(Percentiles::of_micros(micros))
}

async fn press(client: Client, heavy: Url, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::Relaxed) {
        let was_refused = match client.get(heavy.clone()).send().await {
            Ok(response) => !response.status().is_success() || response.bytes().await.is_err(),
            Err(_) => true,
        };
        if was_refused {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
