//! Model to Arrow.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, FixedSizeBinaryBuilder, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, ListBuilder, RecordBatch, StringViewArray, StringViewBuilder, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, FieldRef};
use spanlake_model::{CostSource, Kind, Money, Span, Timestamp, preview};

use super::content::{self, Content};
use super::json::{events_text, links_text};
use super::{Origin, Row};
use crate::schema;

/// The rows as one batch of [`schema::spans`], in their order.
pub fn encode(origin: Origin, rows: &[Row]) -> RecordBatch {
    let schema = schema::spans();
    let columns = schema.fields().iter().map(|field| column(field, origin, rows)).collect();
    RecordBatch::try_new(schema.clone(), columns).expect("each column is built by its field")
}

fn column(field: &FieldRef, origin: Origin, rows: &[Row]) -> ArrayRef {
    match field.name().as_str() {
        "tenant_id" => ids(rows, |_| Some(origin.tenant.as_bytes())),
        "writer_id" => ids(rows, |_| Some(origin.writer.as_bytes())),
        "app_id" => ids(rows, |row| Some(row.span.app_id.as_bytes())),
        "agent_id" => ids(rows, |row| row.span.agent_id.as_ref().map(|id| id.as_bytes())),
        "trace_id" => ids(rows, |row| Some(row.span.trace_id.as_bytes())),
        "span_id" => ids(rows, |row| Some(row.span.span_id.as_bytes())),
        "parent_span_id" => ids(rows, |row| row.span.parent_span_id.as_ref().map(|id| id.as_bytes())),
        "start_time" => times(rows, |row| Some(row.span.start)),
        "end_time" => times(rows, |row| row.span.end),
        "received_at" => times(rows, |row| Some(row.received_at)),
        "start_nanos" => Arc::new(Int16Array::from_iter_values(rows.iter().map(|row| nanos_of(row.span.start)))),
        "start_minute" => Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| minute_of(row.span.start)))),
        "status" => Arc::new(Int8Array::from_iter_values(rows.iter().map(|row| row.span.status.as_i8()))),
        "is_root" => Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.span.parent_span_id.is_none())))),
        "tags" => tags(field, rows),
        "resource" => shared(rows, |row| &row.span.resource),
        "tokens_per_second" => Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.span.tokens_per_second))),
        name => match field.data_type() {
            DataType::Int64 => counts(rows, count_of(name)),
            DataType::Decimal128(..) => money(rows, money_of(name)),
            _ => text(name, rows),
        },
    }
}

/// The part of an instant below a microsecond, which the timestamp column cannot hold.
pub(super) fn nanos_of(at: Timestamp) -> i16 {
    i16::try_from(at.as_nanos().rem_euclid(1_000)).expect("below 1,000")
}

/// Minutes since the epoch: the second sort key.
pub(super) fn minute_of(at: Timestamp) -> i32 {
    i32::try_from(at.as_secs().div_euclid(60)).expect("i64 nanoseconds reach about 154 million minutes")
}

