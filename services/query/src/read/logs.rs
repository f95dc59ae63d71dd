//! What log records say of spans that carry no content themselves: joined when read, whichever came first.
//!
//! A record belongs to the span it names; one that names none to the span with its response id, else to the root of its
//! trace. A record says either the whole input or output, or one message of it: an object with a role. Messages of one span are
//! put into a list, in the order of their time. What a span says itself always wins: nothing is appended to it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray, StringViewBuilder};
use arrow::datatypes::TimestampMicrosecondType;
use serde::Deserialize;
use serde::de::IgnoredAny;
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::first_value;
use spanlake_engine::datafusion::logical_expr::ExprFunctionExt;
use spanlake_engine::datafusion::prelude::col;
use spanlake_model::{Caller, Kind, Span, SpanId, Timestamp, TraceId};

use super::columns::{id, own, text};
use super::spans::in_schema;
use super::traces::Trace;
use crate::error::Error;

/// Records that are read for one page of spans at most.
const RECORDS_MAX: usize = 50_000;

/// Bytes that are filled in for one page of spans at most.
const FILLED_BYTES_MAX: usize = 128 << 20;

/// What is needed of a span to find what was said of it.
struct Mute {
    trace: TraceId,
    span: SpanId,
    parent: Option<SpanId>,
    response: Option<String>,
    is_call: bool,
    end: Option<Timestamp>,
}

struct Record {
    name: String,
    time: Timestamp,
    input: Option<String>,
    output: Option<String>,
}

/// Records with content, oldest first.
#[derive(Default)]
struct Said {
    by_span: HashMap<(TraceId, Option<SpanId>), Vec<Arc<Record>>>,
    by_response: HashMap<String, Vec<Arc<Record>>>,
}

/// Whether the snapshot holds any.
pub(crate) async fn are_there(session: &TenantSession, caller: &Caller) -> Result<bool, Error> {
    let first = session.logs()?.filter(own(caller))?.select(vec![col("span_id")])?.limit(0, Some(1))?;
    Ok(session.collect(first).await?.iter().any(|batch| batch.num_rows() > 0))
}

/// Fills in the input and output of spans that have none.
pub(crate) async fn fill(session: &TenantSession, caller: &Caller, spans: &mut [Span]) -> Result<(), Error> {
    let mutes = || spans.iter().filter(|span| span.input.is_none() || span.output.is_none()).map(Mute::of);
    let said = Said::read(session, caller, &mutes().collect::<Vec<_>>()).await?;
    let mut filled = 0;
    for span in spans.iter_mut().filter(|span| span.input.is_none() || span.output.is_none()) {
        let mute = Mute::of(span);
        for (own, said) in [(&mut span.input, said.input(&mute)), (&mut span.output, said.output(&mute))] {
            if own.is_none() {
                *own = said;
                count(&mut filled, own.as_deref())?;
            }
        }
    }
    Ok(())
}

/// As [`fill`], of rows with all columns.
pub(crate) async fn fill_batch(
    session: &TenantSession,
    caller: &Caller,
    batch: RecordBatch,
) -> Result<RecordBatch, Error> {
    let (input, output) = (texts(&batch, "input")?, texts(&batch, "output")?);
    let rows = 0..batch.num_rows();
    let mutes = rows.map(|row| {
        let is_mute = input.is_null(row) || output.is_null(row);
        is_mute.then(|| Mute::read(&batch, row)).transpose()
    });
    let mutes: Vec<Option<Mute>> = mutes.collect::<Result<_, Error>>()?;
    let said = Said::read(session, caller, &mutes.iter().flatten().collect::<Vec<_>>()).await?;
    if said.is_empty() {
        return Ok(batch);
    }
    let mut bytes = 0;
    let mut filled = |own: &StringViewArray, said: &dyn Fn(&Mute) -> Option<String>| -> Result<ArrayRef, Error> {
        let mut column = StringViewBuilder::with_capacity(mutes.len());
        for (row, mute) in mutes.iter().enumerate() {
            if own.is_valid(row) {
                column.append_value(own.value(row));
                continue;
            }
            let said = mute.as_ref().and_then(said);
            count(&mut bytes, said.as_deref())?;
            column.append_option(said);
        }
        Ok(Arc::new(column.finish()))
    };
    let (input, output) = (filled(input, &|mute| said.input(mute))?, filled(output, &|mute| said.output(mute))?);
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| match field.name().as_str() {
        "input" => input.clone(),
        "output" => output.clone(),
        _ => column.clone(),
    });
    let columns = columns.collect();
    in_schema(
        &RecordBatch::try_new(schema, columns).map_err(|error| Error::Engine(spanlake_engine::Error::Schema(error)))?,
    )
}

