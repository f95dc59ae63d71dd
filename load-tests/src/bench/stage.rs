//! One server on a folder of its own, for one measurement.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Url;

use crate::account::sign_up;
use crate::batch::Encoding;
use crate::cli;
use crate::send;
use crate::server::{Server, Setting, data, files};

/// A start may take so long, replay included.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// A drain may take so long.
pub(super) const DRAIN_WITHIN: Duration = Duration::from_secs(180);
/// What is measured must not be cut short.
const PATIENT: Setting = ("SPANLAKE_SHUTDOWN_DEADLINE", "170s");

/// A server and how to reach it.
pub(super) struct Stage {
    pub(super) server: Server,
    pub(super) folder: PathBuf,
    http: Url,
    grpc: Url,
    key: String,
}

impl Stage {
    /// On an empty folder of this name.
    pub(super) async fn set(bench: &cli::Bench, binary: &Path, name: &str, settings: &[Setting]) -> Result<Self> {
        let folder = bench.folder.join(name);
        ensure!(!folder.exists(), "{} is there already", folder.display());
        std::fs::create_dir_all(&folder)?;
        let (server, http, grpc, _) = begin(binary, &folder, settings).await?;
        let key = sign_up(&http).await?;
        Ok(Self { server, folder, http, grpc, key })
    }

    /// Sends as `args` say, to this server.
    pub(super) async fn send(&self, mut args: cli::Send) -> Result<send::Report> {
        args.target.url = self.http.to_string();
        args.grpc = self.grpc.to_string();
        args.target.key.clone_from(&self.key);
        let report = send::run(&args).await?;
        ensure!(report.is_clean(), "the load did not go through: {}", serde_json::to_string(&report)?);
        Ok(report)
    }
}

/// A server on a folder that is there, and how long it took to get ready.
pub(super) async fn begin(binary: &Path, folder: &Path, settings: &[Setting]) -> Result<(Server, Url, Url, Duration)> {
    let settings: Vec<Setting> = settings.iter().copied().chain([PATIENT]).collect();
    let mut server = Server::start(binary, folder, &settings)?;
    let ready = server.ready(READY_WITHIN).await?;
    Ok((server, ready.http, ready.grpc, ready.took))
}

/// As fast as the server acknowledges, for so long.
pub(super) fn load(bench: &cli::Bench, encoding: Encoding, duration: Duration) -> cli::Send {
    cli::Send {
        target: cli::Target { url: String::new(), key: String::new(), allow_remote: false },
        grpc: String::new(),
        encoding,
        gzip: false,
        batch: bench.batch,
        connections: bench.connections,
        duration: Some(duration),
        spans: None,
        rate: None,
        seed: bench.seed,
        run: None,
        pool: bench.pool,
        generators: 1,
        // A server that is full says "later"; that is part of what is measured.
        retries: 1_000,
        ledger: None,
    }
}

/// Bytes in files of a folder's server that end so, and how many files.
pub(super) fn size(folder: &Path, extension: &str) -> Result<(u64, u64)> {
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
