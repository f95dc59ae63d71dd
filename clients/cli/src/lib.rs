//! The `spanlake` command: traces in and out from a terminal, over the public API and nothing else.
//!
//! ```text
//!   args ──► commands::<each> ──► Client ──HTTP──► a Spanlake
//!               │                   └─ credential: flag, environment, profile (tokens are refreshed and kept)
//!               ├─► out: data, and nothing else      err: what is going on
//!               └─► FILE.part ──complete──► FILE
//! ```
//!
//! Invariants
//! - Data goes to standard output or the named file; words about it go to standard error. So pipes work.
//! - A file with its final name is whole. What is not is called `.part`.
//! - Text from a server reaches a terminal without its control characters ([`text`]).
//! - The configuration is readable by its owner only, and replaced as a whole.
//! - Exit codes: 0 done, 1 who are you, 2 that cannot be asked, 5 the server or the network failed.

mod args;
mod client;
mod commands;
pub mod config;
mod console;
mod error;
mod files;
mod progress;
mod protobuf;
pub mod text;

pub use args::Args;
pub use console::{Console, Person};
pub use error::Error;

use args::Command;

/// Does what `args` say.
///
/// # Errors
/// Whatever kept it from being done; [`Error::report`] says it to the user.
pub async fn run(args: Args, console: &mut Console) -> Result<(), Error> {
    let Args { global, command } = args;
    match command {
        Command::Login(args) => commands::login::run(&global, args, console).await,
        Command::Logout => commands::logout::run(&global, console).await,
        Command::Link(args) => commands::link::run(&global, args, console).await,
        Command::Whoami => commands::whoami::run(&global, console).await,
        Command::Profiles(args) => commands::profiles::run(&global, args, console),
        Command::Keys(args) => commands::keys::run(&global, args, console).await,
        Command::Export(args) => commands::export::run(&global, args, console).await,
        Command::Traces(args) => commands::traces::run(&global, args, console).await,
        Command::Send(args) => commands::send::run(&global, args, console).await,
        Command::Completions(args) => commands::manual::completions(&args, console),
        Command::Man => commands::manual::man(console),
    }
}
