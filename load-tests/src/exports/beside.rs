//! What a tenant that sends feels of another that exports.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use reqwest::Url;
use serde::Serialize;

use super::History;
use super::job::{KINDS, SETTINGS, clear, run};
use crate::account::sign_up;
use crate::batch::Encoding;
use crate::client::reader;
use crate::clock::now_nanos;
use crate::report::rounded;
use crate::stage::{DRAIN_WITHIN, begin, load};
use crate::{cli, send};

/// Exports that a tenant may ask for in an hour.
const EXPORTS_MAX: u64 = 10;

/// The same load twice, each on a server of its own.
#[derive(Debug, Serialize)]
pub(super) struct Beside {
    rate: u32,
    alone: send::Report,
    beside: send::Report,
    /// Exports that ended while the load went on; they follow each other.
    exports: u64,
    /// How long of the load and its preparation one was under way.
    exporting_seconds: f64,
}

pub(super) async fn measure(args: &cli::Exports, binary: &Path, history: &History) -> Result<Beside> {
    let (server, http, ..) = begin(binary, &args.folder, &SETTINGS).await?;
    let alone = send_to(args, &http).await?;
    server.drain(DRAIN_WITHIN).await?;
    let (server, http, ..) = begin(binary, &args.folder, &SETTINGS).await?;
    let (begun, mut exports) = (Instant::now(), 0);
    let (beside, exporting) = {
        let sending = send_to(args, &http);
        let exporting = export_on(history, &http, &mut exports);
        tokio::pin!(sending, exporting);
        tokio::select! {
            sent = &mut sending => (sent?, begun.elapsed()),
            ended = &mut exporting => {
                ended?;
                let exporting = begun.elapsed();
                (sending.await?, exporting)
            }
        }
    };
    server.drain(DRAIN_WITHIN).await?;
    clear(&args.folder)?;
    Ok(Beside { rate: args.rate, alone, beside, exports, exporting_seconds: rounded(exporting.as_secs_f64()) })
}

/// To a tenant of its own, each time.
async fn send_to(args: &cli::Exports, http: &Url) -> Result<send::Report> {
    let mut sending = load(&args.load, Encoding::Protobuf, args.beside);
    sending.target.url = http.to_string();
    sending.target.key = sign_up(http, &format!("beside{}", now_nanos())).await?;
    sending.rate = Some(args.rate);
    let sent = send::run(&sending).await?;
    ensure!(sent.is_clean(), "the load did not go through: {}", serde_json::to_string(&sent)?);
    Ok(sent)
}

/// One export after the other, as many as may be.
async fn export_on(history: &History, http: &Url, exports: &mut u64) -> Result<()> {
    let client = reader(&history.key)?;
    for _ in 0..EXPORTS_MAX {
        run(&client, http, &KINDS[0]).await?;
        *exports += 1;
    }
    Ok(())
}
