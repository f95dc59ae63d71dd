//! How much goes in, and how long an acknowledgement takes.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::batch::Encoding;
use crate::cli;
use crate::report::rounded;
use crate::send;
use crate::stage::{DRAIN_WITHIN, Stage, load};
use crate::usage::{Course, Memory, cpu_seconds, resident_mb};

/// A server that has just started is left alone so long before it is called idle.
const SETTLE: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_secs(10);

/// A server without a client.
#[derive(Debug, Serialize)]
pub(super) struct Idle {
    resident_mb: f64,
    /// Of one core.
    cpu_percent: f64,
}

/// From the first request until the last span is in a Parquet file.
#[derive(Debug, Serialize)]
pub(super) struct Through {
    load: send::Report,
    /// From the last acknowledgement until everything was in files.
    drain_seconds: f64,
    /// Acknowledged spans over the load and the drain together.
    pub(super) spans_per_second: f64,
    /// Processor time per span, until the drain.
    server_cpu_us: f64,
    generator_cpu_us: f64,
    memory_mb: Course,
}

/// The load without and with a limit, in every encoding.
#[derive(Debug, Serialize)]
pub(super) struct Ingest {
    idle: Idle,
    protobuf: Through,
    json: Through,
    grpc: Through,
    /// Protobuf, at half of what went through.
    half_load: send::Report,
}

/// Each encoding meets an empty server; the compactor runs as it is configured by default.
pub(super) async fn measure(bench: &cli::Bench, binary: &Path) -> Result<Ingest> {
    let stage = Stage::set(&bench.folder, binary, "protobuf", &[]).await?;
    let idle = idle(stage.server.id()).await?;
    let protobuf = through(stage, load(&bench.load, Encoding::Protobuf, bench.duration)).await?;
    let json = Stage::set(&bench.folder, binary, "json", &[]).await?;
    let json = through(json, load(&bench.load, Encoding::Json, bench.duration / 4)).await?;
    let grpc = Stage::set(&bench.folder, binary, "grpc", &[]).await?;
    let grpc = through(grpc, load(&bench.load, Encoding::Grpc, bench.duration / 4)).await?;
    let half = Stage::set(&bench.folder, binary, "half-load", &[]).await?;
    let mut args = load(&bench.load, Encoding::Protobuf, bench.duration / 2);
    args.rate = Some((protobuf.spans_per_second / 2.0) as u32);
    let half_load = half.send(args).await?;
    half.server.drain(DRAIN_WITHIN).await?;
    std::fs::remove_dir_all(half.folder)?;
    Ok(Ingest { idle, protobuf, json, grpc, half_load })
}

impl Ingest {
    pub(super) fn spans_per_second(&self) -> f64 {
        self.protobuf.spans_per_second
    }
}

async fn idle(process: u32) -> Result<Idle> {
    sleep(SETTLE).await;
    let before = cpu_seconds(process)?;
    sleep(IDLE).await;
    let cpu = cpu_seconds(process)? - before;
    Ok(Idle { resident_mb: resident_mb(process)?, cpu_percent: rounded(100.0 * cpu / IDLE.as_secs_f64()) })
}

async fn through(stage: Stage, args: cli::Send) -> Result<Through> {
    let (server, ourselves) = (stage.server.id(), std::process::id());
    let (server_before, ourselves_before) = (cpu_seconds(server)?, cpu_seconds(ourselves)?);
    let memory = Memory::watch(server);
    let load = stage.send(args).await?;
    let (server_cpu, ourselves_cpu) =
        (cpu_seconds(server)? - server_before, cpu_seconds(ourselves)? - ourselves_before);
    let memory_mb = memory.finish().await?;
    let drain = Instant::now();
    stage.server.drain(DRAIN_WITHIN).await?;
    let drain = drain.elapsed().as_secs_f64();
    std::fs::remove_dir_all(stage.folder)?;
    let spans = load.spans as f64;
    Ok(Through {
        drain_seconds: rounded(drain),
        spans_per_second: (spans / (load.seconds + drain)).round(),
        server_cpu_us: rounded(server_cpu * 1e6 / spans),
        generator_cpu_us: rounded((ourselves_cpu - load.pool_seconds()).max(0.0) * 1e6 / spans),
        memory_mb,
        load,
    })
}
