//! Asking one question: cold, then again and again.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Url;
use rustix::fs::{Advice, fadvise};
use serde::Serialize;

use super::set::Question;
use crate::client::reader;
use crate::report::{Percentiles, rounded};
use crate::server::{data, files};
use crate::stage::begin;
use crate::target::join;

/// A question that takes long is asked fewer times: `clickhouse.py` has the same bound.
const ASKED_FOR: Duration = Duration::from_secs(15);

/// How long it took, or why it was not answered.
#[derive(Debug, Serialize)]
pub(super) struct Answered {
    name: &'static str,
    path: String,
    cold_ms: f64,
    warm_ms: Percentiles,
    bytes: usize,
    /// What the server said instead.
    refused: Option<String>,
}

/// A server of its own for each question.
pub(super) async fn measure(
    binary: &Path,
    folder: &Path,
    key: &str,
    question: Question,
    rounds: u32,
) -> Result<Answered> {
    forget(folder)?;
    let (server, http, ..) = begin(binary, folder, &[]).await?;
    let client = reader(key)?;
    let url = join(&http, &question.path)?;
    let cold = ask(&client, &url).await?;
    let mut micros = Vec::new();
    let Question { name, path } = question;
    let mut answered = Answered {
        name,
        path,
        cold_ms: rounded(f64::from(cold.micros) / 1e3),
        warm_ms: Percentiles::default(),
        bytes: cold.bytes,
        refused: cold.refused,
    };
    let begun = Instant::now();
    // A server that refuses once refuses always.
    for _ in 0..if answered.refused.is_some() { 0 } else { rounds } {
        if begun.elapsed() > ASKED_FOR {
            break;
        }
        micros.push(ask(&client, &url).await?.micros);
    }
    answered.warm_ms = Percentiles::of_micros(micros);
    server.kill()?;
    Ok(answered)
}

struct Once {
    micros: u32,
    bytes: usize,
    refused: Option<String>,
}

async fn ask(client: &reqwest::Client, url: &Url) -> Result<Once> {
    let begun = Instant::now();
    let response = client.get(url.clone()).send().await?;
    let status = response.status();
    let body = response.bytes().await?;
    let micros = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
    let said = || format!("{status}: {}", String::from_utf8_lossy(&body).chars().take(300).collect::<String>());
    Ok(Once { micros, bytes: body.len(), refused: (!status.is_success()).then(said) })
}

/// Tells the system that nobody needs the data files in memory.
fn forget(folder: &Path) -> Result<()> {
    for path in files(&data(folder), "parquet")? {
        fadvise(File::open(path)?, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}
