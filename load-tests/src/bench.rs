//! `bench`: what a server gives on this machine, beside what the machine itself gives.
//!
//! ```text
//! machine ─▶ ingest (idle, full load in three encodings, half load) ─▶ disk (flushed, compacted) ─▶ recovery ─▶ soak
//! ```
//! Each measurement has a standalone server on a folder of its own, below one folder that the caller names; generator and
//! server share the machine, and every acknowledgement has been synced.

mod disk;
mod ingest;
mod machine;
mod recovery;
mod soak;

use std::io::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::cli;
use crate::server;

/// What `bench` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: machine::Machine,
    ingest: ingest::Ingest,
    disk: disk::Disk,
    recovery: recovery::Recovery,
    soak: Option<soak::Soak>,
}

/// Measures one thing after the other.
///
/// # Errors
/// A server that does not start, does not take the load or does not drain; nothing is reported then.
pub(crate) async fn run(bench: &cli::Bench) -> Result<Report> {
    let binary = server::binary(bench.server.as_deref())?;
    std::fs::create_dir_all(&bench.folder)?;
    say("the machine");
    let (folder, seed, batch) = (bench.folder.clone(), bench.load.seed, bench.load.batch as usize);
    let machine = tokio::task::spawn_blocking(move || machine::measure(&folder, seed, batch)).await??;
    say("ingest: idle, full load, half load");
    let ingest = ingest::measure(bench, &binary).await?;
    say("bytes on disk");
    let disk = disk::measure(bench, &binary).await?;
    say("recovery");
    let recovery = recovery::measure(bench, &binary).await?;
    let soak = match bench.soak {
        Some(duration) => {
            say("memory under a long load");
            let rate = bench.soak_rate.unwrap_or((ingest.spans_per_second() / 2.0) as u32);
            Some(soak::measure(bench, &binary, rate, duration).await?)
        }
        None => None,
    };
    Ok(Report { machine, ingest, disk, recovery, soak })
}

fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "bench: measuring {what}");
}
