//! What a span takes on disk, right after the flush and after the compactor has done all there is to do.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::batch::Encoding;
use crate::cli;
use crate::report::rounded;
use crate::stage::{COMPACT, DRAIN_WITHIN, FLUSH_ONLY, Stage, begin, compacted, load, size};

const COMPACTED_WITHIN: Duration = Duration::from_secs(180);

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
    let stage = Stage::set(&bench.folder, binary, "disk", &FLUSH_ONLY).await?;
    let mut args = load(&bench.load, Encoding::Protobuf, Duration::from_secs(300));
    args.spans = Some(bench.spans);
    let sent = stage.send(args).await?;
    let folder = stage.folder;
    stage.server.drain(DRAIN_WITHIN).await?;
    let (flushed, flushed_files) = size(&folder, "parquet")?;
    let (server, ..) = begin(binary, &folder, &COMPACT).await?;
    let compaction = compacted(&folder, COMPACTED_WITHIN).await?;
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
