//! The server as a child process that is killed again and again.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use reqwest::Url;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Flushes, rolls of the log and merges happen all the time, so that a kill meets every moment of them.
const SETTINGS: [(&str, &str); 11] = [
    ("SPANLAKE_HTTP", "127.0.0.1:0"),
    ("SPANLAKE_OTLP_HTTP", "127.0.0.1:0"),
    ("SPANLAKE_OTLP_GRPC", "127.0.0.1:0"),
    ("SPANLAKE_INGEST__FLUSH_BYTES", "600000"),
    ("SPANLAKE_INGEST__FLUSH_AGE_S", "1"),
    ("SPANLAKE_INGEST__FLUSH_SMALL_BYTES", "0"),
    ("SPANLAKE_INGEST__FLUSH_CHECK_MS", "20"),
    ("SPANLAKE_INGEST__LOG__SEGMENT_BYTES_MAX", "400000"),
    ("SPANLAKE_COMPACTOR__LEAST_FILES", "3"),
    ("SPANLAKE_COMPACTOR__LOOK_INTERVAL_S", "1"),
    ("SPANLAKE_COMPACTOR__LINGERING_S", "5"),
];

/// A standalone server. Killed, by its id, when dropped, and by the system when this process ends first.
pub(super) struct Server {
    child: Child,
    ready: oneshot::Receiver<String>,
    begun: Instant,
}

/// What it says when it is ready.
#[derive(Deserialize)]
struct Ready {
    http: String,
}

impl Server {
    /// Starts `binary` on `folder` with nothing of our environment. Call it on the main thread: the child dies with the
    /// thread that made it.
    pub(super) fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log_path(folder))?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(binary)
            .arg("standalone")
            .env_clear()
            .envs(SETTINGS)
            .env("SPANLAKE_DATA_DIR", folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("setpriv (util-linux) does not start")?;
        let stdout = child.stdout.take().context("the server has no standard output")?;
        let (sender, ready) = oneshot::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            // No line is an empty one: the process has ended.
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = sender.send(line);
        });
        Ok(Self { child, ready, begun: Instant::now() })
    }

    /// Where its public API listens, and how long the start took.
    ///
    /// # Errors
    /// It ended, or was not ready `within` so long.
    pub(super) async fn ready(&mut self, within: Duration) -> Result<(Url, Duration)> {
        let line = tokio::time::timeout(within, &mut self.ready)
            .await
            .map_err(|_| anyhow!("the server was not ready within {within:?}"))??;
        let took = self.begun.elapsed();
        let ready: Ready = serde_json::from_str(&line).context("the server ended before it was ready")?;
        Ok((Url::parse(&format!("http://{}", ready.http))?, took))
    }

    /// SIGKILL: no chance to say goodbye.
    ///
    /// # Errors
    /// It had ended before by itself.
    pub(super) fn kill(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended by itself, {status}");
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the server logged, all its lives in one file.
pub(super) fn log_path(folder: &Path) -> PathBuf {
    folder.join("server.log")
}
