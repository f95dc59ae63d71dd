//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::batch::Encoding;

/// Sends realistic agent traces to Spanlake, and looks whether they arrived.
#[derive(Parser)]
#[command(name = "spanlake-load", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Send traces for a while, or so many, and print what was measured.
    Send(Send),
    /// Read back what a ledger says was acknowledged; exit 1 if a span is missing or there twice.
    Verify(Verify),
    /// Write a trace and read it back at once, again and again; print how long it took to be visible.
    Probe(Probe),
    /// Run a server of our own, kill it under load again and again, and look whether it keeps what it promised.
    Crash(Crash),
    /// Measure a server of our own: ingest, bytes on disk, recovery, memory.
    Bench(Bench),
    /// Fill a server of our own with history, and ask what people ask.
    Queries(Queries),
    /// Fill a server of our own with history, and time exports of it.
    Exports(Exports),
    /// Write requests into a folder, one file each, for measurements that need no server.
    Write(Write),
}

#[derive(Args)]
pub(crate) struct Target {
    /// Base URL of OTLP/HTTP and of the reading API.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// An API key that may write (`send`), read (`verify`), or both (`probe`).
    #[arg(long, env = "SPANLAKE_KEY", hide_env_values = true)]
    pub(crate) key: String,
    /// Also talk to other machines.
    #[arg(long)]
    pub(crate) allow_remote: bool,
}

#[derive(Args)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Base URL of OTLP/gRPC; only used with `--encoding grpc`.
    #[arg(long, default_value = "http://127.0.0.1:4317")]
    pub(crate) grpc: String,
    #[arg(long, value_enum, default_value = "protobuf")]
    pub(crate) encoding: Encoding,
    /// Compress requests. Costs the generator far more than sending does: watch `generator.starved_seconds`.
    #[arg(long)]
    pub(crate) gzip: bool,
    /// Spans per request.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) batch: u32,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(crate) connections: u32,
    /// How long to send, as `500ms`, `10s`, `5m` or `2h`; 10s if absent. With `--spans`: how long at most, 10m if absent.
    #[arg(long, value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Send exactly so many spans; it is an error when the time is up before.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    pub(crate) spans: Option<u64>,
    /// Spans per second to keep to; without it, as fast as the server acknowledges.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// Stamp the spans as if they had been sent over so long, until now, at an even pace. Needs `--spans`.
    #[arg(long, value_parser = history, requires = "spans")]
    pub(crate) history: Option<Duration>,
    /// Stamp the spans as if they had been sent so many days ago.
    #[arg(long, value_parser = history)]
    pub(crate) ago: Option<Duration>,
    /// What the traces are drawn from.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// Told apart by this, two runs never share an id; the time of the start if absent.
    #[arg(long)]
    pub(crate) run: Option<u64>,
    /// Different batches that are encoded before the clock starts; after so many, texts repeat (ids never do).
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub(crate) pool: u32,
    /// Threads that prepare batches while others are sent.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) generators: u32,
    /// How often a batch is sent again before it is given up.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub(crate) retries: u32,
    /// Append the ids of each acknowledged batch to this file.
    #[arg(long)]
    pub(crate) ledger: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The file that `send --ledger` wrote.
    #[arg(long)]
    pub(crate) ledger: PathBuf,
    /// Traces read at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) connections: u32,
    /// Give up after so long.
    #[arg(long, default_value = "30m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Args)]
pub(crate) struct Probe {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How many traces, one after the other.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) count: u32,
    /// Spans per trace at most.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) spans: u32,
    /// A trace that is not visible so long after its acknowledgement is an error.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// What the traces are drawn from.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
}

