//! `spanlake export traces --dry-run`: how many rows match, and a few of them.

use serde_json::{Value, json};

use super::page::Page;
use super::query::Query;
use super::rows::Rows;
use crate::args::Global;
use crate::client::Client;
use crate::console::Console;
use crate::error::Error;
use crate::progress::Progress;
use crate::text;

/// Of a row, on a terminal.
const CHARACTERS_MAX: usize = 300;

pub(super) async fn run(client: &Client, query: Query, global: &Global, console: &mut Console) -> Result<(), Error> {
    let query = query.preview();
    let mut sample = Vec::new();
    let mut write = |rows: &[u8]| {
        sample.extend_from_slice(rows);
        Ok(())
    };
    let page = Page::ask(client, query.first(client, None)).await?;
    let rows = Rows::new(query.format, true);
    let summary = page.read(rows, &mut write, &mut Progress::new(false, 0, None)).await?;
    let sample = String::from_utf8_lossy(&sample);
    if global.json {
        let rows: Result<Vec<Value>, _> = sample.lines().map(serde_json::from_str).collect();
        let rows = rows.map_err(|error| Error::Server(format!("a row is no JSON ({error})")))?;
        // As pairs: a filter may be given twice.
        let filters: Vec<_> = query.filters().map(|(name, value)| json!([name, value])).collect();
        return console.json(&json!({
            "app_id": client.app, "filters": filters, "total": summary.total, "sample": rows,
            "sample_skipped": summary.skipped, "sample_skip_reasons": summary.skip_reasons,
        }));
    }
    console.tell(&format!("Preview of {} at {}", client.app.as_deref().unwrap_or("the default app"), client.url));
    console.tell("Filters applied:");
    if query.filters().next().is_none() {
        console.tell("  none; the last 30 days");
    }
    for (name, value) in query.filters() {
        console.tell(&format!("  {name}: {value}"));
    }
    let total = summary.total.map_or_else(|| "unknown".to_owned(), |total| total.to_string());
    console.tell(&format!("Matching rows: {total}"));
    if let Some(skipped) = summary.skipped_in_words() {
        console.tell(&format!("Of the first few: {skipped}"));
    }
    for row in sample.lines() {
        console.tell(&format!("  {}", text::short(row, CHARACTERS_MAX)));
    }
    Ok(())
}
