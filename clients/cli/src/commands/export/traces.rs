//! `spanlake export traces`

use std::path::Path;

use serde_json::json;

use super::download::{Download, Out};
use super::dry_run;
use super::part::{Part, Source};
use super::query::Query;
use super::summary::Summary;
use crate::args::{ExportTraces, Global};
use crate::client::Client;
use crate::console::Console;
use crate::error::Error;
use crate::progress::{Progress, bytes};

pub(crate) async fn run(global: &Global, args: ExportTraces, console: &mut Console) -> Result<(), Error> {
    let client = Client::open(global, console).await?;
    let query = Query::of(&args, console.clock.now());
    if args.dry_run {
        return dry_run::run(&client, query, global, console).await;
    }
    match &args.output {
        Some(path) => to_file(client, query, &args, path, global, console).await,
        None => to_stdout(client, query, &args, global, console).await,
    }
}

async fn to_stdout(
    client: Client,
    query: Query,
    args: &ExportTraces,
    global: &Global,
    console: &mut Console,
) -> Result<(), Error> {
    // Rows on the same terminal would run through a line that is redrawn.
    let progress = Progress::new(console.err_is_terminal && !console.out_is_terminal, 0, None);
    let out = Out::stdout(console);
    let download = Download { client, query, args, out, summary: Summary::default(), progress };
    let done = download.run(console).await?;
    if global.json {
        console.tell(&report(&done.summary, args, None).to_string());
    } else {
        tell(&done.summary, args, "", console);
    }
    Ok(())
}

async fn to_file(
    client: Client,
    query: Query,
    args: &ExportTraces,
    path: &Path,
    global: &Global,
    console: &mut Console,
) -> Result<(), Error> {
    if !may_write(path, args.force, console)? {
        console.tell("Not overwritten.");
        return Ok(());
    }
    let source = Source::of(&client, &query, args.cursor.as_deref());
    let (part, so_far) =
        if args.all { Part::resume(path, &source, args.force)? } else { (Part::begin(path, args.force)?, None) };
    if let Some(so_far) = &so_far {
        console.tell(&format!("Going on after the {} rows that are in {} already.", so_far.exported, part.shown()));
    }
    let so_far = so_far.unwrap_or_default();
    let progress = Progress::new(console.err_is_terminal, so_far.exported, so_far.total);
    let download = Download { client, query, args, out: Out::File(part, source), summary: so_far, progress };
    let done = download.run(console).await?;
    let size = match done.out {
        Out::File(part, _) => part.finish()?,
        Out::Stdout(..) => 0,
    };
    if global.json {
        return console.json(&report(&done.summary, args, Some((path, size))));
    }
    tell(&done.summary, args, &format!(" to {}, {}", path.display(), bytes(size)), console);
    Ok(())
}

/// Whether the file is new, or may be overwritten.
fn may_write(path: &Path, is_forced: bool, console: &mut Console) -> Result<bool, Error> {
    if is_forced || !path.exists() {
        return Ok(true);
    }
    if !console.in_is_terminal {
        return Err(Error::invalid(format!("{} exists; overwrite it with --force", path.display())));
    }
    let answer = console.ask(&format!("{} exists. Overwrite? [y/N] ", path.display()))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

fn tell(summary: &Summary, args: &ExportTraces, place: &str, console: &mut Console) {
    let rows = if summary.exported == 1 { "row" } else { "rows" };
    console.tell(&format!("Exported {} {rows}{place}.", summary.exported));
    if let Some(skipped) = summary.skipped_in_words() {
        console.tell(&skipped);
    }
    if let (Some(cursor), false) = (&summary.next_cursor, args.all) {
        let total = summary.total.map(|total| format!(" of {total}")).unwrap_or_default();
        console.tell(&format!("There are more{total}: --all takes all of them, --cursor {cursor} goes on here."));
    }
}

fn report(summary: &Summary, args: &ExportTraces, file: Option<(&Path, u64)>) -> serde_json::Value {
    let Summary { total, exported, skipped, skip_reasons, next_cursor } = summary;
    let mut report = json!({
        "format": args.format.as_str(), "total": total, "exported": exported, "skipped": skipped,
        "skip_reasons": skip_reasons, "next_cursor": next_cursor,
    });
    if let Some((path, size)) = file {
        report["output"] = path.display().to_string().into();
        report["bytes"] = size.into();
    }
    report
}
