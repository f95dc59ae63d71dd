//! What is measured of some spans.

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type};
use spanlake_engine::datafusion::functions::core::expr_fn::coalesce;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::{avg, count, sum};
use spanlake_engine::datafusion::logical_expr::ExprFunctionExt;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::{QUANTILES, distinct, quantiles};
use spanlake_model::{Money, Status};

use crate::error::Error;
use crate::read::row::Row;

/// Durations of some spans, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Durations {
    pub(crate) mean: Option<f64>,
    /// As [`QUANTILES`] has them.
    pub(crate) quantiles: [Option<i64>; QUANTILES.len()],
}

/// What is measured of some spans; sums of nothing are zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cell {
    pub(crate) spans: i64,
    pub(crate) failed_spans: i64,
    pub(crate) traces: i64,
    pub(crate) users: i64,
    pub(crate) models: i64,
    /// Calls of models, failed ones included, each once.
    pub(crate) requests: i64,
    pub(crate) failed_requests: i64,
    pub(crate) request_mean_ns: Option<f64>,
    /// Spans whose usage is in the sums, and how many of these have no cost.
    pub(crate) calls: i64,
    pub(crate) unpriced_calls: i64,
    /// Input, output, total, read from a cache, written to one, for reasoning.
    pub(crate) tokens: [i64; 6],
    /// Total, for input, for output.
    pub(crate) cost: [Money; 3],
    pub(crate) latency: Durations,
    pub(crate) first_token: Durations,
    /// Output tokens of calls that took some time, and how long these wrote.
    pub(crate) written_tokens: i64,
    pub(crate) written_ns: i64,
}

const TOKENS: [&str; 6] =
    ["input_tokens", "output_tokens", "total_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens"];
const COST: [&str; 3] = ["cost", "input_cost", "output_cost"];

/// Whether a span's usage counts, computed before.
pub(super) const IS_CALL: &str = "is_call";
/// Whether it is a call of a model that counts once, computed before.
pub(super) const IS_REQUEST: &str = "is_request";

/// The aggregates, over frames with [`IS_CALL`] and [`IS_REQUEST`].
pub(super) fn measures() -> Result<Vec<Expr>, Error> {
    let failed = || col("status").eq(lit(Status::Error.as_i8()));
    let how_many = |which: Expr| count(lit(1_i64)).filter(which).build();
    let wrote = || col("duration_ns") - coalesce(vec![col("time_to_first_token_ns"), lit(0_i64)]);
    let did_write = || col(IS_CALL).and(col("output_tokens").gt(lit(0_i64))).and(wrote().gt(lit(0_i64)));
    let mut measures = vec![
        count(lit(1_i64)).alias("spans"),
        how_many(failed())?.alias("failed_spans"),
        distinct(col("trace_id")).alias("traces"),
        distinct(col("user_id")).alias("users"),
        distinct(col("model")).alias("models"),
        how_many(col(IS_REQUEST))?.alias("requests"),
        how_many(col(IS_REQUEST).and(failed()))?.alias("failed_requests"),
        avg(col("duration_ns")).filter(col(IS_REQUEST)).build()?.alias("request_mean_ns"),
        how_many(col(IS_CALL))?.alias("calls"),
        how_many(col(IS_CALL).and(col("cost").is_null()))?.alias("unpriced_calls"),
        quantiles(col("duration_ns")).alias("latency"),
        quantiles(col("time_to_first_token_ns")).alias("first_token"),
        sum(col("output_tokens")).filter(did_write()).build()?.alias("written_tokens"),
        sum(wrote()).filter(did_write()).build()?.alias("written_ns"),
    ];
    for column in TOKENS.into_iter().chain(COST) {
        measures.push(sum(col(column)).filter(col(IS_CALL)).build()?.alias(format!("sum_{column}")));
    }
    Ok(measures)
}

impl Cell {
    pub(super) fn read(row: &Row<'_>) -> Result<Self, Error> {
        let count = |name| Ok::<_, Error>(row.number::<Int64Type>(name)?.unwrap_or(0));
        let money = |name| Ok::<_, Error>(Money::from_pico(row.number::<Decimal128Type>(name)?.unwrap_or(0)));
        Ok(Self {
            spans: count("spans")?,
            failed_spans: count("failed_spans")?,
            traces: count("traces")?,
            users: count("users")?,
            models: count("models")?,
            requests: count("requests")?,
            failed_requests: count("failed_requests")?,
            request_mean_ns: row.number::<Float64Type>("request_mean_ns")?,
            calls: count("calls")?,
            unpriced_calls: count("unpriced_calls")?,
            tokens: [
                count("sum_input_tokens")?,
                count("sum_output_tokens")?,
                count("sum_total_tokens")?,
                count("sum_cached_input_tokens")?,
                count("sum_cache_write_tokens")?,
                count("sum_reasoning_tokens")?,
            ],
            cost: [money("sum_cost")?, money("sum_input_cost")?, money("sum_output_cost")?],
            latency: Durations::read(row, "latency")?,
            first_token: Durations::read(row, "first_token")?,
            written_tokens: count("written_tokens")?,
            written_ns: count("written_ns")?,
        })
    }

    /// Output tokens a second, while they were written.
    pub(crate) fn speed(&self) -> Option<f64> {
        (self.written_ns > 0).then(|| self.written_tokens as f64 * 1e9 / self.written_ns as f64)
    }
}

impl Durations {
    fn read(row: &Row<'_>, name: &'static str) -> Result<Self, Error> {
        let Some(fields) = row.column(name)? else { return Ok(Self::default()) };
        let fields: &StructArray = fields.as_struct_opt().ok_or(Error::Column(name))?;
        let field = |field: &str| fields.column_by_name(field).ok_or(Error::Column(name));
        let mut read = Self::default();
        let means = field("mean")?.as_primitive_opt::<Float64Type>().ok_or(Error::Column(name))?;
        read.mean = means.is_valid(row.place()).then(|| means.value(row.place()));
        for (quantile, (field_name, _)) in read.quantiles.iter_mut().zip(QUANTILES) {
            let values = field(field_name)?.as_primitive_opt::<Int64Type>().ok_or(Error::Column(name))?;
            *quantile = values.is_valid(row.place()).then(|| values.value(row.place()));
        }
        Ok(read)
    }
}
