//! Files of text as a manifest describes them.

use spanlake_proto::query::RowsOf;

use super::manifest::Column;
use super::spec::FileFormat;
use super::{columns, scores, traces};
use crate::csv;

/// The columns by which a row of such a file replaces an older one; conversations have none.
pub(crate) fn key(table: RowsOf, format: FileFormat) -> Vec<String> {
    let key: &[&str] = if format == FileFormat::OpenAi { &[] } else { columns::key(table) };
    key.iter().map(ToString::to_string).collect()
}

/// The fields of a line, or the columns of a record, in their order.
pub(crate) fn described(table: RowsOf, format: FileFormat, with_scores: bool) -> Vec<Column> {
    let (names, always_there): (Vec<&str>, &[&str]) = match (format, table) {
        (FileFormat::OpenAi, _) => (vec!["messages"], &["messages"]),
        (_, RowsOf::Scores) => (scores::COLUMNS.to_vec(), &ALWAYS_IN_SCORES),
        (_, RowsOf::Traces) => (traces::COLUMNS.to_vec(), &ALWAYS_IN_TRACES),
        (_, RowsOf::Spans) => (csv::job_columns(with_scores).collect(), &ALWAYS_IN_SPANS),
    };
    let column = |name: &str| Column {
        name: name.to_string(),
        r#type: type_of(name, format).to_string(),
        nullable: !always_there.contains(&name),
    };
    names.into_iter().map(column).collect()
}

const ALWAYS_IN_SPANS: [&str; 11] =
    ["trace_id", "span_name", "type", "timestamp", "metadata", "scores", "span_id", "kind", "status", "tags", "app_id"];

const ALWAYS_IN_TRACES: [&str; 12] = [
    "id",
    "app_id",
    "name",
    "status",
    "start",
    "span_count",
    "error_count",
    "models",
    "tags",
    "scores",
    "metadata",
    "trace_id",
];

const ALWAYS_IN_SCORES: [&str; 10] = [
    "id",
    "resource_id",
    "resource_type",
    "name",
    "source",
    "created_at",
    "metadata",
    "app_id",
    "score_id",
    "score_key",
];

fn type_of(name: &str, format: FileFormat) -> &'static str {
    match name {
        "latency_ms" | "cost" | "score" => "double",
        "tokens" | "input_tokens" | "output_tokens" | "span_count" | "error_count" => "int64",
        "timestamp" | "created_at" | "start" | "end" => "timestamp_rfc3339_utc",
        // A string of JSON where what was sent is none.
        "input" | "output" | "metadata" | "messages" | "scores" if format != FileFormat::Csv => "json",
        "tags" | "models" | "scores" if format == FileFormat::Csv => "json",
        "tags" | "models" => "list<string>",
        _ => "string",
    }
}