/// Counts what is filled in: one record may be what many spans have to say.
fn count(filled: &mut usize, said: Option<&str>) -> Result<(), Error> {
    *filled += said.map_or(0, str::len);
    if *filled > FILLED_BYTES_MAX {
        return Err(Error::Engine(spanlake_engine::Error::QueryMemory { bytes: FILLED_BYTES_MAX }));
    }
    Ok(())
}

/// Fills in the previews of traces whose spans say nothing: the first that was asked, and the last answer.
pub(crate) async fn fill_previews(session: &TenantSession, caller: &Caller, traces: &mut [Trace]) -> Result<(), Error> {
    let is_mute = |trace: &Trace| trace.input_preview.is_none() || trace.output_preview.is_none();
    let mutes: Vec<_> = traces.iter().filter(|trace| is_mute(trace)).map(|trace| id(trace.id.as_bytes())).collect();
    if mutes.is_empty() {
        return Ok(());
    }
    let order = |is_ascending| ["start_time", "start_nanos"].map(|key| col(key).sort(is_ascending, false)).to_vec();
    let said = |column: &'static str, is_ascending| {
        let first = first_value(col(column), vec![]).order_by(order(is_ascending));
        first.filter(col(column).is_not_null()).build().map(|first| first.alias(column))
    };
    let columns = vec![said("input_preview", true)?, said("output_preview", false)?];
    let frame = session.logs()?.filter(own(caller).and(col("trace_id").in_list(mutes, false)))?;
    for batch in session.collect(frame.aggregate(vec![col("trace_id")], columns)?).await? {
        for row in 0..batch.num_rows() {
            let of_row = trace_id(&batch, row)?;
            let Some(trace) = traces.iter_mut().find(|trace| trace.id == of_row) else { continue };
            let (input, output) = (text_at(&batch, "input_preview", row)?, text_at(&batch, "output_preview", row)?);
            trace.input_preview = trace.input_preview.take().or(input);
            trace.output_preview = trace.output_preview.take().or(output);
        }
    }
    Ok(())
}

impl Mute {
    fn of(span: &Span) -> Self {
        Self {
            trace: span.trace_id,
            span: span.span_id,
            parent: span.parent_span_id,
            response: span.response_id.clone(),
            is_call: span.kind.as_str() == Kind::LLM,
            end: span.end,
        }
    }

    fn read(batch: &RecordBatch, row: usize) -> Result<Self, Error> {
        Ok(Self {
            trace: trace_id(batch, row)?,
            span: span_id(batch, "span_id", row)?.ok_or(Error::Column("span_id"))?,
            parent: span_id(batch, "parent_span_id", row)?,
            response: text_at(batch, "response_id", row)?,
            is_call: text_at(batch, "kind", row)?.as_deref() == Some(Kind::LLM),
            end: time_at(batch, "end_time", row)?,
        })
    }
}

impl Said {
    async fn read(
        session: &TenantSession,
        caller: &Caller,
        mutes: &[impl std::borrow::Borrow<Mute>],
    ) -> Result<Self, Error> {
        let mut said = Self::default();
        if mutes.is_empty() {
            return Ok(said);
        }
        let traces: HashSet<TraceId> = mutes.iter().map(|mute| mute.borrow().trace).collect();
        let responses: HashSet<&str> = mutes.iter().filter_map(|mute| mute.borrow().response.as_deref()).collect();
        let of_traces = traces.iter().map(|trace| id(trace.as_bytes())).collect();
        let of_responses = responses.into_iter().map(text).collect();
        let wanted = col("trace_id").in_list(of_traces, false).or(col("response_id").in_list(of_responses, false));
        let has_content = col("input").is_not_null().or(col("output").is_not_null());
        let columns = ["trace_id", "parent_span_id", "response_id", "log_name", "start_time", "input", "output"];
        let order = ["start_time", "start_nanos", "span_id"].map(|key| col(key).sort(true, false));
        let frame = session.logs()?.filter(own(caller).and(has_content).and(wanted))?.sort(order.to_vec())?;
        let frame = frame.limit(0, Some(RECORDS_MAX))?.select(columns.map(col).to_vec())?;
        for batch in session.collect(frame).await? {
            for row in 0..batch.num_rows() {
                said.add(&batch, row)?;
            }
        }
        Ok(said)
    }

