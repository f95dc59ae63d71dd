//! A folder full of history, made once.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::say;
use crate::account::sign_up;
use crate::batch::Encoding;
use crate::stage::{COMPACT, DRAIN_WITHIN, begin, compacted, load};
use crate::{cli, send};

/// The tenant that is asked, and its neighbours.
const TENANTS: [(&str, u64); 3] = [("big", 8), ("small", 1), ("other", 1)];
const SHARES: u64 = 10;
const LOADED_WITHIN: Duration = Duration::from_secs(3 * 3_600);
const COMPACTED_WITHIN: Duration = Duration::from_secs(3_600);
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
        tenants.push(send_to(args, &http, name, args.spans * share / SHARES).await?);
    }
    server.drain(DRAIN_WITHIN).await?;
    say("compacting");
    let (server, ..) = begin(binary, &args.folder, &COMPACT).await?;
    compacted(&args.folder, COMPACTED_WITHIN).await?;
    server.drain(DRAIN_WITHIN).await?;
    let history = History { days: args.days, tenants };
    std::fs::write(note, serde_json::to_vec(&history)?)?;
    Ok(history)
}

async fn send_to(args: &cli::Queries, http: &Url, name: &str, spans: u64) -> Result<Tenant> {
    let key = sign_up(http, name).await?;
    let mut sending = load(&args.load, Encoding::Protobuf, LOADED_WITHIN);
    sending.target.url = http.to_string();
    sending.target.key.clone_from(&key);
    sending.spans = Some(spans);
    sending.history = Some(Duration::from_secs(args.days * 86_400));
    let sent = send::run(&sending).await?;
    ensure!(sent.is_clean(), "the load did not go through: {}", serde_json::to_string(&sent)?);
    Ok(Tenant { name: name.to_owned(), spans, key })
}
