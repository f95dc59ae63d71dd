//! A folder full of history: spans of many days that a server has taken in, written and merged.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Url;

use crate::account::sign_up;
use crate::batch::Encoding;
use crate::stage::{COMPACT, DRAIN_WITHIN, begin, compacted, load};
use crate::{cli, send};

const LOADED_WITHIN: Duration = Duration::from_secs(3 * 3_600);
const COMPACTED_WITHIN: Duration = Duration::from_secs(3_600);

/// Signs up a tenant and sends it so many spans, spread over the days until now. Answers its key.
///
/// # Errors
/// The server refuses the tenant or a span.
pub(crate) async fn send(args: &cli::Load, http: &Url, name: &str, spans: u64, days: u64) -> Result<String> {
    let key = sign_up(http, name).await?;
    let mut sending = load(args, Encoding::Protobuf, LOADED_WITHIN);
    sending.target.url = http.to_string();
    sending.target.key.clone_from(&key);
    sending.spans = Some(spans);
    sending.history = Some(Duration::from_secs(days * 86_400));
    let sent = send::run(&sending).await?;
    ensure!(sent.is_clean(), "the load did not go through: {}", serde_json::to_string(&sent)?);
    Ok(key)
}

/// Merges the files of a folder that no server is on.
///
/// # Errors
/// The compactor is not done in an hour.
pub(crate) async fn compact(binary: &Path, folder: &Path) -> Result<()> {
    let (server, ..) = begin(binary, folder, &COMPACT).await?;
    compacted(folder, COMPACTED_WITHIN).await?;
    server.drain(DRAIN_WITHIN).await
}
