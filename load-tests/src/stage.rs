//! One server on a folder of its own, for one measurement.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Url;
use tokio::time::{Instant, sleep};

use crate::account::sign_up;
use crate::batch::Encoding;
use crate::cli;
use crate::send;
use crate::server::{Server, Setting, data, files};

/// The compactor stands aside.
pub(crate) const FLUSH_ONLY: [Setting; 1] = [("SPANLAKE_COMPACTOR__LOOK_INTERVAL_S", "86400")];
/// It merges all it can, and what it replaced goes at once.
pub(crate) const COMPACT: [Setting; 3] = [
    ("SPANLAKE_COMPACTOR__LEAST_FILES", "2"),
    ("SPANLAKE_COMPACTOR__LOOK_INTERVAL_S", "1"),
    ("SPANLAKE_COMPACTOR__LINGERING_S", "0"),
];
/// Nothing changed for so long: the compactor is done.
const QUIET: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A start may take so long, replay included.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// A drain may take so long.
pub(crate) const DRAIN_WITHIN: Duration = Duration::from_secs(180);
/// What is measured must not be cut short.
const PATIENT: Setting = ("SPANLAKE_SHUTDOWN_DEADLINE", "170s");

/// A server and how to reach it.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) folder: PathBuf,
    pub(crate) http: Url,
    grpc: Url,
    key: String,
}

impl Stage {
    /// On an empty folder of this name in `folder`, with a tenant.
    pub(crate) async fn set(folder: &Path, binary: &Path, name: &str, settings: &[Setting]) -> Result<Self> {
        let folder = folder.join(name);
        ensure!(!folder.exists(), "{} is there already", folder.display());
        std::fs::create_dir_all(&folder)?;
        let (server, http, grpc, _) = begin(binary, &folder, settings).await?;
        let key = sign_up(&http, "load").await?;
        Ok(Self { server, folder, http, grpc, key })
    }

    /// Sends as `args` say, to this server.
    pub(crate) async fn send(&self, mut args: cli::Send) -> Result<send::Report> {
        args.target.url = self.http.to_string();
        args.grpc = self.grpc.to_string();
        args.target.key.clone_from(&self.key);
        let report = send::run(&args).await?;
        ensure!(report.is_clean(), "the load did not go through: {}", serde_json::to_string(&report)?);
        Ok(report)
    }
}

/// A server on a folder that is there, and how long it took to get ready.
pub(crate) async fn begin(binary: &Path, folder: &Path, settings: &[Setting]) -> Result<(Server, Url, Url, Duration)> {
    let settings: Vec<Setting> = settings.iter().copied().chain([PATIENT]).collect();
    let mut server = Server::start(binary, folder, &settings)?;
    let ready = server.ready(READY_WITHIN).await?;
    Ok((server, ready.http, ready.grpc, ready.took))
}

/// As fast as the server acknowledges, for so long.
pub(crate) fn load(load: &cli::Load, encoding: Encoding, duration: Duration) -> cli::Send {
    cli::Send {
        target: cli::Target { url: String::new(), key: String::new(), allow_remote: false },
        grpc: String::new(),
        encoding,
        gzip: false,
        batch: load.batch,
        connections: load.connections,
        duration: Some(duration),
        spans: None,
        rate: None,
        history: None,
        ago: None,
        seed: load.seed,
        run: None,
        pool: load.pool,
        generators: 1,
        // A server that is full says "later"; that is part of what is measured.
        retries: 1_000,
        ledger: None,
    }
}

/// Bytes in files of a folder's server that end so, and how many files.
pub(crate) fn size(folder: &Path, extension: &str) -> Result<(u64, u64)> {
    let (mut bytes, mut count) = (0, 0);
    for file in files(&data(folder), extension)? {
        // The compactor may have removed it since.
        if let Ok(about) = file.metadata() {
            bytes += about.len();
            count += 1;
        }
    }
    Ok((bytes, count))
}

/// Waits until files have been the same for a while; answers when they last changed.
pub(crate) async fn compacted(folder: &Path, within: Duration) -> Result<Duration> {
    let begun = Instant::now();
    let (mut last, mut changed) = (size(folder, "parquet")?, begun);
    while changed.elapsed() < QUIET {
        ensure!(begun.elapsed() < within, "the compactor was not done within {within:?}");
        sleep(LOOK_AGAIN).await;
        let now = size(folder, "parquet")?;
        if now != last {
            (last, changed) = (now, Instant::now());
        }
    }
    Ok(changed - begun)
}
