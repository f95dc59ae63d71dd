//! Whether memory stays flat.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::batch::Encoding;
use crate::cli;
use crate::send;
use crate::stage::{DRAIN_WITHIN, Stage, load};
use crate::usage::{Course, Memory};

/// A load that the server can bear, for long.
#[derive(Debug, Serialize)]
pub(super) struct Soak {
    rate: u32,
    load: send::Report,
    memory_mb: Course,
}

/// Sends `rate` spans a second for `duration`.
pub(super) async fn measure(bench: &cli::Bench, binary: &Path, rate: u32, duration: Duration) -> Result<Soak> {
    let stage = Stage::set(&bench.folder, binary, "soak", &[]).await?;
    let memory = Memory::watch(stage.server.id());
    let mut args = load(&bench.load, Encoding::Protobuf, duration);
    args.rate = Some(rate);
    let load = stage.send(args).await?;
    let memory_mb = memory.finish().await?;
    stage.server.drain(DRAIN_WITHIN).await?;
    std::fs::remove_dir_all(stage.folder)?;
    Ok(Soak { rate, load, memory_mb })
}
