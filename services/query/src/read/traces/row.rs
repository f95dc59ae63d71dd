//! One trace, read from the aggregate.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::{Decimal128Type, Int64Type};
use spanlake_model::{AgentId, AppId, Money, Status, Timestamp, Trace};

use crate::error::Error;
use crate::read::row::Row;

pub(super) fn read(batch: &RecordBatch) -> Result<Vec<Trace>, Error> {
    Row::all(batch).map(|row| one(&row)).collect()
}

fn one(row: &Row<'_>) -> Result<Trace, Error> {
    let error_count = row.required("error_count")?;
    let root_is_fine = row.number::<Int64Type>("root_status")? == Some(i64::from(Status::Ok.as_i8()));
    let status = match (error_count > 0, root_is_fine) {
        (true, _) => Status::Error,
        (false, true) => Status::Ok,
        (false, false) => Status::Unset,
    };
    let either = |first, second| Ok::<_, Error>(row.text(first)?.or(row.text(second)?));
    Ok(Trace {
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
