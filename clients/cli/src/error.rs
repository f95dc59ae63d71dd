//! What went wrong, in words for whoever typed the command, and the exit code for whatever ran it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;

use crate::console::Console;
use crate::protobuf;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody knows who asks, or they may not.
    #[error("{0}")]
    Auth(String),
    /// It cannot be asked like this.
    #[error("{0}")]
    Invalid(String),
    /// Too often.
    #[error("Rate limited: {message} Try again in {} min.", retry_after.as_secs().div_ceil(60).max(1))]
    RateLimited {
        /// What the server said.
        message: String,
        /// When it may work.
        retry_after: Duration,
    },
    /// The server cannot just now.
    #[error("{message}")]
    Unavailable {
        /// What it said.
        message: String,
        /// When it may.
        retry_after: Duration,
    },
    /// The server failed, or what it sent broke off.
    #[error("{0}")]
    Server(String),
    /// The server was not reached.
    #[error("cannot reach {url}: {why}")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// Why not.
        why: String,
    },
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard input or output.
    #[error("{what}: {source}")]
    Stream {
        /// Which.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// `{"error": {"code", "message", "details"}}`.
#[derive(Deserialize)]
struct Envelope {
    error: Refusal,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
    #[serde(default)]
    details: std::collections::BTreeMap<String, String>,
}

/// `google.rpc.Status`, of what takes OTLP.
#[derive(Deserialize)]
struct Status {
    message: String,
}

/// What is at the root of it says more than what was going on.
pub(crate) fn root(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

/// What an answer says of why: ours, or a `google.rpc.Status` in JSON or protobuf.
fn said(body: &[u8]) -> Option<String> {
    if let Ok(Envelope { error }) = serde_json::from_slice(body) {
        let details = error.details.iter().map(|(place, why)| format!("\n  {place}: {why}"));
        return Some(error.message + &details.collect::<String>());
    }
    match serde_json::from_slice::<Status>(body) {
        Ok(status) => Some(status.message),
        // A page of a proxy is no message that is worth reading.
        Err(_) if body.first().is_some_and(|byte| *byte < b' ') => protobuf::text(body, 2),
        Err(_) => None,
    }
}

impl Error {
    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
    pub(crate) fn output(source: io::Error) -> Self {
        Self::Stream { what: "cannot write the output", source }
    }
    pub(crate) fn input(source: io::Error) -> Self {
        Self::Stream { what: "cannot read the answer", source }
    }

    /// Of an answer that is no success.
    pub(crate) fn of_answer(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let message = said(body).unwrap_or_else(|| format!("the server answered {status}"));
        match status {
            401 => Self::Auth(format!(
                "{message}\nRun 'spanlake login', or give a key with --api-key or SPANLAKE_API_KEY."
            )),
            403 => Self::Auth(format!("Access denied: {message}")),
            429 => Self::RateLimited { message, retry_after: retry_after.unwrap_or(Duration::from_secs(60)) },
            503 => Self::Unavailable { message, retry_after: retry_after.unwrap_or(Duration::from_secs(5)) },
            400 | 422 => Self::Invalid(format!("Validation error: {message}")),
            300..500 => Self::Invalid(message),
            _ => Self::Server(message),
        }
    }

    /// Whether the same may work in a moment.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Server(_) | Self::Unavailable { .. } | Self::Unreachable { .. })
    }

    /// For whatever ran the command.
    pub fn code(&self) -> u8 {
        match self {
            Self::Auth(_) => 1,
            Self::Invalid(_) => 2,
            Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::Server(_)
            | Self::Unreachable { .. }
            | Self::File { .. }
            | Self::Stream { .. } => 5,
        }
    }

    /// Whoever read the output has closed the pipe.
    fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Stream { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Says it, and what to exit with. Whoever has closed the pipe has seen enough: that is no failure.
    pub fn report(&self, console: &mut Console) -> ExitCode {
        if self.is_closed_pipe() {
            return ExitCode::SUCCESS;
        }
        console.tell(&format!("spanlake: {self}"));
        ExitCode::from(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &[u8]) -> Error {
        Error::of_answer(status, None, body)
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let codes =
            [(401, 1), (403, 1), (400, 2), (404, 2), (409, 2), (422, 2), (429, 5), (500, 5), (503, 5), (504, 5)];
        for (status, code) in codes {
            assert_eq!(of(status, b"{}").code(), code, "{status}");
        }
    }

    #[test]
    fn what_the_server_says_is_passed_on_in_whichever_form() {
        let ours =
            br#"{"error":{"code":"c","message":"Two are wrong.","details":{"limit":"too large","name":"empty"}}}"#;
        let said = of(400, ours).to_string();
        assert_eq!(said, "Validation error: Two are wrong.\n  limit: too large\n  name: empty");
        assert_eq!(of(404, br#"{"code":5,"message":"no such path","details":[]}"#).to_string(), "no such path");
        assert_eq!(of(404, b"\x08\x03\x12\x07no span").to_string(), "no span");
        assert_eq!(of(502, b"<html>Bad Gateway</html>").to_string(), "the server answered 502");
    }

    #[test]
    fn who_closes_the_pipe_has_seen_enough() {
        let closed = Error::output(io::ErrorKind::BrokenPipe.into());
        let full = Error::output(io::ErrorKind::StorageFull.into());
        assert!(closed.is_closed_pipe() && !full.is_closed_pipe());
    }
}
