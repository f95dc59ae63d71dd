//! A score as a line of JSON and as a record of a table: the fields of `GET /v1/scores`, and the columns by which rows replace older
//! ones and deletes name them.

use serde::Serialize;
use spanlake_model::{AppId, Score, SpanId, TraceId};

use crate::csv::{self, Cell};
use crate::line::Payload;

/// The columns of a table, in the order of [`Line`]'s fields.
pub(crate) const COLUMNS: [&str; 18] = [
    "id",
    "resource_id",
    "resource_type",
    "trace_id",
    "span_id",
    "session_id",
    "name",
    "score",
    "label",
    "reason",
    "source",
    "author",
    "created_at",
    "metadata",
    "agent_id",
    "app_id",
    "score_id",
    "score_key",
];

/// A line of JSON.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    id: &'a str,
    resource_id: String,
    resource_type: &'static str,
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
    session_id: Option<&'a str>,
    name: &'a str,
    score: Option<f64>,
    label: Option<&'a str>,
    reason: Option<&'a str>,
    source: &'a str,
    author: Option<&'a str>,
    created_at: String,
    metadata: Payload<'a>,
    agent_id: Option<String>,
    app_id: AppId,
    /// The same as `id`, by the name that Parquet has for it.
    score_id: &'a str,
    score_key: &'a str,
}

impl<'a> Line<'a> {
    pub(crate) fn of(score: &'a Score, key: &'a str) -> Self {
        let (resource, resource_id) = score.resource();
        Self {
            id: &score.id,
            resource_id,
            resource_type: resource.as_str(),
            trace_id: score.trace_id,
            span_id: score.span_id,
            session_id: score.session_id.as_deref(),
            name: &score.name,
            score: score.value,
            label: score.label.as_deref(),
            reason: score.comment.as_deref(),
            source: &score.source,
            author: score.author.as_deref(),
            created_at: score.created_at.to_string(),
            metadata: Payload::of(&score.metadata),
            agent_id: score.agent_id.map(|agent| agent.to_string()),
            app_id: score.app_id,
            score_id: &score.id,
            score_key: key,
        }
    }
}

/// Appends the score's record, its end included.
pub(crate) fn write_csv(score: &Score, key: &str, records: &mut Vec<u8>) {
    let (resource, resource_id) = score.resource();
    let cells: [Cell<'_>; COLUMNS.len()] = [
        Cell::text(&score.id),
        Cell::text(&resource_id),
        Cell::plain(resource.as_str()),
        Cell::number(score.trace_id),
        Cell::number(score.span_id),
        Cell::optional(score.session_id.as_deref()),
        Cell::text(&score.name),
        Cell::number(score.value),
        Cell::optional(score.label.as_deref()),
        Cell::optional(score.comment.as_deref()),
        Cell::text(&score.source),
        Cell::optional(score.author.as_deref()),
        Cell::plain(score.created_at),
        Cell::text(&score.metadata),
        Cell::number(score.agent_id),
        Cell::plain(score.app_id),
        Cell::text(&score.id),
        Cell::plain(key),
    ];
    csv::write_cells(&cells, records);
}
