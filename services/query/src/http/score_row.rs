//! A score in API.md's words.

use serde::Serialize;
use spanlake_model::Score;
use utoipa::ToSchema;

use super::json::Json;

/// A judgement about a trace, a span or a session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Score)]
pub(super) struct ScoreRow {
    id: String,
    app_id: String,
    /// The agent whose key sent it.
    agent_id: Option<String>,
    /// What it is about: the span, else the trace, else the session.
    resource_id: String,
    /// `trace`, `span` or `session`.
    #[schema(value_type = String, example = "trace")]
    resource_type: &'static str,
    trace_id: Option<String>,
    span_id: Option<String>,
    session_id: Option<String>,
    name: String,
    /// Null when it has a label only.
    score: Option<f64>,
    label: Option<String>,
    reason: Option<String>,
    source: String,
    /// The key or the member that sent it.
    author: Option<String>,
    /// RFC 3339.
    created_at: String,
    metadata: Json,
}

impl From<Score> for ScoreRow {
    fn from(score: Score) -> Self {
        let (resource, resource_id) = score.resource();
        Self {
            id: score.id,
            app_id: score.app_id.to_string(),
            agent_id: score.agent_id.map(|id| id.to_string()),
            resource_id,
            resource_type: resource.as_str(),
            trace_id: score.trace_id.map(|id| id.to_string()),
            span_id: score.span_id.map(|id| id.to_string()),
            session_id: score.session_id,
            name: score.name,
            score: score.value,
            label: score.label,
            reason: score.comment,
            source: score.source,
            author: score.author,
            created_at: score.created_at.to_string(),
            metadata: Json::of(score.metadata),
        }
    }
}
