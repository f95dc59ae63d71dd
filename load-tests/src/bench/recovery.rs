//! How long a start takes when everything is in the log and nothing in files.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::batch::Encoding;
use crate::cli;
use crate::report::rounded;
use crate::server::Setting;
use crate::stage::{Stage, begin, load, size};
use crate::usage::resident_mb;

/// Memory for everything, so that nothing is flushed.
const HELD_BACK: [Setting; 4] = [
    ("SPANLAKE_INGEST__FLUSH_BYTES", "8000000000"),
    ("SPANLAKE_INGEST__MEMORY_BYTES_MAX", "16000000000"),
    ("SPANLAKE_INGEST__TENANT_MEMORY_BYTES_MAX", "16000000000"),
    ("SPANLAKE_INGEST__FLUSH_AGE_S", "86400"),
];

/// Megabytes are millions of bytes.
#[derive(Debug, Serialize)]
pub(super) struct Recovery {
    spans: u64,
    /// The requests in the log, before the log compresses them.
    request_mb: f64,
    log_mb: f64,
    /// Into memory alone.
    in_memory: Replay,
    /// As configured by default: flushed while it is replayed.
    flushing: Replay,
}

#[derive(Debug, Serialize)]
struct Replay {
    /// From start to ready.
    ready_seconds: f64,
    log_mb_per_second: f64,
    request_mb_per_second: f64,
    resident_mb: f64,
}

/// Loads, kills, starts; twice.
pub(super) async fn measure(bench: &cli::Bench, binary: &Path) -> Result<Recovery> {
    let stage = Stage::set(&bench.folder, binary, "recovery", &HELD_BACK).await?;
    let mut args = load(&bench.load, Encoding::Protobuf, Duration::from_secs(300));
    args.spans = Some(bench.spans);
    let sent = stage.send(args).await?;
    stage.server.kill()?;
    let (log, _) = size(&stage.folder, "log")?;
    let (log_mb, request_mb) = (log as f64 / 1e6, sent.bytes as f64 / 1e6);
    let in_memory = replay(binary, &stage.folder, &HELD_BACK, log_mb, request_mb).await?;
    let flushing = replay(binary, &stage.folder, &[], log_mb, request_mb).await?;
    std::fs::remove_dir_all(&stage.folder)?;
    Ok(Recovery { spans: sent.spans, request_mb: rounded(request_mb), log_mb: rounded(log_mb), in_memory, flushing })
}

async fn replay(binary: &Path, folder: &Path, settings: &[Setting], log_mb: f64, request_mb: f64) -> Result<Replay> {
    let (server, _, _, took) = begin(binary, folder, settings).await?;
    let seconds = took.as_secs_f64();
    let resident_mb = resident_mb(server.id())?;
    server.kill()?;
    Ok(Replay {
        ready_seconds: rounded(seconds),
        log_mb_per_second: (log_mb / seconds).round(),
        request_mb_per_second: (request_mb / seconds).round(),
        resident_mb,
    })
}
