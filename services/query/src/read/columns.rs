//! Columns and literals of the `spans` table, as expressions.

use arrow::datatypes::DataType;
use spanlake_engine::datafusion::logical_expr::cast;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::datafusion::scalar::ScalarValue;
use spanlake_model::{Caller, TraceId};

/// Rows the caller may see: of their app, and for an agent's key of that agent.
pub(crate) fn own(caller: &Caller) -> Expr {
    match of_agent(caller) {
        Some(of_agent) => of_app(caller).and(of_agent),
        None => of_app(caller),
    }
}

/// Rows of the caller's app, whichever agent's they are.
pub(crate) fn of_app(caller: &Caller) -> Expr {
    col("app_id").eq(id(caller.app().as_bytes()))
}

/// Rows of the caller's agent, for an agent's key.
pub(crate) fn of_agent(caller: &Caller) -> Option<Expr> {
    caller.agent().map(|agent| col("agent_id").eq(id(agent.as_bytes())))
}

/// An id of any length.
pub(crate) fn id<const N: usize>(bytes: &[u8; N]) -> Expr {
    lit(ScalarValue::FixedSizeBinary(i32::try_from(N).expect("8 or 16"), Some(bytes.to_vec())))
}

/// A text as the table holds it.
pub(crate) fn text(text: impl Into<String>) -> Expr {
    lit(ScalarValue::Utf8View(Some(text.into())))
}

/// Of this trace.
pub(crate) fn is_trace(trace: TraceId) -> Expr {
    col("trace_id").eq(id(trace.as_bytes()))
}

/// When a span began, in nanoseconds.
pub(crate) fn start_ns() -> Expr {
    cast(col("start_time"), DataType::Int64) * lit(1_000_i64) + cast(col("start_nanos"), DataType::Int64)
}
