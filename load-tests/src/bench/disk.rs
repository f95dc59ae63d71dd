//! What a span takes on disk: right after the flush, merged while its day may grow, and packed when the day is over.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::batch::Encoding;
use crate::cli;
use crate::report::rounded;
use crate::server::Setting;
use crate::stage::{COMPACT, DRAIN_WITHIN, FLUSH_ONLY, Stage, begin, compacted, load, size};

const COMPACTED_WITHIN: Duration = Duration::from_secs(180);
/// Of a day that is over for long.
const AGO: Duration = Duration::from_secs(3 * 86_400);
/// But not to this server.
const NEVER_OVER: Setting = ("SPANLAKE_COMPACTOR__CLOSED_AFTER_S", "3153600000");

/// Bytes are those of Parquet files.
#[derive(Debug, Serialize)]
pub(super) struct Disk {
    spans: u64,
    request_bytes_per_span: f64,
    flushed_bytes_per_span: f64,
    flushed_files: u64,
    merged: Compacted,
    packed: Compacted,
}

/// After the compactor has done all there is to do.
#[derive(Debug, Serialize)]
struct Compacted {
    bytes_per_span: f64,
    files: u64,
    seconds: f64,
}

/// The folder `disk` stays, packed, to be looked into.
pub(super) async fn measure(bench: &cli::Bench, binary: &Path) -> Result<Disk> {
    let stage = Stage::set(&bench.folder, binary, "disk", &FLUSH_ONLY).await?;
    let mut args = load(&bench.load, Encoding::Protobuf, Duration::from_secs(300));
    args.spans = Some(bench.spans);
    args.ago = Some(AGO);
    let sent = stage.send(args).await?;
    let folder = stage.folder;
    stage.server.drain(DRAIN_WITHIN).await?;
    let (flushed, flushed_files) = size(&folder, "parquet")?;
    let growing: Vec<_> = COMPACT.into_iter().chain([NEVER_OVER]).collect();
    let merged = compact(binary, &folder, &growing, sent.spans).await?;
    let packed = compact(binary, &folder, &COMPACT, sent.spans).await?;
    Ok(Disk {
        spans: sent.spans,
        request_bytes_per_span: per_span(sent.bytes, sent.spans),
        flushed_bytes_per_span: per_span(flushed, sent.spans),
        flushed_files,
        merged,
        packed,
    })
}

async fn compact(binary: &Path, folder: &Path, settings: &[Setting], spans: u64) -> Result<Compacted> {
    let (server, ..) = begin(binary, folder, settings).await?;
    let took = compacted(folder, COMPACTED_WITHIN).await?;
    let (bytes, files) = size(folder, "parquet")?;
    server.drain(DRAIN_WITHIN).await?;
    Ok(Compacted { bytes_per_span: per_span(bytes, spans), files, seconds: rounded(took.as_secs_f64()) })
}

fn per_span(bytes: u64, spans: u64) -> f64 {
    rounded(bytes as f64 / spans as f64)
}
