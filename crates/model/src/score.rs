//! A judgement about a trace, a span or a session, in our words.

use crate::ids::{AgentId, AppId, SpanId, TraceId};
use crate::time::Timestamp;

/// A number, or a label, or both, about something.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The client's own id, or one of ours. The same id in the same app is the same score: what came last is it.
    pub id: String,
    /// The app it belongs to.
    pub app_id: AppId,
    /// The agent whose key sent it; none when a whole tenant's credential did.
    pub agent_id: Option<AgentId>,
    /// The trace it is about, when that was said.
    pub trace_id: Option<TraceId>,
    /// The span it is about.
    pub span_id: Option<SpanId>,
    /// The session it is about.
    pub session_id: Option<String>,
    /// What was judged, such as `accuracy`.
    pub name: String,
    /// Finite; absent when there is only a label.
    pub value: Option<f64>,
    /// A category, or `true` and `false`.
    pub label: Option<String>,
    /// Why, in a person's or a model's words.
    pub comment: Option<String>,
    /// `api`, `annotation`, `experiment`, `eval`, or the sender's own word.
    pub source: String,
    /// The key or the member that sent it.
    pub author: Option<String>,
    /// When it was given: as the client says, else when it came.
    pub created_at: Timestamp,
    /// A JSON object.
    pub metadata: String,
}

/// What a score is about: the narrowest of what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A trace.
    Trace,
    /// A span.
    Span,
    /// A session.
    Session,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Trace, Self::Span, Self::Session];

    /// As written in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Span => "span",
            Self::Session => "session",
        }
    }
}

impl Score {
    /// What it is about, and that thing's id.
    pub fn resource(&self) -> (Resource, String) {
        match (&self.span_id, &self.trace_id) {
            (Some(span), _) => (Resource::Span, span.to_string()),
            (None, Some(trace)) => (Resource::Trace, trace.to_string()),
            (None, None) => (Resource::Session, self.session_id.clone().unwrap_or_default()),
        }
    }
}
