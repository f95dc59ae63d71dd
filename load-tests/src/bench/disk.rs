//! What a span takes on disk, right after the flush and after the compactor has done all there is to do.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::stage::{DRAIN_WITHIN, Stage, begin, load, size};
use crate::batch::Encoding;
use crate::cli;
use crate::report::rounded;
use crate::server::Setting;

/// The compactor stands aside.
const FLUSH_ONLY: [Setting; 1] = [("SPANLAKE_COMPACTOR__LOOK_INTERVAL_S", "86400")];
/// It merges all it can, and what it replaced goes at once.
const COMPACT: [Setting; 3] = [
    ("SPANLAKE_COMPACTOR__LEAST_FILES", "2"),
    ("SPANLAKE_COMPACTOR__LOOK_INTERVAL_S", "1"),
    ("SPANLAKE_COMPACTOR__LINGERING_S", "0"),
];
/// Nothing changed for so long: it is done.
const QUIET: Duration = Duration::from_secs(5);
const COMPACTED_WITHIN: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Bytes are those of Parquet files.
#[derive(Debug, Serialize)]
pub(super) struct Disk {
    spans: u64,
    request_bytes_per_span: f64,
    flushed_bytes_per_span: f64,
    flushed_files: u64,
    compacted_bytes_per_span: f64,
    compacted_files: u64,
    compaction_seconds: f64,
}

/// The folder `disk` stays, compacted, to be looked into.
pub(super) async fn measure(bench: &cli::Bench, binary: &Path) -> Result<Disk> {
    let stage = Stage::set(bench, binary, "disk", &FLUSH_ONLY).await?;
    let mut args = load(bench, Encoding::Protobuf, Duration::from_secs(300));
    args.spans = Some(bench.spans);
    let sent = stage.send(args).await?;
    let folder = stage.folder;
    stage.server.drain(DRAIN_WITHIN).await?;
    let (flushed, flushed_files) = size(&folder, "parquet")?;
    let (server, ..) = begin(binary, &folder, &COMPACT).await?;
    let compaction = compacted(&folder).await?;
    let (compacted, compacted_files) = size(&folder, "parquet")?;
    server.drain(DRAIN_WITHIN).await?;
    let per_span = |bytes: u64| rounded(bytes as f64 / sent.spans as f64);
    Ok(Disk {
        spans: sent.spans,
        request_bytes_per_span: per_span(sent.bytes),
        flushed_bytes_per_span: per_span(flushed),
        flushed_files,
        compacted_bytes_per_span: per_span(compacted),
        compacted_files,
        compaction_seconds: rounded(compaction.as_secs_f64()),
    })
}

/// Waits until files have been the same for a while; answers when they last changed.
async fn compacted(folder: &Path) -> Result<Duration> {
    let begun = Instant::now();
    let (mut last, mut changed) = (size(folder, "parquet")?, begun);
    while changed.elapsed() < QUIET {
        ensure!(begun.elapsed() < COMPACTED_WITHIN, "the compactor was not done within {COMPACTED_WITHIN:?}");
        sleep(LOOK_AGAIN).await;
        let now = size(folder, "parquet")?;
        if now != last {
            (last, changed) = (now, Instant::now());
        }
    }
    Ok(changed - begun)
}
