//! What is asked for: values of a trace in the middle of the history, so that nothing is at its edge.

use std::path::Path;

use anyhow::{Context, Result};
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::history::History;
use crate::client::{get_json, reader};
use crate::clock::now_nanos;
use crate::stage::begin;
use crate::target::join;

/// Half the words of the generator are as common as this one.
const COMMON: &str = "customer";

/// Values that questions are about.
#[derive(Debug, Serialize)]
pub(super) struct Samples {
    pub(super) trace: String,
    pub(super) session: String,
    pub(super) user: String,
    pub(super) model: String,
    pub(super) tag: String,
    pub(super) common_word: &'static str,
    /// Stands in a few spans of a few traces.
    pub(super) rare_word: String,
    /// The newest instant that questions ask for, and earlier ones.
    pub(super) now: String,
    pub(super) a_day_ago: String,
    pub(super) seven_days_ago: String,
    pub(super) all_days_ago: String,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Trace {
    id: String,
    session_id: String,
    user_id: String,
    models: Vec<String>,
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Tree {
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    id: String,
    kind: String,
}

/// Asks a server on the folder for them.
pub(super) async fn choose(binary: &Path, folder: &Path, history: &History) -> Result<Samples> {
    let (server, http, ..) = begin(binary, folder, &[]).await?;
    let client = reader(history.key())?;
    let now = DateTime::from_timestamp_nanos(i64::try_from(now_nanos())?);
    let ago = |days: u64| -> Result<String> { Ok(written(now - Duration::days(i64::try_from(days)?))) };
    let list = format!("/v1/traces?limit=50&start_date={}&end_date={}", ago(history.days())?, ago(history.days() / 2)?);
    let traces: Vec<Trace> = ask(&client, &http, &list).await?;
    let has_all = |trace: &Trace| !trace.models.is_empty() && !trace.tags.is_empty();
    let mut found = None;
    for trace in traces.into_iter().filter(has_all) {
        if let Some(call) = tool_call(&client, &http, &trace.id).await? {
            found = Some((trace, call));
            break;
        }
    }
    let (trace, rare_word) = found.context("no trace with a model, a tag and a tool call half-way back")?;
    let Trace { id, session_id, user_id, models, tags } = trace;
    server.kill()?;
    Ok(Samples {
        trace: id,
        session: session_id,
        user: user_id,
        model: models.into_iter().next().unwrap_or_default(),
        tag: tags.into_iter().next().unwrap_or_default(),
        common_word: COMMON,
        rare_word,
        now: written(now + Duration::minutes(1)),
        a_day_ago: ago(1)?,
        seven_days_ago: ago(7)?,
        all_days_ago: ago(history.days())?,
    })
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The id of a tool call, which the conversation after it repeats.
async fn tool_call(client: &reqwest::Client, http: &Url, trace: &str) -> Result<Option<String>> {
    let tree: Tree = ask(client, http, &format!("/v1/traces/{trace}")).await?;
    for span in tree.spans.iter().filter(|span| span.kind == "llm").skip(1) {
        let whole: Value = ask(client, http, &format!("/v1/traces/{trace}/spans/{}", span.id)).await?;
        let text = whole["input"].to_string();
        if let Some(at) = text.find("call_") {
            return Ok(Some(text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()));
        }
    }
    Ok(None)
}

async fn ask<T: DeserializeOwned>(client: &reqwest::Client, http: &Url, path: &str) -> Result<T> {
    let answer: Option<Answer<T>> = get_json(client, join(http, path)?).await?;
    Ok(answer.with_context(|| format!("{path} is not there"))?.data)
}
