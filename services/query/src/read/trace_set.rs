//! Spans of many traces, as an expression.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::datatypes::DataType;
use foldhash::fast::FixedState;
use spanlake_engine::datafusion::error::DataFusionError;
use spanlake_engine::datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use spanlake_engine::datafusion::prelude::{Expr, col};
use spanlake_model::TraceId;

use super::traces::is_one_of;

/// So many are named in the plan, where bloom filters of row groups can be asked for them.
const NAMED_MAX: usize = 1_000;

/// A span of one of these traces, however many they are. A set of many takes 18 bytes a trace.
pub(super) fn is_among(traces: &[TraceId]) -> Expr {
    if traces.len() <= NAMED_MAX {
        return is_one_of(traces);
    }
    let set: HashSet<[u8; 16], FixedState> = traces.iter().map(|trace| *trace.as_bytes()).collect();
    let is_among = move |arguments: &[ColumnarValue]| {
        let [ids] = arguments else { return Err(unexpected()) };
        let ids = ids.to_array(1)?;
        let ids = ids.as_fixed_size_binary_opt().ok_or_else(unexpected)?;
        let held: BooleanArray = ids.iter().map(|id| Some(id.is_some_and(|id| set.contains(id)))).collect();
        Ok(ColumnarValue::Array(Arc::new(held)))
    };
    let id = DataType::FixedSizeBinary(16);
    let function = create_udf("is_among", vec![id], DataType::Boolean, Volatility::Immutable, Arc::new(is_among));
    function.call(vec![col("trace_id")])
}

fn unexpected() -> DataFusionError {
    DataFusionError::Internal("is_among takes trace ids".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, FixedSizeBinaryArray, RecordBatch};
    use spanlake_engine::datafusion::prelude::SessionContext;

    fn trace(number: u64) -> TraceId {
        TraceId::from_bytes((u128::from(number) + 1).to_be_bytes()).unwrap()
    }

    #[tokio::test]
    async fn few_and_many_traces_are_found_alike() {
        let all: Vec<_> = (0..3_000).map(trace).collect();
        let ids = FixedSizeBinaryArray::try_from_iter(all.iter().map(|trace| trace.as_bytes())).unwrap();
        let rows = RecordBatch::try_from_iter([("trace_id", Arc::new(ids) as ArrayRef)]).unwrap();
        for count in [0, 1, NAMED_MAX, NAMED_MAX + 1, 2_999] {
            let frame = SessionContext::new().read_batch(rows.clone()).unwrap();
            let found = frame.filter(is_among(&all[..count])).unwrap().count().await.unwrap();
            assert_eq!(found, count);
        }
    }
}
