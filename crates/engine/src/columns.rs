//! Columns of spans that functions of ours read.

use arrow::datatypes::DataType;
use datafusion::logical_expr::{Signature, Volatility};

/// What a call takes: tokens, then money.
pub(crate) const SPENT: [&str; 9] = [
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost",
    "input_cost",
    "output_cost",
];

/// Of what type a column is.
pub(crate) fn kind(name: &str) -> DataType {
    spanlake_store::schema::spans().field_with_name(name).expect("a column of spans").data_type().clone()
}

/// Of a function of exactly these columns.
pub(crate) fn signature<'n>(names: impl Iterator<Item = &'n str>) -> Signature {
    Signature::exact(names.map(kind).collect(), Volatility::Immutable)
}
