//! `verify`: reads back every trace of a ledger and compares it, span by span.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::cli;
use crate::client::get_json;
use crate::ledger;
use crate::report::rounded;
use crate::target;

/// So many ids are printed of each kind.
const EXAMPLES_MAX: usize = 20;
/// A trace has at most so many pages; more means that the cursor does not move.
const PAGES_MAX: usize = 100_000;

/// What `verify` prints.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) traces: u64,
    pub(crate) spans: u64,
    pub(crate) missing: u64,
    pub(crate) duplicates: u64,
    /// Traces that could not be read.
    pub(crate) errors: u64,
    seconds: f64,
    missing_examples: Vec<String>,
    duplicate_examples: Vec<String>,
    messages: Vec<String>,
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.missing == 0 && self.duplicates == 0 && self.errors == 0
    }

    fn count(&mut self, trace: &str, promised: &BTreeSet<String>, found: &[String]) {
        self.traces += 1;
        self.spans += promised.len() as u64;
        let mut seen = HashSet::with_capacity(found.len());
        for span in found {
            if !seen.insert(span) {
                self.duplicates += 1;
                example(&mut self.duplicate_examples, format!("{trace}/{span}"));
            }
        }
        for span in promised.iter().filter(|span| !seen.contains(span)) {
            self.missing += 1;
            example(&mut self.missing_examples, format!("{trace}/{span}"));
        }
    }
}

fn example(examples: &mut Vec<String>, id: String) {
    if examples.len() < EXAMPLES_MAX {
        examples.push(id);
    }
}

/// Reads every trace of the ledger.
///
/// # Errors
/// The ledger cannot be read or promises nothing, or the time is up. What the server answers is in the report.
pub(crate) async fn run(args: &cli::Verify) -> Result<Report> {
    let base = target::parse(&args.target.url, args.target.allow_remote)?;
    let promised = ledger::read(&args.ledger)?;
    ensure!(!promised.is_empty(), "the ledger {} is empty: there is nothing to verify", args.ledger.display());
    let client = Arc::new(crate::client::reader(&args.target.key)?);
    tokio::time::timeout(args.timeout, read_all(client, base, promised, args.connections as usize))
        .await
        .context("not all traces could be read in --timeout")?
}

async fn read_all(
    client: Arc<reqwest::Client>,
    base: Url,
    promised: ledger::Promised,
    connections: usize,
) -> Result<Report> {
    let begun = tokio::time::Instant::now();
    let mut report = Report::default();
    let mut reads = JoinSet::new();
    let mut waiting = promised.into_iter();
    loop {
        while reads.len() < connections
            && let Some((trace, spans)) = waiting.next()
        {
            let (client, base) = (Arc::clone(&client), base.clone());
            reads.spawn(async move {
                let found = span_ids(&client, &base, &trace).await;
                (trace, spans, found)
            });
        }
        let Some(read) = reads.join_next().await else { break };
        let (trace, spans, found) = read.context("a read panicked")?;
        match found {
            Ok(found) => report.count(&trace, &spans, &found),
            Err(error) => {
                report.errors += 1;
                example(&mut report.messages, format!("{error:#}"));
            }
        }
    }
    report.seconds = rounded(begun.elapsed().as_secs_f64());
    Ok(report)
}

/// `GET /v1/traces/{id}`, as far as we read it.
#[derive(Deserialize)]
struct TracePage {
    data: Trace,
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Trace {
    spans: Vec<SpanId>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct SpanId {
    id: String,
}

#[derive(Deserialize)]
struct Pagination {
    next_cursor: Option<String>,
}

/// The ids of all spans of a trace, as often as the server lists them; none when it does not know the trace.
pub(crate) async fn span_ids(client: &reqwest::Client, base: &Url, trace: &str) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut url = target::join(base, &format!("/v1/traces/{trace}"))?;
    for _ in 0..PAGES_MAX {
        let Some(page) = get_json::<TracePage>(client, url.clone()).await? else { return Ok(ids) };
        ids.extend(page.data.spans.into_iter().map(|span| span.id));
        // Where the cursor of a huge trace stands: beside the data, as for lists, or in it.
        let Some(cursor) = page.pagination.and_then(|p| p.next_cursor).or(page.data.next_cursor) else {
            return Ok(ids);
        };
        url.query_pairs_mut().clear().append_pair("cursor", &cursor);
    }
    anyhow::bail!("trace {trace} has more than {PAGES_MAX} pages")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_repeated_spans_are_counted_and_others_ignored() {
        let mut report = Report::default();
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        let list = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        report.count("t1", &set(&["a", "b", "c"]), &list(&["a", "b", "b", "x"]));
        report.count("t2", &set(&["d"]), &list(&["d"]));
        assert_eq!((report.traces, report.spans, report.missing, report.duplicates), (2, 4, 1, 1));
        assert_eq!((report.missing_examples, report.duplicate_examples), (list(&["t1/c"]), list(&["t1/b"])));
    }
}
