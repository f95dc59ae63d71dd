//! `spanlake traces …`

mod list;
mod show;
mod tree;

use crate::args::{Global, Traces, TracesCommand};
use crate::console::Console;
use crate::error::Error;

pub(crate) async fn run(global: &Global, args: Traces, console: &mut Console) -> Result<(), Error> {
    match args.command {
        TracesCommand::List(args) => list::run(global, *args, console).await,
        TracesCommand::Show(args) => show::run(global, args, console).await,
    }
}

/// `1.2s`, `850ms`; nothing while it runs.
fn latency(milliseconds: Option<f64>) -> String {
    match milliseconds {
        None => String::new(),
        Some(ms) if ms < 1_000.0 => format!("{ms:.0}ms"),
        Some(ms) if ms < 60_000.0 => format!("{:.1}s", ms / 1e3),
        // What is shown is whole seconds; a duration is never negative.
        Some(ms) => format!("{}m{:02}s", (ms / 60_000.0) as u64, (ms / 1e3) as u64 % 60),
    }
}

/// Dollars, to where they begin to be something.
fn dollars(cost: Option<f64>) -> String {
    match cost {
        None => String::new(),
        Some(cost) if cost == 0.0 || cost >= 0.01 => format!("${cost:.2}"),
        Some(cost) => format!("${cost:.6}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_money_read_easily() {
        for (ms, shown) in [(None, ""), (Some(0.4), "0ms"), (Some(1_250.0), "1.2s"), (Some(61_000.0), "1m01s")] {
            assert_eq!(latency(ms), shown);
        }
        for (cost, shown) in [(None, ""), (Some(0.0), "$0.00"), (Some(1.239), "$1.24"), (Some(0.000_25), "$0.000250")] {
            assert_eq!(dollars(cost), shown);
        }
    }
}
