//! `spanlake export verify`: whether what a job has written is all there.

mod bucket;
mod content;
mod footer;
mod manifest;
mod place;

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use self::bucket::Bucket;
use self::manifest::{File, Kind, Manifest, is_inside};
use self::place::Place;
use crate::args::{Global, Verify};
use crate::client::Client;
use crate::console::Console;
use crate::error::Error;
use crate::progress::bytes;

/// What was found.
#[derive(Default)]
struct Findings {
    /// One a line; none when all is well.
    problems: Vec<String>,
    /// What cannot be decided here.
    notes: Vec<String>,
}

pub(super) async fn run(global: &Global, args: Verify, console: &mut Console) -> Result<(), Error> {
    let with_source = args.source;
    let (place, own) = place(args, console)?;
    let text = place.manifest(&own).await?;
    let manifest = Manifest::parse(&text).map_err(|why| Error::invalid(format!("{}: {why}", place.shown(&own))))?;
    let mut findings = Findings::default();
    look(&manifest, &place, &own, &mut findings).await?;
    if with_source {
        source(&manifest, &text, global, console, &mut findings).await?;
    }
    report(&manifest, &findings, global, console)
}

/// The folder or the prefix of the run, and the manifest's name in it.
fn place(args: Verify, console: &Console) -> Result<(Place, String), Error> {
    let Verify { manifest, access, .. } = args;
    let Some(key) = manifest.strip_prefix("s3://") else {
        let path = Path::new(&manifest);
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::invalid(format!("'{manifest}' names no manifest")))?;
        return Ok((Place::Folder(crate::files::folder_of(path).to_owned()), name.to_owned()));
    };
    let parts = key.split_once('/').and_then(|(bucket, key)| Some((bucket, key.rsplit_once('/')?)));
    let Some((name, (prefix, own))) = parts.filter(|(name, _)| !name.is_empty()) else {
        return Err(Error::invalid(format!(
            "'{manifest}' names no manifest; it looks like s3://BUCKET/…/run=000001/manifest.json"
        )));
    };
    let bucket = Bucket::open(name, access, console.clock.clone())?;
    Ok((Place::Bucket(Box::new(bucket), prefix.to_owned()), own.to_owned()))
}

/// At everything but the source.
async fn look(manifest: &Manifest, place: &Place, own: &str, findings: &mut Findings) -> Result<(), Error> {
    for file in &manifest.files {
        if let Some(problem) = problem(file, place).await? {
            findings.problems.push(format!("{}: {problem}", file.path));
        }
    }
    sums(manifest, findings);
    strangers(manifest, place, own, findings).await?;
    parent(manifest, place, findings).await
}

/// What is wrong with a file: is it there, is it what was written, does it hold as many rows.
async fn problem(file: &File, place: &Place) -> Result<Option<String>, Error> {
    if !is_inside(&file.path) {
        return Ok(Some("a path that leaves the folder".to_owned()));
    }
    let Some(mut found) = place.open(&file.path, file.bytes).await? else {
        return Ok(Some("is not there".to_owned()));
    };
    Ok(match content::read(&mut found) {
        Err(error) => Some(error.to_string()),
        Ok(read) if read.bytes > file.bytes => Some(format!("has more than {} bytes", file.bytes)),
        Ok(read) if read.bytes != file.bytes => Some(format!("has {} bytes, not {}", read.bytes, file.bytes)),
        Ok(read) if read.sha256 != file.sha256 => Some(format!("its SHA-256 is {}, not {}", read.sha256, file.sha256)),
        Ok(_) => match content::rows(&file.path, found) {
            Err(error) => Some(format!("its rows cannot be counted: {error}")),
            Ok(rows) if rows != file.rows => Some(format!("has {rows} rows, not {}", file.rows)),
            Ok(_) => None,
        },
    })
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
async fn strangers(manifest: &Manifest, place: &Place, own: &str, findings: &mut Findings) -> Result<(), Error> {
    let known: BTreeSet<_> = manifest.files.iter().map(|file| file.path.as_str()).chain([own]).collect();
    let (names, problems) = place.names().await?;
    findings.problems.extend(problems);
    let unknown = names.iter().filter(|name| !known.contains(name.as_str()));
    findings.problems.extend(unknown.map(|name| format!("{}: is not in the manifest", place.shown(name))));
    Ok(())
}

/// The run before, if it is here too.
async fn parent(manifest: &Manifest, place: &Place, findings: &mut Findings) -> Result<(), Error> {
    let Some(parent) = &manifest.parent else { return Ok(()) };
    let above = place.above();
    let found = if is_inside(&parent.path) { above.manifest(&parent.path).await.ok() } else { None };
    match found.map(|text| content::read(text.as_slice())) {
        Some(Ok(found)) if found.sha256 == parent.sha256 => {}
        Some(Ok(_)) => findings.problems.push(format!("{}: is not the manifest that this run follows", parent.path)),
        Some(Err(_)) | None => findings.notes.push(format!("the run before ({}) is not here", parent.path)),
    }
    Ok(())
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
