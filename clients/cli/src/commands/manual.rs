//! `spanlake completions` and `spanlake man`

use clap::CommandFactory;

use crate::args::{Args, Completions};
use crate::console::Console;
use crate::error::Error;

pub(crate) fn completions(args: &Completions, console: &mut Console) -> Result<(), Error> {
    // Written to memory first: the generator panics when the pipe closes.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "spanlake", &mut script);
    console.out.write_all(&script).map_err(Error::output)
}

/// All commands on one page.
pub(crate) fn man(console: &mut Console) -> Result<(), Error> {
    let mut page = Vec::new();
    let mut command = Args::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(Error::output)?;
    sections(&command, &mut page).map_err(Error::output)?;
    console.out.write_all(&page).map_err(Error::output)
}

fn sections(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        let name = below.get_bin_name().unwrap_or_else(|| below.get_name()).to_uppercase();
        page.extend(format!(".SH \"{name}\"\n").into_bytes());
        let man = clap_mangen::Man::new(below.clone());
        man.render_description_section(page)?;
        man.render_options_section(page)?;
        sections(below, page)?;
    }
    Ok(())
}
