//! `spanlake traces show`

use reqwest::Method;
use serde_json::Value;
use spanlake_model::TraceId;

use super::tree::{Node, arrange};
use super::{dollars, latency};
use crate::args::{Global, ShowTrace};
use crate::client::Client;
use crate::console::Console;
use crate::error::Error;
use crate::text;

/// Spans that are held in memory at once.
const SPANS_MAX: usize = 100_000;
/// Spans a page with input and output, so that a page stays small; without them it is as large as the server likes.
const PAGE_WITH_IO: &str = "100";
/// Levels that are told apart; deeper ones stand below each other.
const INDENT_MAX: usize = 40;
/// Of input and output on a terminal; `--json` gives them whole.
const CONTENT_CHARACTERS_MAX: usize = 400;

pub(super) async fn run(global: &Global, args: ShowTrace, console: &mut Console) -> Result<(), Error> {
    let id: TraceId =
        args.id.parse().map_err(|_| Error::invalid(format!("'{}' is no trace id: 32 hex digits", args.id)))?;
    let client = Client::open(global, console).await?;
    let trace = read(&client, id, args.io).await?;
    if global.json {
        return console.json(&trace);
    }
    console.print(&headline(&trace))?;
    let empty = Vec::new();
    let spans = trace["spans"].as_array().unwrap_or(&empty);
    let nodes: Vec<_> = spans.iter().map(node).collect();
    for (place, depth) in arrange(&nodes) {
        let indent = "  ".repeat(depth.min(INDENT_MAX));
        console.print(&format!("{indent}{}", line(&spans[place])))?;
        for content in ["input", "output"].iter().filter(|_| args.io) {
            if let Some(said) = said(&spans[place][content]) {
                console.print(&format!("{indent}    {content}: {}", text::short(&said, CONTENT_CHARACTERS_MAX)))?;
            }
        }
    }
    Ok(())
}

/// The trace with the spans of all its pages.
async fn read(client: &Client, id: TraceId, with_io: bool) -> Result<Value, Error> {
    let mut trace = Value::Null;
    let mut spans: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let request = client.authorized(Method::GET, &format!("/v1/traces/{id}"));
        let request = if with_io { request.query(&[("fields", "io"), ("limit", PAGE_WITH_IO)]) } else { request };
        let request = cursor.iter().fold(request, |request, cursor| request.query(&[("cursor", cursor)]));
        let mut answer = client.json(request).await?;
        let Value::Array(page) = answer["data"]["spans"].take() else {
            return Err(client.strange());
        };
        spans.extend(page);
        if spans.len() > SPANS_MAX {
            return Err(Error::invalid(format!(
                "the trace has more than {SPANS_MAX} spans; export it: spanlake export traces --all --filter 'trace_id = {id}'"
            )));
        }
        if trace.is_null() {
            trace = answer["data"].take();
        }
        match answer["pagination"]["next_cursor"].take() {
            Value::String(next) => cursor = Some(next),
            _ => break,
        }
    }
    trace["spans"] = spans.into();
    Ok(trace)
}

fn node(span: &Value) -> Node<'_> {
    // The server knows which parents are there, and where a circle is to be opened.
    let parent = if span["parent_status"] == "present" { span["parent_id"].as_str() } else { None };
    Node { id: span["id"].as_str().unwrap_or_default(), parent }
}

fn headline(trace: &Value) -> String {
    let word = |field: &str| trace[field].as_str().unwrap_or_default();
    let facts = [
        word("status").to_owned(),
        latency(trace["latency_ms"].as_f64()),
        dollars(trace["cost"].as_f64()),
        trace["tokens"].as_u64().map(|tokens| format!("{tokens} tokens")).unwrap_or_default(),
        word("start").to_owned(),
        if word("session_id").is_empty() { String::new() } else { format!("session {}", word("session_id")) },
        if word("user_id").is_empty() { String::new() } else { format!("user {}", word("user_id")) },
    ];
    text::line(&format!("{}  {}  {}", word("id"), word("name"), joined(&facts))).into_owned()
}

/// `name  kind  model  1.2s  $0.01  120 tokens  ERROR why`
fn line(span: &Value) -> String {
    let word = |field: &str| span[field].as_str().unwrap_or_default();
    let failed = match (word("status"), word("status_message")) {
        ("ERROR", why) => format!("ERROR {why}").trim_end().to_owned(),
        _ => String::new(),
    };
    let facts = [
        word("name").to_owned(),
        word("kind").to_owned(),
        word("model").to_owned(),
        latency(span["latency_ms"].as_f64()),
        dollars(span["cost"].as_f64()),
        span["total_tokens"].as_u64().map(|tokens| format!("{tokens} tokens")).unwrap_or_default(),
        if word("parent_status") == "missing" { "(its parent is not here)".to_owned() } else { String::new() },
        failed,
    ];
    text::line(&joined(&facts)).into_owned()
}

fn joined(facts: &[String]) -> String {
    facts.iter().filter(|fact| !fact.is_empty()).map(String::as_str).collect::<Vec<_>>().join("  ")
}

/// Text as it is, anything else as JSON; nothing of nothing.
fn said(content: &Value) -> Option<String> {
    match content {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
