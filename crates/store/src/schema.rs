//! The columns of each table.
//!
//! Types that every warehouse reads: strings as `Utf8View` (never an Arrow dictionary), ids as `FixedSizeBinary`,
//! microsecond UTC timestamps, signed integers, decimals for money, a list for tags. Every column has a Parquet field
//! id, given once and never reused, so that readers find a column by id whatever it is called later.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use spanlake_model::{Money, Table};

/// The version written into every data file of spans. A reader takes this one and all before it: a column that an older file does not
/// have is null there.
///
/// 2 added `operation` and all columns with a higher id.
pub const FORMAT_VERSION: u32 = 2;

/// The columns of a table.
pub fn of(table: Table) -> SchemaRef {
    match table {
        Table::Spans => spans(),
        Table::Scores => scores(),
    }
}

/// The version written into every data file of a table. A reader takes this one and all before it.
pub const fn format_version(table: Table) -> u32 {
    match table {
        Table::Spans => FORMAT_VERSION,
        Table::Scores => 1,
    }
}

/// The columns that tell rows of one app apart, sixteen bytes and eight: what superseded keys name, and the end of the sort key.
/// Of a score they are a digest of its id, which is a text of any length.
pub const fn key_columns(table: Table) -> [&'static str; 2] {
    match table {
        Table::Spans => ["trace_id", "span_id"],
        Table::Scores => ["key_high", "key_low"],
    }
}

/// One row a score.
pub fn scores() -> SchemaRef {
    static SCORES: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(score_fields())));
    SCORES.clone()
}

/// One row a span.
pub fn spans() -> SchemaRef {
    static SPANS: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(span_fields())));
    SPANS.clone()
}

/// One row a trace: what its spans come to. Not stored; made when it is read.
pub fn traces() -> SchemaRef {
    static TRACES: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(trace_fields())));
    TRACES.clone()
}

/// A batch of a data file as the table has it now: columns that the file's version did not have are null.
///
/// # Errors
/// When a column is missing that every version has, or is of another type.
pub fn adapt(table: Table, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = of(table);
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        Some(column) => column.clone(),
        None => new_null_array(field.data_type(), batch.num_rows()),
    };
    RecordBatch::try_new(schema.clone(), schema.fields().iter().map(column).collect())
}

const ID16: DataType = DataType::FixedSizeBinary(16);
const ID8: DataType = DataType::FixedSizeBinary(8);
const TEXT: DataType = DataType::Utf8View;
const COUNT: DataType = DataType::Int64;
const MONEY: DataType = DataType::Decimal128(Money::PRECISION, Money::SCALE);

/// Microseconds, UTC.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn span_fields() -> Fields {
    let required = [
        (1, "tenant_id", ID16),
        (2, "app_id", ID16),
        (4, "trace_id", ID16),
        (5, "span_id", ID8),
        (7, "start_time", timestamp()),
        (8, "start_nanos", DataType::Int16),
        (11, "start_minute", DataType::Int32),
        (12, "name", TEXT),
        (13, "kind", TEXT),
        (14, "status", DataType::Int8),
        (16, "is_root", DataType::Boolean),
        (42, "tags", tags()),
        (44, "metadata", TEXT),
        (45, "attributes", TEXT),
        (46, "resource", TEXT),
        (47, "events", TEXT),
        (48, "links", TEXT),
        (53, "received_at", timestamp()),
        (54, "sequence", COUNT),
        (55, "writer_id", ID16),
    ];
    let optional = [
        (3, "agent_id", ID16),
        (6, "parent_span_id", ID8),
        (9, "end_time", timestamp()),
        (10, "duration_ns", COUNT),
        (15, "status_message", TEXT),
        (17, "provider", TEXT),
        (18, "request_model", TEXT),
        (19, "model", TEXT),
        (20, "response_id", TEXT),
        (21, "input_tokens", COUNT),
        (22, "output_tokens", COUNT),
        (23, "total_tokens", COUNT),
        (24, "cached_input_tokens", COUNT),
        (25, "cache_write_tokens", COUNT),
        (26, "reasoning_tokens", COUNT),
        (27, "cost", MONEY),
        (28, "input_cost", MONEY),
        (29, "output_cost", MONEY),
        (30, "time_to_first_token_ns", COUNT),
        (31, "tool_name", TEXT),
        (32, "session_id", TEXT),
        (33, "user_id", TEXT),
        (34, "trace_name", TEXT),
        (35, "environment", TEXT),
        (36, "release", TEXT),
        (37, "version", TEXT),
        (38, "service_name", TEXT),
        (39, "scope_name", TEXT),
        (40, "prompt_name", TEXT),
        (41, "prompt_version", TEXT),
        (49, "input_preview", TEXT),
        (50, "output_preview", TEXT),
        (51, "input", TEXT),
        (52, "output", TEXT),
        (56, "operation", TEXT),
        (57, "level", TEXT),
        (58, "tokens_per_second", DataType::Float64),
        (59, "model_parameters", TEXT),
        (60, "finish_reason", TEXT),
        (61, "usage_details", TEXT),
        (62, "cost_source", TEXT),
        (63, "agent_name", TEXT),
        (64, "session_name", TEXT),
        (65, "log_name", TEXT),
    ];
    let mut columns: Vec<_> = required
        .into_iter()
        .map(|(id, name, kind)| (id, name, kind, false))
        .chain(optional.into_iter().map(|(id, name, kind)| (id, name, kind, true)))
        .collect();
    columns.sort_by_key(|(id, ..)| *id);
    columns.into_iter().map(|(id, name, kind, nullable)| field(id, name, kind, nullable)).collect()
}

