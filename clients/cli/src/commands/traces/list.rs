//! `spanlake traces list`

use reqwest::Method;
use serde_json::Value;

use super::{dollars, latency};
use crate::args::{Global, ListTraces};
use crate::client::Client;
use crate::console::Console;
use crate::error::Error;
use crate::text;

/// Of a name, so that a row stays a line.
const NAME_CHARACTERS_MAX: usize = 40;

pub(super) async fn run(global: &Global, args: ListTraces, console: &mut Console) -> Result<(), Error> {
    let client = Client::open(global, console).await?;
    let now = console.clock.now();
    let parameters = [
        ("limit", Some(args.limit.to_string())),
        ("cursor", args.cursor),
        ("start_date", args.since.map(|when| when.at(now).to_string())),
        ("end_date", args.until.map(|when| when.at(now).to_string())),
        ("status", args.status.map(|status| status.as_str().to_owned())),
        ("name", args.name),
        ("user_id", args.user_id),
        ("session_id", args.session_id),
        ("model", args.model),
        ("tag", args.tag),
        ("filter", args.filter),
    ];
    let given: Vec<_> = parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).collect();
    let answer = client.json(client.authorized(Method::GET, "/v1/traces").query(&given)).await?;
    if global.json {
        return console.json(&answer);
    }
    let Some(traces) = answer["data"].as_array() else {
        return Err(client.strange());
    };
    if traces.is_empty() {
        console.tell("No traces.");
        return Ok(());
    }
    let header = ["TRACE", "START", "NAME", "STATUS", "LATENCY", "COST", "TOKENS", "SPANS"];
    let rows: Vec<_> = traces.iter().map(row).collect();
    console.print(text::table(&header, &rows).trim_end())?;
    if let Some(cursor) = answer["pagination"]["next_cursor"].as_str() {
        console.tell(&format!("There are more: --cursor {cursor}"));
    }
    Ok(())
}

fn row(trace: &Value) -> Vec<String> {
    let word = |field: &str| trace[field].as_str().unwrap_or_default().to_owned();
    let number = |field: &str| trace[field].as_u64().map(|number| number.to_string()).unwrap_or_default();
    vec![
        word("id"),
        seconds(&word("start")),
        text::short(&word("name"), NAME_CHARACTERS_MAX),
        word("status"),
        latency(trace["latency_ms"].as_f64()),
        dollars(trace["cost"].as_f64()),
        number("tokens"),
        number("span_count"),
    ]
}

/// Without what is below a second.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}
