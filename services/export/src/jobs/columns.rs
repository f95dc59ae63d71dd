//! Rows as a warehouse reads them: ids as text, words instead of numbers, and nothing that only we need.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int8Type, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use spanlake_model::{AppId, Kind, Status};
use spanlake_proto::query::{FITS, RowsOf};
use spanlake_store::rows::{DecodeError, ids, texts};

use super::encoder::Error;
use super::manifest::Column;

/// What only we need.
const OURS: [&str; 6] = ["tenant_id", "start_minute", "is_root", "log_name", "key_low", FITS];
/// What only we need of spans, which have the whole.
const PREVIEWS: [&str; 2] = ["input_preview", "output_preview"];
/// Ids that are written as UUIDs; all others are hex.
const UUIDS: [&str; 3] = ["app_id", "agent_id", "writer_id"];

/// The columns by which a row replaces an older one.
pub(crate) const fn key(table: RowsOf) -> &'static [&'static str] {
    match table {
        RowsOf::Spans => &["app_id", "trace_id", "span_id"],
        RowsOf::Scores => &["app_id", "score_id"],
        RowsOf::Traces => &["app_id", "trace_id"],
    }
}

/// The rows of a batch of the table, with the columns that files have.
///
/// # Errors
/// When a column is not what the table has.
pub(crate) fn of(table: RowsOf, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if is_ours(table, field.name()) {
            continue;
        }
        let column = readable(field.name(), column)?;
        fields.push(Field::new(name(table, field.name()), column.data_type().clone(), field.is_nullable()));
        columns.push(column);
        if field.name() == "kind" {
            columns.push(types(&columns[columns.len() - 1])?);
            fields.push(Field::new("type", DataType::Utf8, false));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn is_ours(table: RowsOf, column: &str) -> bool {
    OURS.contains(&column) || (table == RowsOf::Spans && PREVIEWS.contains(&column))
}

/// What a column of ours is called in files: as in the API.
fn name(table: RowsOf, ours: &str) -> &str {
    match (table, ours) {
        (RowsOf::Scores, "start_time") => "created_at",
        (RowsOf::Scores, "start_nanos") => "created_nanos",
        (RowsOf::Scores, "value") => "score",
        (RowsOf::Scores, "comment") => "reason",
        (RowsOf::Scores, "key_high") => "score_key",
        _ => ours,
    }
}

fn readable(name: &str, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::FixedSizeBinary(_) => Ok(Arc::new(id_texts(name, column.as_fixed_size_binary()))),
        DataType::Int8 if name == "status" => {
            let word = |status: i8| Status::from_i8(status).as_str();
            Ok(Arc::new(
                column.as_primitive::<Int8Type>().iter().map(|status| status.map(word)).collect::<StringArray>(),
            ))
        }
        // Every reader knows plain strings; fields of ours have notes that none needs.
        DataType::Utf8View => arrow::compute::cast(column, &DataType::Utf8),
        DataType::List(_) => {
            let item = Arc::new(Field::new("item", DataType::Utf8, false));
            arrow::compute::cast(column, &DataType::List(item))
        }
        _ => Ok(column.clone()),
    }
}

fn id_texts(name: &str, ids: &FixedSizeBinaryArray) -> StringArray {
    let is_uuid = UUIDS.contains(&name);
    let text = |bytes: &[u8]| match <[u8; 16]>::try_from(bytes) {
        Ok(bytes) if is_uuid => AppId::from_bytes(bytes).to_string(),
        _ => hex(bytes),
    };
    ids.iter().map(|id| id.map(text)).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// `GENERATION`, `SPAN` or `EVENT`.
fn types(kinds: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let kinds = kinds.as_string_opt::<i32>().ok_or_else(|| ArrowError::SchemaError("kinds are texts".into()))?;
    let types = kinds.iter().map(|kind| kind.map(|kind| Kind::new(kind).coarse().as_str()));
    Ok(Arc::new(types.collect::<StringArray>()))
}

/// The columns as a manifest tells them.
pub(crate) fn described(schema: &Schema) -> Vec<Column> {
    let column = |field: &Arc<Field>| Column {
        name: field.name().clone(),
        r#type: type_name(field.data_type()),
        nullable: field.is_nullable(),
    };
    schema.fields().iter().map(column).collect()
}

fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 => "string".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int16 => "int16".into(),
        DataType::Int32 => "int32".into(),
        DataType::Int64 => "int64".into(),
        DataType::Float64 => "double".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamp_us_utc".into(),
        DataType::List(item) => format!("list<{}>", type_name(item.data_type())),
        other => format!("{other}").to_lowercase(),
    }
}

