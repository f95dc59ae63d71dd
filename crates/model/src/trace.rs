//! A trace in our words: what its spans come to.

use std::collections::BTreeMap;

use crate::ids::{AgentId, AppId, TraceId};
use crate::money::Money;
use crate::span::Status;
use crate::time::Timestamp;

/// All spans of one trace id in one app, taken together.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// The app it belongs to.
    pub app_id: AppId,
    /// The agent it is attributed to.
    pub agent_id: Option<AgentId>,
    /// The one it was given, else its root's.
    pub name: String,
    /// Failed when any span failed, else fine when the root says so.
    pub status: Status,
    /// When its first span began.
    pub start: Timestamp,
    /// The last end; none while no span has ended.
    pub end: Option<Timestamp>,
    /// Of all calls of models, each counted once; so are tokens.
    pub cost: Option<Money>,
    /// In and out.
    pub tokens: Option<i64>,
    /// Of prompts.
    pub input_tokens: Option<i64>,
    /// Generated.
    pub output_tokens: Option<i64>,
    /// How many spans there are.
    pub span_count: i64,
    /// How many of them failed.
    pub error_count: i64,
    /// Models that answered, in order.
    pub models: Vec<String>,
    /// Of all spans, in order.
    pub tags: Vec<String>,
    /// The session.
    pub session_id: Option<String>,
    /// The end user.
    pub user_id: Option<String>,
    /// The environment.
    pub environment: Option<String>,
    /// The beginning of what was asked.
    pub input_preview: Option<String>,
    /// The beginning of what was answered.
    pub output_preview: Option<String>,
    /// A JSON object.
    pub metadata: String,
    /// By name the mean of the numbers that it and its spans were given; nothing when scores were not asked for.
    pub scores: BTreeMap<String, f64>,
}

impl Trace {
    /// A trace of which nothing else is known.
    pub fn new(app_id: AppId, id: TraceId, start: Timestamp) -> Self {
        Self {
            id,
            app_id,
            agent_id: None,
            name: String::new(),
            status: Status::Unset,
            start,
            end: None,
            cost: None,
            tokens: None,
            input_tokens: None,
            output_tokens: None,
            span_count: 0,
            error_count: 0,
            models: Vec::new(),
            tags: Vec::new(),
            session_id: None,
            user_id: None,
            environment: None,
            input_preview: None,
            output_preview: None,
            metadata: "{}".into(),
            scores: BTreeMap::new(),
        }
    }

    /// From its first start to its last end, in nanoseconds.
    pub fn duration_ns(&self) -> Option<i64> {
        self.end.map(|end| end.as_nanos().saturating_sub(self.start.as_nanos()))
    }
}