/// Names that spans have too mean the same there; `start_time` is when the score was given.
fn score_fields() -> Fields {
    [
        (1, "tenant_id", ID16, false),
        (2, "app_id", ID16, false),
        (3, "agent_id", ID16, true),
        (4, "key_high", ID16, false),
        (5, "key_low", ID8, false),
        (6, "score_id", TEXT, false),
        (7, "start_time", timestamp(), false),
        (8, "start_nanos", DataType::Int16, false),
        (9, "start_minute", DataType::Int32, false),
        (10, "trace_id", ID16, true),
        (11, "span_id", ID8, true),
        (12, "session_id", TEXT, true),
        (13, "name", TEXT, false),
        (14, "value", DataType::Float64, true),
        (15, "label", TEXT, true),
        (16, "comment", TEXT, true),
        (17, "source", TEXT, false),
        (18, "author", TEXT, true),
        (19, "metadata", TEXT, false),
        (20, "received_at", timestamp(), false),
        (21, "sequence", COUNT, false),
        (22, "writer_id", ID16, false),
    ]
    .into_iter()
    .map(|(id, name, kind, nullable)| field(id, name, kind, nullable))
    .collect()
}

/// Names that spans have too mean the same there; money is a sum, and so has more digits.
fn trace_fields() -> Fields {
    let sum = DataType::Decimal128(28, Money::SCALE);
    let words = || DataType::List(Arc::new(Field::new("item", TEXT, false)));
    [
        ("app_id", ID16, false),
        ("trace_id", ID16, false),
        ("agent_id", ID16, true),
        ("name", TEXT, false),
        ("status", DataType::Int8, false),
        ("start_time", timestamp(), false),
        ("start_nanos", DataType::Int16, false),
        ("start_minute", DataType::Int32, false),
        ("end_time", timestamp(), true),
        ("duration_ns", COUNT, true),
        ("cost", sum, true),
        ("tokens", COUNT, true),
        ("input_tokens", COUNT, true),
        ("output_tokens", COUNT, true),
        ("span_count", COUNT, false),
        ("error_count", COUNT, false),
        ("models", words(), false),
        ("tags", words(), false),
        ("session_id", TEXT, true),
        ("user_id", TEXT, true),
        ("environment", TEXT, true),
        ("input_preview", TEXT, true),
        ("output_preview", TEXT, true),
        ("metadata", TEXT, false),
        // A JSON object: means by name.
        ("scores", TEXT, false),
    ]
    .into_iter()
    .map(|(name, kind, nullable)| Arc::new(Field::new(name, kind, nullable)))
    .collect()
}

fn tags() -> DataType {
    DataType::List(Arc::new(field(43, "item", TEXT, false)))
}

fn field(id: u32, name: &str, kind: DataType, nullable: bool) -> Field {
    let metadata = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_string(), id.to_string())]);
    Field::new(name, kind, nullable).with_metadata(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_id_or_name_stands_twice() {
        let schema = spans();
        let ids: std::collections::BTreeSet<_> =
            schema.fields().iter().map(|field| field.metadata()[PARQUET_FIELD_ID_META_KEY].clone()).collect();
        let names: std::collections::BTreeSet<_> = schema.fields().iter().map(|field| field.name()).collect();
        assert_eq!((ids.len(), names.len()), (64, 64));
        let ids: std::collections::BTreeSet<_> =
            scores().fields().iter().map(|field| field.metadata()[PARQUET_FIELD_ID_META_KEY].clone()).collect();
        assert_eq!((ids.len(), scores().fields().len()), (22, 22));
    }
}
