//! `write`: the requests that `send` would send, as files.

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::batch::Pool;
use crate::cli;
use crate::clock::now_nanos;

/// What `write` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    files: u32,
    spans: u64,
    average_span_bytes: f64,
}

/// Writes `0000`, `0001` and so on.
///
/// # Errors
/// The folder is there already, or the disk refuses.
pub(crate) fn run(args: &cli::Write) -> Result<Report> {
    let pool = Pool::write(args.seed, args.batches as usize, args.batch as usize, args.encoding)?;
    std::fs::create_dir(&args.folder).with_context(|| format!("cannot make {}", args.folder.display()))?;
    let now = now_nanos();
    for number in 0..args.batches {
        let body = pool.batch(now, number.into(), now).body;
        std::fs::write(args.folder.join(format!("{number:04}")), body)?;
    }
    Ok(Report { files: args.batches, spans: pool.spans(), average_span_bytes: pool.average_span_bytes() })
}
