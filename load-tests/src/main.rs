//! A generator of realistic agent traces, and the readers that check that they arrived.
//!
//! ```text
//! send   ─▶ OTLP (protobuf, JSON, gRPC) ─▶ server     prints rates and latencies; notes acknowledged ids in a ledger
//! verify ─▶ ledger ─▶ GET /v1/traces/{id}             prints what is missing or there twice
//! probe  ─▶ write one trace, read it at once          prints how long until it was visible
//! crash  ─▶ a server of its own, killed under load      prints what was lost, doubled, or made up
//! bench  ─▶ servers of its own, under load              prints rates, sizes, recovery, memory
//! queries ▶ a server of its own, full of history         prints how long each question takes
//! exports ▶ a server of its own, full of history         prints rows a second, memory, and what ingest feels
//! write  ─▶ requests in files                         for measurements without a server
//! ```
//! Invariants: everything in a trace but its ids and times comes from a seed; no two batches share an id; every run ends, by
//! time or by count; no other machine is talked to unless asked for; standard output carries one JSON report and nothing else.

mod account;
mod batch;
mod bench;
mod cli;
mod client;
mod clock;
mod crash;
mod exports;
mod history;
mod ledger;
mod locate;
mod population;
mod probe;
mod queries;
mod random;
mod report;
mod send;
mod server;
mod stage;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod trace;
mod usage;
mod verify;
mod write;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "spanlake-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well; the report is printed either way.
async fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Send(args) => {
            let report = send::run(&args).await?;
            report::print(&report)?;
            Ok(report.is_clean())
        }
        Command::Verify(args) => {
            let report = verify::run(&args).await?;
            report::print(&report)?;
            Ok(report.is_clean())
        }
        Command::Crash(args) => {
            let report = crash::run(&args).await?;
            report::print(&report)?;
            Ok(report.is_clean())
        }
        Command::Bench(args) => {
            report::print(&bench::run(&args).await?)?;
            Ok(true)
        }
        Command::Queries(args) => {
            report::print(&queries::run(&args).await?)?;
            Ok(true)
        }
        Command::Exports(args) => {
            report::print(&exports::run(&args).await?)?;
            Ok(true)
        }
        Command::Write(args) => {
            report::print(&write::run(&args)?)?;
            Ok(true)
        }
        Command::Probe(args) => {
            let report = probe::run(&args).await?;
            report::print(&report)?;
            Ok(report.is_clean())
        }
    }
}
