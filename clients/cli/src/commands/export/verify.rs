//! `spanlake export verify`: whether what a job has written is all there.

mod content;
mod footer;
mod manifest;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use self::manifest::{Kind, Manifest};
use crate::args::{Global, Verify};
use crate::client::Client;
use crate::console::Console;
use crate::error::Error;
use crate::progress::bytes;

/// Of a manifest.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;
/// Folders below the one that is checked.
const DEPTH_MAX: usize = 8;

/// What was found.
#[derive(Default)]
struct Findings {
    /// One a line; none when all is well.
    problems: Vec<String>,
    /// What cannot be decided here.
    notes: Vec<String>,
}

pub(super) async fn run(global: &Global, args: Verify, console: &mut Console) -> Result<(), Error> {
    let text = read(&args.manifest)?;
    let manifest =
        Manifest::parse(&text).map_err(|why| Error::invalid(format!("{}: {why}", args.manifest.display())))?;
    let folder = crate::files::folder_of(&args.manifest);
    let mut findings = Findings::default();
    files(&manifest, folder, &mut findings);
    sums(&manifest, &mut findings);
    strangers(&manifest, folder, &args.manifest, &mut findings);
    parent(&manifest, folder, &mut findings);
    if args.source {
        source(&manifest, &text, global, console, &mut findings).await?;
    }
    report(&manifest, &findings, global, console)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let size = fs::metadata(path).map_err(|error| Error::file(path, error))?.len();
    if size > MANIFEST_BYTES_MAX {
        return Err(Error::invalid(format!("{} is too large for a manifest", path.display())));
    }
    fs::read(path).map_err(|error| Error::file(path, error))
}

/// Each file: is it there, is it what was written, does it hold as many rows.
fn files(manifest: &Manifest, folder: &Path, findings: &mut Findings) {
    for file in &manifest.files {
        let Some(path) = manifest::below(folder, &file.path) else {
            findings.problems.push(format!("{}: a path that leaves the folder", file.path));
            continue;
        };
        match content::read(&path) {
            Err(error) => findings.problems.push(format!("{}: {error}", file.path)),
            Ok(found) if found.bytes != file.bytes => {
                findings.problems.push(format!("{}: has {} bytes, not {}", file.path, found.bytes, file.bytes));
            }
            Ok(found) if found.sha256 != file.sha256 => {
                findings.problems.push(format!("{}: its SHA-256 is {}, not {}", file.path, found.sha256, file.sha256));
            }
            Ok(_) => match content::rows(&path) {
                Err(error) => findings.problems.push(format!("{}: its rows cannot be counted: {error}", file.path)),
                Ok(rows) if rows != file.rows => {
                    findings.problems.push(format!("{}: has {rows} rows, not {}", file.path, file.rows));
                }
                Ok(_) => {}
            },
        }
    }
}

/// Whether the manifest agrees with itself.
fn sums(manifest: &Manifest, findings: &mut Findings) {
    let rows = |kind: Kind| manifest.files.iter().filter(|file| file.kind == kind).map(|file| file.rows).sum::<u64>();
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    for (what, said, summed) in [
        ("rows", manifest.rows, rows(Kind::Rows)),
        ("deletes", manifest.deletes, rows(Kind::Deletes)),
        ("bytes", manifest.bytes, bytes),
    ] {
        if said != summed {
            findings.problems.push(format!("the manifest says {said} {what}, its files {summed}"));
        }
    }
}

/// A folder with a manifest holds what it names and nothing else: a reader that takes `*.parquet` would read the rest too.
fn strangers(manifest: &Manifest, folder: &Path, own: &Path, findings: &mut Findings) {
    let known: BTreeSet<_> = manifest.files.iter().filter_map(|file| manifest::below(folder, &file.path)).collect();
    let mut waiting = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries.flatten(),
            Err(error) => {
                findings.problems.push(format!("{}: {error}", folder.display()));
                continue;
            }
        };
        for path in entries.map(|entry| entry.path()) {
            if path.is_dir() && depth < DEPTH_MAX {
                waiting.push((path, depth + 1));
            } else if !known.contains(&path) && path.file_name() != own.file_name() {
                findings.problems.push(format!("{}: is not in the manifest", path.display()));
            }
        }
    }
}

/// The run before, if it is here too.
fn parent(manifest: &Manifest, folder: &Path, findings: &mut Findings) {
    let Some(parent) = &manifest.parent else { return };
    let path = manifest::below(crate::files::folder_of(folder), &parent.path);
    match path.as_deref().map(content::read) {
        Some(Ok(found)) if found.sha256 == parent.sha256 => {}
        Some(Ok(_)) => findings.problems.push(format!("{}: is not the manifest that this run follows", parent.path)),
        Some(Err(_)) | None => findings.notes.push(format!("the run before ({}) is not here", parent.path)),
    }
}

/// What the server says of it.
async fn source(
    manifest: &Manifest,
    text: &[u8],
    global: &Global,
    console: &Console,
    findings: &mut Findings,
) -> Result<(), Error> {
    let mut client = Client::open(global, console).await?;
    client.app = Some(manifest.app_id.clone());
    let path = format!("/v1/exports/{}/manifest", manifest.export_id);
    let request = client.authorized(Method::GET, &path).query(&[("run", manifest.run)]);
    let theirs: Value = client.data(request).await?;
    if serde_json::from_slice::<Value>(text).ok() != Some(theirs) {
        findings.problems.push("the server wrote another manifest for this run".to_owned());
    }
    if manifest.window.is_some() || manifest.table != "spans" {
        findings.notes.push("rows are compared with the source for whole exports of spans only".to_owned());
        return Ok(());
    }
    let total = super::page::total(&client, &manifest.live_query()).await?;
    let exported = manifest.rows + manifest.skipped.values().sum::<u64>();
    if total != exported {
        findings.problems.push(format!(
            "{exported} rows were read at {}, and {total} match at the source now: what came late, was deleted or went with \
             retention since makes the difference",
            manifest.snapshot_at
        ));
    }
    Ok(())
}

fn report(manifest: &Manifest, findings: &Findings, global: &Global, console: &mut Console) -> Result<(), Error> {
    let Findings { problems, notes } = findings;
    if global.json {
        console.json(&json!({
            "ok": problems.is_empty(), "export_id": manifest.export_id, "run": manifest.run, "files": manifest.files.len(),
            "rows": manifest.rows, "deletes": manifest.deletes, "bytes": manifest.bytes, "problems": problems, "notes": notes,
        }))?;
    } else {
        for line in problems.iter().chain(notes) {
            console.tell(line);
        }
    }
    match problems.len() {
        0 if global.json => Ok(()),
        0 => console.print(&format!(
            "Run {} is whole: {} files, {} rows, {} deletes, {}.",
            manifest.run,
            manifest.files.len(),
            manifest.rows,
            manifest.deletes,
            bytes(manifest.bytes)
        )),
        1 => Err(Error::invalid("one problem")),
        count => Err(Error::invalid(format!("{count} problems"))),
    }
}

#[cfg(test)]
mod tests;
