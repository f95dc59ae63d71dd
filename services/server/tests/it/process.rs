//! The binary, as a child process.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use spanlake_testkit::eventually;

/// A process of ours that said it is ready. Killed, by its id, when dropped.
pub(crate) struct Process {
    role: &'static str,
    child: Child,
    ready: Value,
    log: PathBuf,
}

/// How long a start may take; a replay of a log included.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

impl Process {
    /// Starts a role with these settings and nothing else from our environment, and waits for its line on stdout.
    ///
    /// Call it on the test's own thread: the child dies with the thread that made it, so that nothing survives a test
    /// that is itself killed.
    pub(crate) fn start(role: &'static str, folder: &Path, settings: &[(&str, String)]) -> Self {
        let log = folder.join(format!("{role}.log"));
        let stderr = File::options().create(true).append(true).open(&log).unwrap();
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", env!("CARGO_BIN_EXE_spanlake-server"), role])
            .env_clear()
            .envs(settings.iter().map(|(name, value)| (name, value.as_str())))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("setpriv (util-linux) starts the server");
        let (sender, line) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = BufReader::new(stdout).read_line(&mut text);
            let _ = sender.send(text);
        });
        let mut process = Self { role, child, ready: Value::Null, log };
        let line = line.recv_timeout(READY_TIMEOUT).unwrap_or_default();
        process.ready = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{role} did not get ready, it said '{line}'\n{}", process.log()));
        assert_eq!(process.ready["ready"], true);
        process
    }

    pub(crate) fn role(&self) -> &'static str {
        self.role
    }

    /// One of the addresses it said.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        let said = self.ready[name].as_str().unwrap_or_else(|| panic!("{} has no {name}: {}", self.role, self.ready));
        said.parse().unwrap()
    }

    /// SIGTERM, and nothing more.
    pub(crate) fn terminate(&self) {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM).unwrap();
    }

    /// Waits for its end, which must be a good one.
    pub(crate) async fn ended(mut self) {
        let (role, child) = (self.role, &mut self.child);
        let what = format!("the end of {role}");
        let status = eventually(&what, || std::future::ready(child.try_wait().unwrap())).await;
        assert_eq!(status.code(), Some(0), "{role}: {status}\n{}", self.log());
    }

    /// As a power cut for the process: no chance to say goodbye.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The end of what it logged.
    pub(crate) fn log(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        format!("--- {} ---\n{}", self.role, lines[lines.len().saturating_sub(30)..].join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
