//! Which spans.

use crate::ids::{AgentId, SpanId, TraceId};
use crate::span::{Status, Type};
use crate::time::Timestamp;

/// Which spans: every field that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanFilter {
    /// Of this trace.
    pub trace_id: Option<TraceId>,
    /// With exactly this name.
    pub name: Option<String>,
    /// With this in the name, in any case.
    pub name_contains: Option<String>,
    /// Of this coarse type.
    pub coarse_type: Option<Type>,
    /// Of this kind.
    pub kind: Option<String>,
    /// That ended so.
    pub status: Option<Status>,
    /// Of exactly this model, requested or answering.
    pub model: Option<String>,
    /// Of this end user.
    pub user_id: Option<String>,
    /// Of this session.
    pub session_id: Option<String>,
    /// From this environment.
    pub environment: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Whose metadata holds this value under this key, compared as text.
    pub metadata: Option<(String, String)>,
    /// Attributed to this agent.
    pub agent_id: Option<AgentId>,
}

/// A place in the order "newest start first, then trace id, then span id, all descending".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When the span began.
    pub start: Timestamp,
    /// Its trace.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
}
