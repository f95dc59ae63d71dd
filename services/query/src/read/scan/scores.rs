//! What scores say of each row of a scan: its own means by name, and those of its trace where it has none of that name.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewBuilder, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use spanlake_engine::TenantSession;
use spanlake_model::{Caller, SpanKey, Table};
use spanlake_proto::query::SCORES;
use spanlake_store::rows::row_keys;

use crate::error::Error;
use crate::read::scores::{Means, NAMES_MAX, means_of_spans};

/// The batch, which has the columns of spans, with the column [`SCORES`] behind them. Nothing is read when there is no score.
pub(in crate::read) async fn beside(
    session: &TenantSession,
    caller: &Caller,
    batch: RecordBatch,
) -> Result<RecordBatch, Error> {
    if !session.has_scores() || batch.num_rows() == 0 {
        return without(&batch);
    }
    let column = shown(session, caller, &row_keys(Table::Spans, &batch)?).await?;
    with(&batch, column)
}

/// As [`beside`], saying nothing.
pub(in crate::read) fn without(batch: &RecordBatch) -> Result<RecordBatch, Error> {
    with(batch, new_null_array(&DataType::Utf8View, batch.num_rows()))
}

fn with(batch: &RecordBatch, column: ArrayRef) -> Result<RecordBatch, Error> {
    let field = Arc::new(Field::new(SCORES, DataType::Utf8View, true));
    let fields = batch.schema().fields().iter().cloned().chain([field]).collect::<Vec<_>>();
    let columns = batch.columns().iter().cloned().chain([column]).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
    batch.map_err(|error| Error::Engine(spanlake_engine::Error::Schema(error)))
}

async fn shown(session: &TenantSession, caller: &Caller, rows: &[SpanKey]) -> Result<ArrayRef, Error> {
    let mut traces: Vec<_> = rows.iter().map(|row| row.trace_id).collect();
    traces.sort_unstable();
    traces.dedup();
    let means = means_of_spans(session, caller, &traces).await?;
    let mut column = StringViewBuilder::with_capacity(rows.len());
    for row in rows {
        let of_trace = means.get(&(row.trace_id, None)).into_iter().flatten();
        let own = means.get(&(row.trace_id, Some(row.span_id))).into_iter().flatten();
        // Later ones replace earlier ones.
        let all: BTreeMap<_, _> = of_trace.chain(own).collect();
        let all: Means = all.into_iter().take(NAMES_MAX).map(|(name, mean)| (name.clone(), *mean)).collect();
        column.append_option((!all.is_empty()).then(|| serde_json::json!(all).to_string()));
    }
    Ok(Arc::new(column.finish()))
}
