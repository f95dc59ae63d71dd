//! One session, read from the aggregate.

use arrow::datatypes::{Decimal128Type, Int64Type};
use spanlake_model::{Money, Timestamp};

use crate::error::Error;
use crate::read::row::Row;

/// All spans of all traces of one session, taken together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Session {
    pub(crate) id: String,
    /// The newest.
    pub(crate) name: Option<String>,
    pub(crate) start: Timestamp,
    /// The last end; none while no span has ended.
    pub(crate) end: Option<Timestamp>,
    pub(crate) trace_count: i64,
    pub(crate) span_count: i64,
    pub(crate) error_count: i64,
    pub(crate) cost: Option<Money>,
    pub(crate) tokens: Option<i64>,
    pub(crate) input_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
    pub(crate) user_ids: Vec<String>,
    pub(crate) models: Vec<String>,
    pub(crate) environments: Vec<String>,
    pub(crate) tags: Vec<String>,
}

impl Session {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            id: row.text(super::SESSION)?.ok_or(Error::Column(super::SESSION))?,
            name: row.text("name")?,
            start: Timestamp::from_nanos(row.required("start_ns")?),
            end: row.number::<Int64Type>("end_ns")?.map(Timestamp::from_nanos),
            trace_count: row.required("trace_count")?,
            span_count: row.required("span_count")?,
            error_count: row.required("error_count")?,
            cost: row.number::<Decimal128Type>("cost")?.map(Money::from_pico),
            tokens: row.number::<Int64Type>("total_tokens")?,
            input_tokens: row.number::<Int64Type>("input_tokens")?,
            output_tokens: row.number::<Int64Type>("output_tokens")?,
            user_ids: row.words("user_ids")?,
            models: row.words("models")?,
            environments: row.words("environments")?,
            tags: row.words("tags")?,
        })
    }
}