/// The columns of deletes: what is null means any.
pub(crate) fn deletes_schema(table: RowsOf) -> SchemaRef {
    let names: &[&str] = match table {
        RowsOf::Spans => &["app_id", "trace_id", "span_id"],
        RowsOf::Scores => &["app_id", "trace_id", "score_key"],
        RowsOf::Traces => &["app_id", "trace_id"],
    };
    let field = |name: &&str| Field::new(*name, DataType::Utf8, *name != "app_id");
    Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()))
}

/// The keys of a batch of the table, to be deleted.
///
/// # Errors
/// When a column is not what the table has.
pub(crate) fn deletes(table: RowsOf, batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let text = |name| -> Result<ArrayRef, Error> { Ok(Arc::new(id_texts(name, ids(batch, name)?))) };
    let rows = batch.num_rows();
    let absent = || Arc::new(StringArray::new_null(rows));
    let columns: Vec<ArrayRef> = match table {
        RowsOf::Spans => vec![text("app_id")?, text("trace_id")?, text("span_id")?],
        RowsOf::Scores => vec![text("app_id")?, absent(), text("key_high")?],
        RowsOf::Traces => vec![text("app_id")?, text("trace_id")?],
    };
    Ok(RecordBatch::try_new(deletes_schema(table), columns)?)
}

/// The least and the greatest key of some rows, as a manifest has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyRange(Option<(String, String)>);

impl KeyRange {
    /// With the rows of this batch of the table.
    ///
    /// # Errors
    /// When a column is not what the table has.
    pub(crate) fn add(&mut self, table: RowsOf, batch: &RecordBatch) -> Result<(), DecodeError> {
        let rows = 0..batch.num_rows();
        let found = match table {
            RowsOf::Spans => {
                let (traces, spans) = (ids(batch, "trace_id")?, ids(batch, "span_id")?);
                let key = |row: usize| (traces.value(row), spans.value(row));
                let text = |(trace, span): (&[u8], &[u8])| format!("{}/{}", hex(trace), hex(span));
                bounds(rows.map(key)).map(|(least, most)| (text(least), text(most)))
            }
            RowsOf::Traces => {
                let traces = ids(batch, "trace_id")?;
                bounds(rows.map(|row| traces.value(row))).map(|(least, most)| (hex(least), hex(most)))
            }
            RowsOf::Scores => {
                let ids = texts(batch, "score_id")?;
                bounds(rows.map(|row| ids.value(row))).map(|(least, most)| (least.to_string(), most.to_string()))
            }
        };
        let Some((least, most)) = found else { return Ok(()) };
        self.0 = Some(match self.0.take() {
            Some((before, after)) => (before.min(least), after.max(most)),
            None => (least, most),
        });
        Ok(())
    }

    pub(crate) fn into_ends(self) -> (Option<String>, Option<String>) {
        self.0.unzip()
    }
}

fn bounds<K: Ord + Copy>(keys: impl Iterator<Item = K>) -> Option<(K, K)> {
    keys.fold(None, |ends, key| Some(ends.map_or((key, key), |(least, most): (K, K)| (least.min(key), most.max(key)))))
}
