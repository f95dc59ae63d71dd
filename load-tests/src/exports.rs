//! `exports`: how fast rows leave a server that is full of history, what that takes, and what ingest feels of it.
//!
//! ```text
//! fill (once a folder) ─▶ each kind of job: rows a second, peak memory ─▶ pages of the stream ─▶ ingest alone, ingest beside a job
//! ```
//! Each job meets a server of its own. An export that does not have every row fails the run: speed of what is not whole is none.

mod beside;
mod job;
mod pages;

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::client::{get_json, reader};
use crate::report::rounded;
use crate::server;
use crate::stage::{DRAIN_WITHIN, begin, size};
use crate::target::join;
use crate::{cli, history};

/// What `exports` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    history: History,
    bytes_per_span: f64,
    jobs: Vec<job::Measured>,
    /// Of `GET /v1/traces/export`, unless only some exports were asked for; likewise what follows.
    pages: Option<pages::Pages>,
    ingest: Option<beside::Beside>,
}

/// What the folder holds.
#[derive(Debug, Serialize, Deserialize)]
struct History {
    spans: u64,
    days: u64,
    tenant: String,
    /// Of a server that nobody else reaches, and gone with the folder.
    key: String,
    parquet_bytes: u64,
}

/// In the folder, once it is full.
const NOTE: &str = "exports.json";

/// Fills the folder unless it is full, and exports.
///
/// # Errors
/// A server that does not start or does not take the load, and an export that fails or is not whole.
pub(crate) async fn run(args: &cli::Exports) -> Result<Report> {
    let binary = server::binary(args.server.as_deref())?;
    std::fs::create_dir_all(&args.folder)?;
    let history = fill(args, &binary).await?;
    let mut jobs = Vec::new();
    for kind in job::KINDS.iter().filter(|kind| args.only.as_ref().is_none_or(|part| kind.name.contains(part))) {
        say(kind.name);
        jobs.push(job::measure(&binary, &args.folder, &history, kind).await?);
    }
    let (mut pages, mut ingest) = (None, None);
    if args.only.is_none() {
        say("pages of the stream");
        pages = Some(pages::measure(&binary, &args.folder, &history).await?);
        say("ingest alone, then beside an export");
        ingest = Some(beside::measure(args, &binary, &history).await?);
    }
    let bytes_per_span = rounded(history.parquet_bytes as f64 / history.spans as f64);
    Ok(Report { bytes_per_span, jobs, pages, ingest, history })
}

/// What is there already, else all of it, merged.
async fn fill(args: &cli::Exports, binary: &Path) -> Result<History> {
    let note = args.folder.join(NOTE);
    if note.exists() {
        return serde_json::from_slice(&std::fs::read(&note)?).with_context(|| format!("{NOTE} is not ours"));
    }
    say("filling the folder");
    let (server, http, ..) = begin(binary, &args.folder, &[]).await?;
    let key = history::send(&args.load, &http, "exported", args.spans, args.days).await?;
    let tenant = tenant(&http, &key).await?;
    server.drain(DRAIN_WITHIN).await?;
    say("compacting");
    history::compact(binary, &args.folder).await?;
    let (parquet_bytes, _) = size(&args.folder, "parquet")?;
    let history = History { spans: args.spans, days: args.days, tenant, key, parquet_bytes };
    std::fs::write(note, serde_json::to_vec(&history)?)?;
    Ok(history)
}

async fn tenant(http: &Url, key: &str) -> Result<String> {
    let me: Option<serde_json::Value> = get_json(&reader(key)?, join(http, "/v1/me")?).await?;
    let id = me.as_ref().and_then(|me| me["data"]["tenant"]["id"].as_str());
    Ok(id.context("the server does not say whose key it is")?.to_owned())
}

fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "exports: {what}");
}
