//! `spanlake export jobs …`: files that the server writes.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::args::{Global, Jobs, JobsCommand, NewJob};
use crate::client::Client;
use crate::console::Console;
use crate::error::Error;
use crate::progress::bytes;
use crate::text;

/// Between two looks at a job that is waited for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(global: &Global, args: Jobs, console: &mut Console) -> Result<(), Error> {
    let mut client = Client::open(global, console).await?;
    let one = |id: &str| format!("/v1/exports/{id}");
    let job: Value = match args.command {
        JobsCommand::List => return list(&client, global, console).await,
        JobsCommand::Create(new) => create(&mut client, *new, console).await?,
        JobsCommand::Show(job) => client.data(client.authorized(Method::GET, &one(&job.id))).await?,
        JobsCommand::Cancel(job) => {
            client.data(client.authorized(Method::POST, &format!("{}/cancel", one(&job.id)))).await?
        }
        JobsCommand::Resume(job) => {
            client.data(client.authorized(Method::POST, &format!("{}/resume", one(&job.id)))).await?
        }
        JobsCommand::Manifest { job, run } => {
            let request = client.authorized(Method::GET, &format!("{}/manifest", one(&job.id)));
            let request = run.into_iter().fold(request, |request, run| request.query(&[("run", run)]));
            let manifest: Value = client.data(request).await?;
            return console.json(&manifest);
        }
    };
    if global.json { console.json(&job) } else { show(&job, console) }
}

async fn create(client: &mut Client, new: NewJob, console: &mut Console) -> Result<Value, Error> {
    let is_waited_for = new.wait;
    let body = body(new, console)?;
    let job: Value = client.data(client.authorized(Method::POST, "/v1/exports").json(&body)).await?;
    if is_waited_for { wait(client, job, console).await } else { Ok(job) }
}

fn body(new: NewJob, console: &Console) -> Result<Value, Error> {
    let now = console.clock.now();
    let destination = match (new.bucket, new.folder) {
        (Some(bucket), _) => {
            let (Some(id), Some(secret)) = (new.access_key_id, new.secret_access_key) else {
                return Err(Error::invalid("a bucket needs credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
            };
            given(json!({
                "type": "s3", "bucket": bucket, "prefix": new.prefix, "region": new.region, "endpoint": new.endpoint,
                "access_key_id": id, "secret_access_key": secret, "session_token": new.session_token,
            }))
        }
        (None, folder) => json!({"type": "file", "path": folder.unwrap_or_default()}),
    };
    Ok(given(json!({
        "table": new.table.as_str(),
        "format": new.format.as_str(),
        "compression": new.compression.map(|compression| compression.as_str()),
        "filter": new.filter,
        "scores": new.scores.then_some(true),
        "start_date": new.since.map(|when| when.at(now).to_string()),
        "end_date": new.until.map(|when| when.at(now).to_string()),
        "schedule": new.schedule,
        "destination": destination,
    })))
}

/// Without what was not said.
fn given(mut object: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.retain(|_, value| !value.is_null());
    }
    object
}

/// Until the first run has written its manifest, has found nothing to write, or will not. What goes wrong meanwhile is told.
async fn wait(client: &mut Client, mut job: Value, console: &mut Console) -> Result<Value, Error> {
    let path = format!("/v1/exports/{}", job["id"].as_str().unwrap_or_default());
    let (first_run_at, mut told) = (job["next_run_at"].clone(), 0);
    loop {
        let (failures, has_failed) = (job["run"]["attempts"].as_u64().unwrap_or(0), job["error"].is_object());
        match job["status"].as_str() {
            Some("failed" | "cancelled" | "paused") => {
                let why = job["error"]["message"].as_str().unwrap_or("it was called off");
                return Err(Error::Server(format!("the export failed: {why}")));
            }
            Some("done") => return Ok(job),
            _ if job["last_manifest"].is_object() => return Ok(job),
            Some("waiting") if has_failed && failures > told => {
                let word = |pointer: &str| job.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                console.tell(&format!(
                    "attempt {failures} failed: {} The next is at {}.",
                    word("/error/message"),
                    word("/next_run_at")
                ));
                told = failures;
            }
            Some("waiting") if !has_failed && job["next_run_at"] != first_run_at => {
                console.tell("the first run found nothing to write");
                return Ok(job);
            }
            _ => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
        client.renew(console).await?;
        job = client.data(client.authorized(Method::GET, &path)).await?;
    }
}

async fn list(client: &Client, global: &Global, console: &mut Console) -> Result<(), Error> {
    let jobs = client.all("/v1/exports?limit=1000").await?;
    if global.json {
        return console.json(&jobs);
    }
    let rows: Vec<_> = jobs
        .iter()
        .map(|job| {
            let word = |pointer: &str| job.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let rows = job["last_manifest"]["rows"].as_u64().map(|rows| rows.to_string()).unwrap_or_default();
            let schedule = job["schedule"].as_str().unwrap_or("once").to_owned();
            vec![
                word("/id"),
                word("/status"),
                word("/table"),
                word("/format"),
                schedule,
                place(job),
                rows,
                word("/next_run_at"),
            ]
        })
        .collect();
    let header = ["JOB", "STATUS", "TABLE", "FORMAT", "SCHEDULE", "TO", "ROWS", "NEXT"];
    console.print(text::table(&header, &rows).trim_end())
}

/// Where files go.
fn place(job: &Value) -> String {
    let word = |field: &str| job["destination"][field].as_str().unwrap_or_default();
    match word("type") {
        "s3" => format!("s3://{}/{}", word("bucket"), word("prefix")),
        _ => format!("folder {}", word("path")).trim_end().to_owned(),
    }
}

fn show(job: &Value, console: &mut Console) -> Result<(), Error> {
    let word = |pointer: &str| job.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str| job.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let run = (job["status"] == "running").then(|| {
        let of = job["run"]["total_rows"].as_u64().map(|rows| format!(" of {rows}")).unwrap_or_default();
        format!("run {}: {}{of} rows, attempt {}", number("/run/number"), number("/run/rows"), number("/run/attempts"))
    });
    let written = job["last_manifest"].is_object().then(|| {
        let (rows, deletes) = (number("/last_manifest/rows"), number("/last_manifest/deletes"));
        let (files, size) = (number("/last_manifest/files"), bytes(number("/last_manifest/bytes")));
        let path = word("/last_manifest/path").unwrap_or_default();
        format!("run {}: {rows} rows, {deletes} deletes, {files} files, {size}, {path}", number("/last_manifest/run"))
    });
    let facts = [
        ("job", word("/id")),
        ("status", word("/status")),
        ("what", Some(format!("{} as {}", word("/table").unwrap_or_default(), word("/format").unwrap_or_default()))),
        ("filter", word("/filter")),
        ("from", word("/start_date")),
        ("until", word("/end_date")),
        ("to", Some(place(job))),
        ("schedule", word("/schedule")),
        ("running", run),
        ("written", written),
        ("next", word("/next_run_at")),
        ("error", word("/error/message")),
        ("failing", word("/failing_since").map(|since| format!("since {since}"))),
    ];
    for (name, fact) in facts.into_iter().filter_map(|(name, fact)| Some((name, fact?))) {
        console.print(&format!("{name:<9}{}", text::line(&fact)))?;
    }
    Ok(())
}
