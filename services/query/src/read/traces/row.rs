//! One trace, read from the aggregate.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::{Decimal128Type, Int64Type};
use spanlake_model::{AgentId, AppId, Money, Status, Timestamp, TraceId};

use crate::error::Error;
use crate::read::row::Row;

/// All spans of one trace id in one app, taken together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trace {
    pub(crate) id: TraceId,
    pub(crate) app_id: AppId,
    pub(crate) agent_id: Option<AgentId>,
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) start: Timestamp,
    /// The last end; none while no span has ended.
    pub(crate) end: Option<Timestamp>,
    pub(crate) cost: Option<Money>,
    pub(crate) tokens: Option<i64>,
    pub(crate) input_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
    pub(crate) span_count: i64,
    pub(crate) error_count: i64,
    pub(crate) models: Vec<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) session_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) input_preview: Option<String>,
    pub(crate) output_preview: Option<String>,
    /// A JSON object.
    pub(crate) metadata: String,
    /// By name the mean of the numbers that it and its spans were given; nothing when the session has no scores.
    pub(crate) scores: BTreeMap<String, f64>,
}

pub(super) fn read(batch: &RecordBatch) -> Result<Vec<Trace>, Error> {
    Row::all(batch).map(|row| Trace::read(&row)).collect()
}

impl Trace {
    fn read(row: &Row<'_>) -> Result<Self, Error> {
        let error_count = row.required("error_count")?;
        let root_is_fine = row.number::<Int64Type>("root_status")? == Some(i64::from(Status::Ok.as_i8()));
        let status = match (error_count > 0, root_is_fine) {
            (true, _) => Status::Error,
            (false, true) => Status::Ok,
            (false, false) => Status::Unset,
        };
        let either = |first, second| Ok::<_, Error>(row.text(first)?.or(row.text(second)?));
        Ok(Self {
            id: row.trace("trace_id")?,
            app_id: row.id("app_id")?.map(AppId::from_bytes).ok_or(Error::Column("app_id"))?,
            agent_id: row.id("agent_id")?.map(AgentId::from_bytes),
            name: either("given_name", "root_name")?.unwrap_or_default(),
            status,
            start: Timestamp::from_nanos(row.required("start_ns")?),
            end: row.number::<Int64Type>("end_ns")?.map(Timestamp::from_nanos),
            cost: row.number::<Decimal128Type>("cost")?.map(Money::from_pico),
            tokens: row.number::<Int64Type>("tokens")?,
            input_tokens: row.number::<Int64Type>("input_tokens")?,
            output_tokens: row.number::<Int64Type>("output_tokens")?,
            span_count: row.required("span_count")?,
            error_count,
            models: row.words("models")?,
            tags: row.words("tags")?,
            session_id: row.text("session_id")?,
            user_id: row.text("user_id")?,
            environment: row.text("environment")?,
            input_preview: either("root_input", "llm_input")?,
            output_preview: either("root_output", "llm_output")?,
            metadata: row.text("metadata")?.unwrap_or_else(|| "{}".into()),
            scores: BTreeMap::new(),
        })
    }
}
