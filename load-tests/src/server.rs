//! A standalone server as a child process, which can be measured and killed.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use reqwest::Url;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// How often to look whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A standalone server. Killed, by its id, when dropped, and by the system when this process ends first.
pub(crate) struct Server {
    child: Child,
    ready: oneshot::Receiver<String>,
    begun: Instant,
}

/// A setting by its name in the environment, and its value.
pub(crate) type Setting = (&'static str, &'static str);

/// Where it listens, and how long the start took.
pub(crate) struct Ready {
    pub(crate) http: Url,
    pub(crate) grpc: Url,
    pub(crate) took: Duration,
}

/// What it says when it is ready.
#[derive(Deserialize)]
struct Line {
    http: String,
    otlp_grpc: String,
}

impl Server {
    /// Starts `binary` on `folder` with these settings, ports of its own and nothing of our environment. Call it on the main
    /// thread: the child dies with the thread that made it.
    pub(crate) fn start(binary: &Path, folder: &Path, settings: &[Setting]) -> Result<Self> {
        let log = File::options().create(true).append(true).open(folder.join("server.log"))?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(binary)
            .arg("standalone")
            .env_clear()
            .envs(["SPANLAKE_HTTP", "SPANLAKE_OTLP_HTTP", "SPANLAKE_OTLP_GRPC"].map(|name| (name, "127.0.0.1:0")))
            .envs(settings.iter().copied())
            .env("SPANLAKE_DATA_DIR", data(folder))
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

    /// Waits for its line.
    ///
    /// # Errors
    /// It ended, or was not ready `within` so long.
    pub(crate) async fn ready(&mut self, within: Duration) -> Result<Ready> {
        let line = tokio::time::timeout(within, &mut self.ready)
            .await
            .map_err(|_| anyhow!("the server was not ready within {within:?}"))??;
        let took = self.begun.elapsed();
        let Line { http, otlp_grpc } = serde_json::from_str(&line).context("the server ended before it was ready")?;
        let url = |address: String| Url::parse(&format!("http://{address}"));
        Ok(Ready { http: url(http)?, grpc: url(otlp_grpc)?, took })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no chance to say goodbye.
    ///
    /// # Errors
    /// It had ended before by itself.
    pub(crate) fn kill(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended by itself, {status}");
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, upon which it writes everything into files and ends.
    ///
    /// # Errors
    /// It does not end `within` so long, or not well.
    pub(crate) async fn drain(mut self, within: Duration) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = tokio::time::timeout(within, self.ended())
            .await
            .with_context(|| format!("the server has not drained within {within:?}"))??;
        anyhow::ensure!(status.success(), "the server did not drain well, {status}");
        Ok(())
    }

    async fn ended(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a server on `folder` keeps its data.
pub(crate) fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Every file below `folder` that ends so. A file that goes while we look is gone.
pub(crate) fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(found) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The binary beside ours, or the one that was named.
///
/// # Errors
/// It is not there.
pub(crate) fn binary(named: Option<&Path>) -> Result<PathBuf> {
    let binary = match named {
        Some(binary) => binary.to_path_buf(),
        None => std::env::current_exe()?.with_file_name("spanlake-server"),
    };
    binary.canonicalize().with_context(|| format!("{} is not there", binary.display()))
}
