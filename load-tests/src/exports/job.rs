//! One export into files, from asking for it until its manifest is there.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use super::History;
use crate::client::{get_json, reader};
use crate::report::rounded;
use crate::server::{Setting, data};
use crate::stage::begin;
use crate::target::join;
use crate::usage::{cpu_seconds, forget_peak, peak_mb, resident_mb};

/// The time until somebody takes the export is not what is measured.
pub(super) const SETTINGS: [Setting; 1] = [("SPANLAKE_EXPORT__LOOK_INTERVAL_MS", "10")];
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const DONE_WITHIN: Duration = Duration::from_secs(3_600);

/// A kind of file.
pub(super) struct Kind {
    pub(super) name: &'static str,
    table: &'static str,
    format: &'static str,
    compression: &'static str,
}

/// What is measured. The first is what ingest is measured beside.
pub(super) const KINDS: [Kind; 6] = [
    spans("parquet", "parquet", "zstd"),
    spans("jsonl", "jsonl", "none"),
    spans("jsonl.zst", "jsonl", "zstd"),
    spans("csv", "csv", "none"),
    spans("csv.zst", "csv", "zstd"),
    Kind { name: "traces", table: "traces", format: "parquet", compression: "zstd" },
];

const fn spans(name: &'static str, format: &'static str, compression: &'static str) -> Kind {
    Kind { name, table: "spans", format, compression }
}

/// What an export took.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    name: &'static str,
    rows: u64,
    bytes: u64,
    files: u64,
    pub(super) seconds: f64,
    rows_per_second: f64,
    mb_per_second: f64,
    /// Processor time of the whole server.
    cpu_us_per_row: f64,
    /// Resident before, and at most.
    before_mb: f64,
    peak_mb: f64,
}

/// An export as the server shows it, of which a part is enough.
#[derive(Deserialize)]
struct Export {
    id: String,
    status: String,
    last_manifest: Option<Written>,
    error: Option<serde_json::Value>,
}

/// Of a run that has ended.
#[derive(Deserialize)]
pub(super) struct Written {
    rows: u64,
    bytes: u64,
    files: u64,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

/// On a server of its own. The files are gone when it answers.
pub(super) async fn measure(binary: &Path, folder: &Path, history: &History, kind: &'static Kind) -> Result<Measured> {
    let (server, http, ..) = begin(binary, folder, &SETTINGS).await?;
    let process = server.id();
    let client = reader(&history.key)?;
    let (before_mb, cpu) = (resident_mb(process)?, cpu_seconds(process)?);
    forget_peak(process)?;
    let begun = Instant::now();
    let written = run(&client, &http, kind).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let (peak_mb, cpu) = (peak_mb(process)?, cpu_seconds(process)? - cpu);
    let is_whole = if kind.table == "spans" { written.rows == history.spans } else { written.rows > 0 };
    ensure!(is_whole, "{}: {} rows of {} spans", kind.name, written.rows, history.spans);
    server.kill()?;
    clear(folder)?;
    Ok(Measured {
        name: kind.name,
        rows: written.rows,
        bytes: written.bytes,
        files: written.files,
        seconds: rounded(seconds),
        rows_per_second: (written.rows as f64 / seconds).round(),
        mb_per_second: rounded(written.bytes as f64 / 1e6 / seconds),
        cpu_us_per_row: rounded(cpu * 1e6 / written.rows as f64),
        before_mb,
        peak_mb,
    })
}

/// Asks for an export of all spans and waits for its end.
///
/// # Errors
/// It is refused or fails, or is not done in an hour.
pub(super) async fn run(client: &reqwest::Client, http: &Url, kind: &Kind) -> Result<Written> {
    let asked = json!({
        "table": kind.table, "format": kind.format, "compression": kind.compression,
        "destination": {"type": "file", "path": "measured"},
    });
    let response = client.post(join(http, "/v1/exports")?).json(&asked).send().await?;
    let status = response.status();
    let body = response.bytes().await?;
    ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    let Answer { data: Export { id, .. } } = serde_json::from_slice(&body)?;
    let url = join(http, &format!("/v1/exports/{id}"))?;
    let begun = Instant::now();
    while begun.elapsed() < DONE_WITHIN {
        let Answer { data: export } =
            get_json::<Answer<Export>>(client, url.clone()).await?.context("the export is gone")?;
        if export.status == "done" {
            return export.last_manifest.context("an export that is done has a manifest");
        }
        if let Some(error) = export.error {
            bail!("{}: {error}", kind.name);
        }
        sleep(LOOK_AGAIN).await;
    }
    bail!("{}: not done within {DONE_WITHIN:?}", kind.name)
}

/// Removes what was exported.
pub(super) fn clear(folder: &Path) -> Result<()> {
    Ok(std::fs::remove_dir_all(data(folder).join("exports"))?)
}
