//! What log records say of spans that carry no content themselves: joined when read, whichever came first.
//!
//! A record belongs to the span it names; one that names none to the span with its response id, else to the root of its
//! trace, else, without a trace, to the root that was under way in its session. A record says either the whole input or output, or one message of it: an object with a role. Messages of one span are
//! put into a list, in the order of their time. What a span says itself always wins: nothing is appended to it.

mod said;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringViewArray, StringViewBuilder};
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::first_value;
use spanlake_engine::datafusion::logical_expr::ExprFunctionExt;
use spanlake_engine::datafusion::prelude::{Expr, col, lit, not};
use spanlake_model::{Caller, Span, Trace};
use spanlake_store::rows::{ids, texts};

use self::said::{Mute, Said};
use super::columns::{id, own};
use crate::error::Error;

/// Bytes that are filled in for one page of spans at most.
const FILLED_BYTES_MAX: usize = 128 << 20;

/// Whether the snapshot holds any.
pub(crate) async fn are_there(session: &TenantSession, caller: &Caller) -> Result<bool, Error> {
    let first = session.logs()?.filter(own(caller))?.select(vec![col("span_id")])?.limit(0, Some(1))?;
    Ok(session.collect(first).await?.iter().any(|batch| batch.num_rows() > 0))
}

/// Fills in the input and output of spans that have none. The session is to hold more than the files of their traces: a record that
/// names no trace lies in another.
pub(crate) async fn fill(session: &TenantSession, caller: &Caller, spans: &mut [Span]) -> Result<(), Error> {
    let mutes: Vec<_> = spans.iter().map(Mute::of).collect();
    let mut filling = Filling::read(session, caller, &mutes).await?;
    for (span, mute) in spans.iter_mut().zip(&mutes) {
        let Some(mute) = mute else { continue };
        if span.input.is_none() {
            span.input = filling.input(mute)?;
        }
        if span.output.is_none() {
            span.output = filling.output(mute)?;
        }
    }
    Ok(())
}

/// As [`fill`], of rows with all columns of the table.
pub(crate) async fn fill_batch(
    session: &TenantSession,
    caller: &Caller,
    batch: RecordBatch,
) -> Result<RecordBatch, Error> {
    let mutes = said::mutes(&batch)?;
    let mut filling = Filling::read(session, caller, &mutes).await?;
    if filling.said.is_empty() {
        return Ok(batch);
    }
    let input = filled(texts(&batch, "input")?, &mutes, |mute| filling.input(mute))?;
    let output = filled(texts(&batch, "output")?, &mutes, |mute| filling.output(mute))?;
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| match field.name().as_str() {
        "input" => input.clone(),
        "output" => output.clone(),
        _ => column.clone(),
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).map_err(|error| Error::Engine(spanlake_engine::Error::Schema(error)))
}

fn filled(
    own: &StringViewArray,
    mutes: &[Option<Mute>],
    mut said: impl FnMut(&Mute) -> Result<Option<String>, Error>,
) -> Result<ArrayRef, Error> {
    let mut column = StringViewBuilder::with_capacity(mutes.len());
    for (row, mute) in mutes.iter().enumerate() {
        match mute {
            Some(mute) if own.is_null(row) => column.append_option(said(mute)?),
            _ => column.append_option(own.is_valid(row).then(|| own.value(row))),
        }
    }
    Ok(Arc::new(column.finish()))
}

/// What is filled in, and how much that is: one record may be what many spans have to say.
struct Filling {
    said: Said,
    bytes: usize,
}

impl Filling {
    async fn read(session: &TenantSession, caller: &Caller, mutes: &[Option<Mute>]) -> Result<Self, Error> {
        Ok(Self { said: Said::read(session, caller, mutes.iter().flatten()).await?, bytes: 0 })
    }

    fn input(&mut self, mute: &Mute) -> Result<Option<String>, Error> {
        self.count(self.said.input(mute))
    }

    fn output(&mut self, mute: &Mute) -> Result<Option<String>, Error> {
        self.count(self.said.output(mute))
    }

    fn count(&mut self, said: Option<String>) -> Result<Option<String>, Error> {
        self.bytes += said.as_ref().map_or(0, String::len);
        if self.bytes > FILLED_BYTES_MAX {
            return Err(Error::Engine(spanlake_engine::Error::QueryMemory { bytes: FILLED_BYTES_MAX }));
        }
        Ok(said)
    }
}

/// The system's message, which says nothing of what was asked.
fn is_instruction() -> Expr {
    let begins = |role| col("input_preview").like(lit(format!("{{\"role\":\"{role}\"%")));
    begins("system").or(begins("developer"))
}

/// Fills in the previews of traces whose spans say nothing: the first that was asked, and the last answer.
pub(crate) async fn fill_previews(session: &TenantSession, caller: &Caller, traces: &mut [Trace]) -> Result<(), Error> {
    let is_mute = |trace: &Trace| trace.input_preview.is_none() || trace.output_preview.is_none();
    let mutes: Vec<_> = traces.iter().filter(|trace| is_mute(trace)).map(|trace| id(trace.id.as_bytes())).collect();
    if mutes.is_empty() {
        return Ok(());
    }
    let order = |is_ascending| ["start_time", "start_nanos"].map(|key| col(key).sort(is_ascending, false)).to_vec();
    let said = |column: &'static str, is_meant: Expr, is_ascending| {
        let first = first_value(col(column), vec![]).order_by(order(is_ascending));
        first.filter(col(column).is_not_null().and(is_meant)).build().map(|first| first.alias(column))
    };
    let columns = vec![said("input_preview", not(is_instruction()), true)?, said("output_preview", lit(true), false)?];
    let frame = session.logs()?.filter(own(caller).and(col("trace_id").in_list(mutes, false)))?;
    for batch in session.collect(frame.aggregate(vec![col("trace_id")], columns)?).await? {
        let (ids, inputs, outputs) =
            (ids(&batch, "trace_id")?, texts(&batch, "input_preview")?, texts(&batch, "output_preview")?);
        for row in 0..batch.num_rows() {
            let Some(trace) = traces.iter_mut().find(|trace| trace.id.as_bytes() == ids.value(row)) else { continue };
            trace.input_preview = trace.input_preview.take().or_else(|| said::text(inputs, row));
            trace.output_preview = trace.output_preview.take().or_else(|| said::text(outputs, row));
        }
    }
    Ok(())
}