fn ids<'a, const N: usize>(rows: &'a [Row], id: impl Fn(&'a Row) -> Option<&'a [u8; N]>) -> ArrayRef {
    let width = i32::try_from(N).expect("8 or 16");
    let mut builder = FixedSizeBinaryBuilder::with_capacity(rows.len(), width);
    for row in rows {
        match id(row) {
            Some(bytes) => builder.append_value(bytes).expect("of the builder's width"),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn times(rows: &[Row], time: impl Fn(&Row) -> Option<Timestamp>) -> ArrayRef {
    let micros = rows.iter().map(|row| time(row).map(Timestamp::as_micros));
    Arc::new(TimestampMicrosecondArray::from_iter(micros).with_timezone("UTC"))
}

fn counts(rows: &[Row], count: fn(&Row) -> Option<i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter(rows.iter().map(count)))
}

fn count_of(column: &str) -> fn(&Row) -> Option<i64> {
    match column {
        "duration_ns" => |row| row.span.end.map(|end| end.as_nanos() - row.span.start.as_nanos()),
        "input_tokens" => |row| row.span.usage.input,
        "output_tokens" => |row| row.span.usage.output,
        "total_tokens" => |row| row.span.usage.total,
        "cached_input_tokens" => |row| row.span.usage.cache_read,
        "cache_write_tokens" => |row| row.span.usage.cache_write,
        "reasoning_tokens" => |row| row.span.usage.reasoning,
        "time_to_first_token_ns" => |row| row.span.time_to_first_token_ns,
        "sequence" => |row| Some(i64::try_from(row.sequence).unwrap_or(i64::MAX)),
        other => unreachable!("the schema has a count column {other} that no row fills"),
    }
}

fn money(rows: &[Row], amount: fn(&Span) -> Option<Money>) -> ArrayRef {
    let pico = rows.iter().map(|row| amount(&row.span).map(Money::as_pico));
    let array = Decimal128Array::from_iter(pico).with_precision_and_scale(Money::PRECISION, Money::SCALE);
    Arc::new(array.expect("18 digits with 12 places is a decimal"))
}

fn money_of(column: &str) -> fn(&Span) -> Option<Money> {
    match column {
        "cost" => |span| span.cost.total,
        "input_cost" => |span| span.cost.input,
        "output_cost" => |span| span.cost.output,
        other => unreachable!("the schema has a money column {other} that no row fills"),
    }
}

fn tags(field: &FieldRef, rows: &[Row]) -> ArrayRef {
    let DataType::List(item) = field.data_type() else { unreachable!("tags are a list") };
    let mut builder = ListBuilder::new(StringViewBuilder::new()).with_field(item.clone());
    for row in rows {
        for tag in &row.span.tags {
            builder.values().append_value(tag);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}

fn text(column: &str, rows: &[Row]) -> ArrayRef {
    match column {
        "events" => texts(rows, |row| Some(events_text(&row.span.events))),
        "links" => texts(rows, |row| Some(links_text(&row.span.links))),
        "input_preview" => texts(rows, |row| shown_in_lists(&row.span, row.span.input.as_deref())),
        "attributes" => texts(rows, |row| Some(attributes(&row.span))),
        "output_preview" => texts(rows, |row| shown_in_lists(&row.span, row.span.output.as_deref())),
        _ => {
            let value = text_of(column);
            texts(rows, |row| value(&row.span))
        }
    }
}

/// A list of traces shows the content of a root, or of a call of a model, or what a log says of them; previews of others
/// would be stored for nobody.
fn shown_in_lists<'a>(span: &Span, content: Option<&'a str>) -> Option<&'a str> {
    let is_shown = span.parent_span_id.is_none() || span.kind.as_str() == Kind::LLM || span.log_name.is_some();
    content.filter(|_| is_shown).map(preview)
}

fn attributes(span: &Span) -> Cow<'_, str> {
    let content = Content { input: span.input.as_deref(), output: span.output.as_deref() };
    content::refer(&span.attributes, content)
}

fn texts<'a, T: AsRef<str>>(rows: &'a [Row], value: impl Fn(&'a Row) -> Option<T>) -> ArrayRef {
    Arc::new(StringViewArray::from_iter(rows.iter().map(value)))
}

/// Texts of which rows in a row share one: it lies there once, however many they are.
fn shared<'a>(rows: &'a [Row], text: impl Fn(&'a Row) -> &'a Arc<str>) -> ArrayRef {
    let mut distinct: Vec<&Arc<str>> = Vec::new();
    let places: UInt32Array = rows
        .iter()
        .map(|row| {
            let text = text(row);
            if !distinct.last().is_some_and(|last| Arc::ptr_eq(last, text)) {
                distinct.push(text);
            }
            Some(u32::try_from(distinct.len() - 1).expect("a request has fewer bytes than that"))
        })
        .collect();
    let distinct = StringViewArray::from_iter_values(distinct);
    take(&distinct, &places, None).expect("each place is one of them")
}

fn text_of(column: &str) -> for<'a> fn(&'a Span) -> Option<&'a str> {
    match column {
        "name" => |span| Some(&span.name),
        "kind" => |span| Some(span.kind.as_str()),
        "status_message" => |span| span.status_message.as_deref(),
        "provider" => |span| span.provider.as_deref(),
        "request_model" => |span| span.request_model.as_deref(),
        "model" => |span| span.model.as_deref(),
        "response_id" => |span| span.response_id.as_deref(),
        "tool_name" => |span| span.tool_name.as_deref(),
        "session_id" => |span| span.session_id.as_deref(),
        "user_id" => |span| span.user_id.as_deref(),
        "trace_name" => |span| span.trace_name.as_deref(),
        "environment" => |span| span.environment.as_deref(),
        "release" => |span| span.release.as_deref(),
        "version" => |span| span.version.as_deref(),
        "service_name" => |span| span.service_name.as_deref(),
        "scope_name" => |span| span.scope_name.as_deref(),
        "prompt_name" => |span| span.prompt_name.as_deref(),
        "prompt_version" => |span| span.prompt_version.as_deref(),
        "operation" => |span| span.operation.as_deref(),
        "level" => |span| span.level.as_deref(),
        "model_parameters" => |span| span.model_parameters.as_deref(),
        "finish_reason" => |span| span.finish_reason.as_deref(),
        "usage_details" => |span| span.usage_details.as_deref(),
        "agent_name" => |span| span.agent_name.as_deref(),
        "session_name" => |span| span.session_name.as_deref(),
        "log_name" => |span| span.log_name.as_deref(),
        "cost_source" => |span| span.cost_source.map(CostSource::as_str),
        "metadata" => |span| Some(&span.metadata),
        "input" => |span| span.input.as_deref(),
        "output" => |span| span.output.as_deref(),
        other => unreachable!("the schema has a text column {other} that no row fills"),
    }
}