    fn add(&mut self, batch: &RecordBatch, row: usize) -> Result<(), Error> {
        let record = Arc::new(Record {
            name: text_at(batch, "log_name", row)?.unwrap_or_default(),
            time: time_at(batch, "start_time", row)?.ok_or(Error::Column("start_time"))?,
            input: text_at(batch, "input", row)?,
            output: text_at(batch, "output", row)?,
        });
        let parent = span_id(batch, "parent_span_id", row)?;
        if let (None, Some(response)) = (parent, text_at(batch, "response_id", row)?) {
            self.by_response.entry(response).or_default().push(record.clone());
        }
        self.by_span.entry((trace_id(batch, row)?, parent)).or_default().push(record);
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.by_span.is_empty()
    }

    fn input(&self, mute: &Mute) -> Option<String> {
        self.of(mute, |record| record.input.as_deref())
    }

    fn output(&self, mute: &Mute) -> Option<String> {
        self.of(mute, |record| record.output.as_deref()).or_else(|| self.answer_beside(mute))
    }

    fn of(&self, mute: &Mute, content: impl Fn(&Record) -> Option<&str>) -> Option<String> {
        let own = self.by_span.get(&(mute.trace, Some(mute.span)));
        let answered = || self.by_response.get(mute.response.as_deref()?);
        let at_root = || mute.parent.is_none().then(|| self.by_span.get(&(mute.trace, None))).flatten();
        let records = own.or_else(answered).or_else(at_root)?;
        put_together(records.iter().filter_map(|record| content(record)))
    }

    /// Claude Code logs each answer at the turn of the agent, just after the call that gave it.
    fn answer_beside(&self, mute: &Mute) -> Option<String> {
        let (true, Some(parent), Some(end)) = (mute.is_call, mute.parent, mute.end) else { return None };
        let records = self.by_span.get(&(mute.trace, Some(parent)))?;
        let mut answers = records.iter().filter(|record| record.name.ends_with("assistant_response"));
        answers.find(|record| record.time >= end.minus(CLOCK_SLACK))?.output.clone()
    }
}

/// Log records have times in milliseconds.
const CLOCK_SLACK: std::time::Duration = std::time::Duration::from_millis(2);

/// The first that says all; else the messages as a list.
fn put_together<'a>(contents: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut messages = Vec::new();
    for content in contents {
        if !is_message(content) {
            return Some(content.to_owned());
        }
        messages.push(content);
    }
    (!messages.is_empty()).then(|| format!("[{}]", messages.join(",")))
}

fn is_message(content: &str) -> bool {
    #[derive(Deserialize)]
    struct Message {
        #[serde(rename = "role")]
        _role: IgnoredAny,
    }
    content.starts_with('{') && serde_json::from_str::<Message>(content).is_ok()
}

fn column<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a ArrayRef, Error> {
    batch.column_by_name(name).ok_or(Error::Column(name))
}

fn texts<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a StringViewArray, Error> {
    column(batch, name)?.as_string_view_opt().ok_or(Error::Column(name))
}

fn text_at(batch: &RecordBatch, name: &'static str, row: usize) -> Result<Option<String>, Error> {
    let texts = texts(batch, name)?;
    Ok(texts.is_valid(row).then(|| texts.value(row).to_owned()))
}

fn time_at(batch: &RecordBatch, name: &'static str, row: usize) -> Result<Option<Timestamp>, Error> {
    let times = column(batch, name)?.as_primitive_opt::<TimestampMicrosecondType>().ok_or(Error::Column(name))?;
    Ok(times.is_valid(row).then(|| Timestamp::from_micros(times.value(row))))
}

fn trace_id(batch: &RecordBatch, row: usize) -> Result<TraceId, Error> {
    let ids = column(batch, "trace_id")?.as_fixed_size_binary_opt().ok_or(Error::Column("trace_id"))?;
    TraceId::from_slice(ids.value(row)).map_err(|_| Error::Column("trace_id"))
}

fn span_id(batch: &RecordBatch, name: &'static str, row: usize) -> Result<Option<SpanId>, Error> {
    let ids = column(batch, name)?.as_fixed_size_binary_opt().ok_or(Error::Column(name))?;
    Ok(if ids.is_valid(row) { SpanId::from_slice(ids.value(row)).ok() } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_a_list_and_a_whole_content_is_itself() {
        let messages = [r#"{"role":"system","content":"be kind"}"#, r#"{"role":"user","content":"hi"}"#];
        let list = r#"[{"role":"system","content":"be kind"},{"role":"user","content":"hi"}]"#;
        assert_eq!(put_together(messages.into_iter()).as_deref(), Some(list));
        for whole in [list, "hello", r#"{"city":"Paris"}"#, "{"] {
            assert_eq!(put_together([whole].into_iter()).as_deref(), Some(whole));
        }
        assert_eq!(put_together(std::iter::empty()), None);
    }
}
