//! `spanlake export …`

mod download;
mod dry_run;
mod filters;
mod jobs;
mod page;
mod part;
mod query;
mod rows;
mod summary;
mod traces;
mod verify;

pub(crate) use filters::{Metadata, Score};

use crate::args::{Export, ExportCommand, Global};
use crate::console::Console;
use crate::error::Error;

pub(crate) async fn run(global: &Global, args: Export, console: &mut Console) -> Result<(), Error> {
    match args.command {
        ExportCommand::Traces(args) => traces::run(global, *args, console).await,
        ExportCommand::Jobs(args) => jobs::run(global, args, console).await,
        ExportCommand::Verify(args) => verify::run(global, args, console).await,
    }
}
