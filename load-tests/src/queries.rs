//! `queries`: how long a question takes on a server that is full of history.
//!
//! ```text
//! history (once a folder) ─▶ samples (what to ask for) ─▶ each question: cold, then warm
//! ```
//! Cold means: a process that has just started, and data files that the system's page cache has let go of. Every question is
//! asked over HTTP, as a client asks it, and its answer is read to the end.

mod ask;
mod history;
mod neighbours;
mod samples;
mod set;

use std::io::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::cli;
use crate::server;
use crate::stage::size;

/// What `queries` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    history: history::History,
    bytes_per_span: f64,
    files: u64,
    /// What was asked for.
    samples: samples::Samples,
    questions: Vec<ask::Answered>,
    /// When all questions were asked.
    neighbours: Option<neighbours::Neighbours>,
}

/// Fills the folder unless it is full, and asks.
///
/// # Errors
/// A server that does not start or does not take the load. A question that is refused is part of the report.
pub(crate) async fn run(args: &cli::Queries) -> Result<Report> {
    let binary = server::binary(args.server.as_deref())?;
    std::fs::create_dir_all(&args.folder)?;
    let history = history::fill(args, &binary).await?;
    let (bytes, files) = size(&args.folder, "parquet")?;
    let samples = samples::choose(&binary, &args.folder, &history).await?;
    let mut questions = Vec::new();
    for question in
        set::all(&samples).into_iter().filter(|q| args.only.as_ref().is_none_or(|part| q.name.contains(part)))
    {
        say(question.name);
        questions.push(ask::measure(&binary, &args.folder, history.key(), question, args.rounds).await?);
    }
    let neighbours = match &args.only {
        Some(_) => None,
        None => {
            say("a crowd next door");
            let heavy = set::heavy(&samples);
            Some(neighbours::measure(&binary, &args.folder, history.key(), history.neighbour(), &heavy).await?)
        }
    };
    let bytes_per_span = crate::report::rounded(bytes as f64 / history.spans() as f64);
    Ok(Report { bytes_per_span, files, samples, questions, neighbours, history })
}

fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "queries: {what}");
}
