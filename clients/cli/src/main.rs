//! `spanlake`: see the library.

use std::io::{IsTerminal, stderr, stdin, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use spanlake_cli::{Args, Console, Person, config, run};
use spanlake_model::SystemClock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let mut console = Console {
        out: Box::new(stdout()),
        err: Box::new(stderr()),
        out_is_terminal: stdout().is_terminal(),
        err_is_terminal: stderr().is_terminal(),
        in_is_terminal: stdin().is_terminal(),
        person: Box::new(AtTheTerminal),
        clock: Arc::new(SystemClock),
        config_file: config::file(std::env::vars_os()),
    };
    match run(args, &mut console).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(&mut console),
    }
}

struct AtTheTerminal;

impl Person for AtTheTerminal {
    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        stdin().read_line(&mut line)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
    fn secret(&mut self) -> std::io::Result<String> {
        if stdin().is_terminal() { rpassword::read_password() } else { self.line() }
    }
}
