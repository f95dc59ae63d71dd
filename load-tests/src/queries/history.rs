//! A folder full of history, made once.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::say;
use crate::stage::{DRAIN_WITHIN, begin};
use crate::{cli, history};

/// The tenant that is asked, and its neighbours.
const TENANTS: [(&str, u64); 3] = [("big", 8), ("small", 1), ("other", 1)];
const SHARES: u64 = 10;
/// In the folder, once it is full.
const NOTE: &str = "history.json";

/// What the folder holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct History {
    days: u64,
    tenants: Vec<Tenant>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Tenant {
    name: String,
    spans: u64,
    /// Of a server that nobody else reaches, and gone with the folder.
    key: String,
}

impl History {
    /// Of all tenants.
    pub(super) fn spans(&self) -> u64 {
        self.tenants.iter().map(|tenant| tenant.spans).sum()
    }

    pub(super) fn days(&self) -> u64 {
        self.days
    }

    /// Of the tenant that is asked.
    pub(super) fn key(&self) -> &str {
        &self.tenants[0].key
    }

    /// Of a small one.
    pub(super) fn neighbour(&self) -> &str {
        &self.tenants[1].key
    }
}

/// What is there already, else all of it, compacted.
pub(super) async fn fill(args: &cli::Queries, binary: &Path) -> Result<History> {
    let note = args.folder.join(NOTE);
    if note.exists() {
        return serde_json::from_slice(&std::fs::read(&note)?).context("history.json is not ours");
    }
    let (server, http, ..) = begin(binary, &args.folder, &[]).await?;
    let mut tenants = Vec::new();
    for (name, share) in TENANTS {
        say(&format!("filling the tenant {name}"));
        let spans = args.spans * share / SHARES;
        let key = history::send(&args.load, &http, name, spans, args.days).await?;
        tenants.push(Tenant { name: name.to_owned(), spans, key });
    }
    server.drain(DRAIN_WITHIN).await?;
    say("compacting");
    history::compact(binary, &args.folder).await?;
    let history = History { days: args.days, tenants };
    std::fs::write(note, serde_json::to_vec(&history)?)?;
    Ok(history)
}
