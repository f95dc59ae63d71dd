//! `spanlake-server`: see [`spanlake_server`].

use std::process::ExitCode;

use clap::Parser;
use spanlake_model::TenantId;
use spanlake_server::cli::{Cli, Command, Options};
use spanlake_server::{Config, Outside, Role, demo, normalise, reset_password, start};
use spanlake_transport::shutdown::{Shutdown, signals};
use spanlake_transport::telemetry;

/// A row is made on one thread, held by a second and let go by a third; this allocator gives such memory back (adr/0022).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match (cli.command.parts(), &cli.command) {
        (Some((role, options, demo)), _) => serve(role, options, demo),
        (None, Command::ResetPassword { email, tenant, options }) => show_reset(email, *tenant, options),
        (None, _) => show_normalised(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn serve(role: Role, options: &Options, demo: bool) -> anyhow::Result<()> {
    options.load(std::env::vars()).map_err(anyhow::Error::from).and_then(|config| {
        let _telemetry = telemetry::init(&config.telemetry)?;
        runtime()?.block_on(run(role, config, demo))
    })
}

/// The token alone on stdout, for whoever passes it on; what it is on stderr.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it is what was asked for")]
fn show_reset(email: &str, tenant: Option<TenantId>, options: &Options) -> anyhow::Result<()> {
    let config = options.load(std::env::vars())?;
    let made = runtime()?.block_on(reset_password(&config, &Outside::default(), email, tenant))?;
    eprintln!(
        "This token sets the password of {} in tenant {}, once, until {}: POST /v1/password-reset {{\"token\", \"password\"}}",
        made.member.email, made.member.tenant, made.expires_at
    );
    println!("{}", made.token);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn show_normalised() -> anyhow::Result<()> {
    println!("{:#}", normalise::normalise(std::io::stdin().lock())?);
    Ok(())
}

/// Threads for work that blocks, at most. Each keeps a heap of its own, so with the runtime's hundreds the memory that one
/// frees is not what another takes: a quarter of the time went into fresh pages. Requests are decoded on as many as there are
/// cores; the rest is for files.
const BLOCKING_THREADS_MAX: usize = 16;

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build()
}

async fn run(role: Role, config: Config, show_demo: bool) -> anyhow::Result<()> {
    // S3 and Postgres over TLS need a provider of cryptography; there is only this one in the tree.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shutdown = Shutdown::new(config.shutdown_deadline);
    shutdown.on_signals(signals()?, || std::process::exit(130));
    let data_dir = config.data_dir.clone();
    let running = start(role, config, Outside::default(), shutdown.clone()).await?;
    announce(&running)?;
    if show_demo {
        let addresses = running.addresses;
        shutdown.tasks().spawn("demo", async move {
            if let Err(error) = demo::show(&data_dir, addresses).await {
                report(&error.context("the demo did not work; the server runs on"));
            }
        });
    }
    running.finish().await
}

/// The one line on stdout that says the process is ready, and where.
#[expect(clippy::print_stdout, reason = "it is the contract with whoever started us")]
fn announce(running: &spanlake_server::Running) -> anyhow::Result<()> {
    let mut line = serde_json::to_value(running.addresses)?;
    line["ready"] = true.into();
    println!("{line}");
    Ok(())
}

#[expect(clippy::print_stderr, reason = "there may be no telemetry to say it through")]
fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