#[derive(Args)]
pub(crate) struct Crash {
    /// The server's binary; `spanlake-server` beside this one if absent.
    #[arg(long)]
    pub(crate) server: Option<PathBuf>,
    /// How often it is killed under load.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) cycles: u64,
    /// When it is killed and what is sent again is drawn from this; the time of the start if absent.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Senders, each with one request under way.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(crate) connections: u64,
    /// Spans per request.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) batch: u32,
    /// After so many cycles everything is read back, not just what the cycle touched; it is at the end in any case.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) full_every: u64,
    /// A start that takes longer is an error.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub(crate) ready_within: Duration,
    /// The whole run may take so long; ten seconds a cycle and a minute if absent.
    #[arg(long, value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Where the server's folder is made; the system's temporary folder if absent. What went wrong stays there to be looked at.
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Bench {
    /// The server's binary; `spanlake-server` beside this one if absent.
    #[arg(long)]
    pub(crate) server: Option<PathBuf>,
    /// Where everything is written; the servers' logs and the data of `disk` stay there.
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// How long the full load lasts; half load takes half of it, JSON and gRPC a quarter each.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// Spans that are written for the size on disk, and for recovery.
    #[arg(long, default_value_t = 400_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub(crate) spans: u64,
    /// How long memory is watched under a load that the server can bear; not at all if absent.
    #[arg(long, value_parser = duration)]
    pub(crate) soak: Option<Duration>,
    /// Spans a second of that load; half of what went through if absent.
    #[arg(long, requires = "soak", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) soak_rate: Option<u32>,
    #[command(flatten)]
    pub(crate) load: Load,
}

/// What is sent to servers of our own.
#[derive(Args)]
pub(crate) struct Load {
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(crate) connections: u32,
    /// Spans per request.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) batch: u32,
    /// Different batches; after so many, texts repeat, which makes files smaller than real ones are.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub(crate) pool: u32,
    /// What the traces are drawn from.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
}

#[derive(Args)]
pub(crate) struct Queries {
    /// The server's binary; `spanlake-server` beside this one if absent.
    #[arg(long)]
    pub(crate) server: Option<PathBuf>,
    /// Where everything is written. A folder that a run before has loaded is asked again as it is.
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// Spans of all tenants together: of ten, eight are the big one's.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(10_000..=1_000_000_000))]
    pub(crate) spans: u64,
    /// Days, until now, that they are spread over.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=365))]
    pub(crate) days: u64,
    /// How often each question is asked when everything is warm.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rounds: u32,
    /// Only the questions whose name holds this.
    #[arg(long)]
    pub(crate) only: Option<String>,
    #[command(flatten)]
    pub(crate) load: Load,
}

#[derive(Args)]
pub(crate) struct Exports {
    /// The server's binary; `spanlake-server` beside this one if absent.
    #[arg(long)]
    pub(crate) server: Option<PathBuf>,
    /// Where everything is written. A folder that a run before has loaded is exported again as it is.
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// Spans that are there to be exported.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(20_000..=1_000_000_000))]
    pub(crate) spans: u64,
    /// Days, until now, that they are spread over.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=365))]
    pub(crate) days: u64,
    /// Spans a second that another tenant sends, without and with an export beside it.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// How long it sends, each time.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub(crate) beside: Duration,
    /// Only the exports whose name holds this, and nothing else.
    #[arg(long)]
    pub(crate) only: Option<String>,
    #[command(flatten)]
    pub(crate) load: Load,
}

#[derive(Args)]
pub(crate) struct Write {
    /// Where; must not be there yet.
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// How many requests.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub(crate) batches: u32,
    /// Spans per request.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) batch: u32,
    #[arg(long, value_enum, default_value = "protobuf")]
    pub(crate) encoding: Encoding,
    /// What the traces are drawn from.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
}

/// At least a day and at most a year, in days: `30d`.
fn history(text: &str) -> Result<Duration, String> {
    let days: u64 = text.strip_suffix('d').and_then(|days| days.parse().ok()).ok_or("write it in days, as 30d")?;
    if (1..=365).contains(&days) { Ok(Duration::from_secs(days * 86_400)) } else { Err("from 1d to 365d".to_owned()) }
}

const DURATION_MAX: Duration = Duration::from_secs(24 * 3_600);

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "write it as 500ms, 10s, 5m or 2h".to_owned())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("write it as 500ms, 10s, 5m or 2h".to_owned()),
    };
    let duration = Duration::from_millis(number.saturating_mul(millis));
    if duration.is_zero() || duration > DURATION_MAX {
        return Err("more than 0 and at most 24h".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_have_a_unit_and_a_bound() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7_200)));
        for wrong in ["10", "s", "0s", "25h", "-1s", "99999999999999999999s", "1 s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
