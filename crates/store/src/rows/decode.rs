//! Arrow to model.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch, StringViewArray, StringViewBuilder};
use arrow::datatypes::{
    ArrowPrimitiveType, Decimal128Type, Float64Type, Int8Type, Int16Type, Int64Type, TimestampMicrosecondType,
};
use spanlake_model::{
    AgentId, AppId, Cost, CostSource, Kind, Money, Span, SpanId, SpanKey, Status, Table, Timestamp, TraceId, Usage,
};

use super::content::{self, Content};
use super::json;

/// A batch that is not of [`crate::schema::spans`], or holds what we never write.
#[derive(Debug, thiserror::Error)]
#[error("column {column} of a span batch cannot be read: {why}")]
pub struct DecodeError {
    column: &'static str,
    why: String,
}

impl DecodeError {
    /// What is wrong with a column.
    pub fn new(column: &'static str, why: impl ToString) -> Self {
        Self { column, why: why.to_string() }
    }
}

/// The spans of a batch that has every column of [`crate::schema::spans`], in their order.
///
/// # Errors
/// When a column is missing, of another type, or holds what we never write.
pub fn decode(batch: &RecordBatch) -> Result<Vec<Span>, DecodeError> {
    let columns = Columns::of(batch)?;
    (0..batch.num_rows()).map(|row| columns.span(row)).collect()
}

/// The keys of a batch's rows, in their order; needs `app_id` and [`crate::schema::key_columns`] only.
///
/// # Errors
/// As [`decode`].
pub fn row_keys(table: Table, batch: &RecordBatch) -> Result<Vec<SpanKey>, DecodeError> {
    let [high, low] = crate::schema::key_columns(table);
    let (apps, traces, spans) = (ids(batch, "app_id")?, ids(batch, high)?, ids(batch, low)?);
    (0..batch.num_rows())
        .map(|row| {
            Ok(SpanKey {
                app_id: AppId::from_bytes(id16("app_id", apps, row)?),
                trace_id: TraceId::from_slice(traces.value(row)).map_err(|why| broken(high, why))?,
                span_id: SpanId::from_slice(spans.value(row)).map_err(|why| broken(low, why))?,
            })
        })
        .collect()
}

/// The attributes of a batch's rows as they were sent, put together from its columns `attributes`, `input` and `output`.
///
/// # Errors
/// As [`decode`].
pub fn whole_attributes(batch: &RecordBatch) -> Result<ArrayRef, DecodeError> {
    let (stored, input, output) = (texts(batch, "attributes")?, texts(batch, "input")?, texts(batch, "output")?);
    if !stored.iter().flatten().any(content::has_references) {
        return Ok(Arc::new(stored.clone()));
    }
    let mut whole = StringViewBuilder::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let content = Content { input: value(input, row), output: value(output, row) };
        let attributes = value(stored, row).map(|stored| content::resolve(stored, content)).transpose();
        whole.append_option(attributes.map_err(|why| broken("attributes", why))?);
    }
    Ok(Arc::new(whole.finish()))
}

pub(super) fn broken(column: &'static str, why: impl ToString) -> DecodeError {
    DecodeError::new(column, why)
}

pub(super) fn column<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a dyn Array, DecodeError> {
    batch.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| broken(name, "it is missing"))
}

/// A column of ids.
///
/// # Errors
/// As [`decode`].
pub fn ids<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a FixedSizeBinaryArray, DecodeError> {
    column(batch, name)?.as_fixed_size_binary_opt().ok_or_else(|| broken(name, "it is no id"))
}

/// A column of texts.
///
/// # Errors
/// As [`decode`].
pub fn texts<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a StringViewArray, DecodeError> {
    column(batch, name)?.as_string_view_opt().ok_or_else(|| broken(name, "it is no text"))
}

/// A column of numbers or times.
///
/// # Errors
/// As [`decode`].
pub fn numbers<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &'static str,
) -> Result<&'a arrow::array::PrimitiveArray<T>, DecodeError> {
    column(batch, name)?.as_primitive_opt().ok_or_else(|| broken(name, "it is of another type"))
}

/// The instant that a column of microseconds and one of the nanoseconds below them hold together.
pub fn instant(micros: i64, nanos: i16) -> Timestamp {
    Timestamp::from_nanos(Timestamp::from_micros(micros).as_nanos().saturating_add(i64::from(nanos)))
}

pub(super) fn id16(column: &'static str, array: &FixedSizeBinaryArray, row: usize) -> Result<[u8; 16], DecodeError> {
    array.value(row).try_into().map_err(|_| broken(column, "it is not 16 bytes"))
}

macro_rules! columns {
    ($($field:ident: $reader:ident $(<$kind:ty>)? => $array:ty,)*) => {
        /// One batch's columns, looked up once.
        struct Columns<'a> { $($field: &'a $array,)* tags: &'a arrow::array::ListArray }

        impl<'a> Columns<'a> {
            fn of(batch: &'a RecordBatch) -> Result<Self, DecodeError> {
                let tags = column(batch, "tags")?.as_list_opt().ok_or_else(|| broken("tags", "it is no list"))?;
                Ok(Self { $($field: $reader $(::<$kind>)? (batch, stringify!($field))?,)* tags })
            }
        }
    };
}

type Numbers<T> = arrow::array::PrimitiveArray<T>;

columns! {
    app_id: ids => FixedSizeBinaryArray,
    agent_id: ids => FixedSizeBinaryArray,
    trace_id: ids => FixedSizeBinaryArray,
    span_id: ids => FixedSizeBinaryArray,
    parent_span_id: ids => FixedSizeBinaryArray,
    start_time: numbers<TimestampMicrosecondType> => Numbers<TimestampMicrosecondType>,
    start_nanos: numbers<Int16Type> => Numbers<Int16Type>,
    duration_ns: numbers<Int64Type> => Numbers<Int64Type>,
    status: numbers<Int8Type> => Numbers<Int8Type>,
    input_tokens: numbers<Int64Type> => Numbers<Int64Type>,
    output_tokens: numbers<Int64Type> => Numbers<Int64Type>,
    total_tokens: numbers<Int64Type> => Numbers<Int64Type>,
    cached_input_tokens: numbers<Int64Type> => Numbers<Int64Type>,
    cache_write_tokens: numbers<Int64Type> => Numbers<Int64Type>,
    reasoning_tokens: numbers<Int64Type> => Numbers<Int64Type>,
    time_to_first_token_ns: numbers<Int64Type> => Numbers<Int64Type>,
    cost: numbers<Decimal128Type> => Numbers<Decimal128Type>,
    input_cost: numbers<Decimal128Type> => Numbers<Decimal128Type>,
    output_cost: numbers<Decimal128Type> => Numbers<Decimal128Type>,
    name: texts => StringViewArray,
    kind: texts => StringViewArray,
    status_message: texts => StringViewArray,
    provider: texts => StringViewArray,
    request_model: texts => StringViewArray,
    model: texts => StringViewArray,
    response_id: texts => StringViewArray,
    tool_name: texts => StringViewArray,
    session_id: texts => StringViewArray,
    user_id: texts => StringViewArray,
    trace_name: texts => StringViewArray,
    environment: texts => StringViewArray,
    release: texts => StringViewArray,
    version: texts => StringViewArray,
    service_name: texts => StringViewArray,
    scope_name: texts => StringViewArray,
    prompt_name: texts => StringViewArray,
    prompt_version: texts => StringViewArray,
    tokens_per_second: numbers<Float64Type> => Numbers<Float64Type>,
    operation: texts => StringViewArray,
    level: texts => StringViewArray,
    model_parameters: texts => StringViewArray,
    finish_reason: texts => StringViewArray,
    usage_details: texts => StringViewArray,
    agent_name: texts => StringViewArray,
    session_name: texts => StringViewArray,
    log_name: texts => StringViewArray,
    cost_source: texts => StringViewArray,
    metadata: texts => StringViewArray,
    attributes: texts => StringViewArray,
    resource: texts => StringViewArray,
    events: texts => StringViewArray,
    links: texts => StringViewArray,
    input: texts => StringViewArray,
    output: texts => StringViewArray,
}

fn value(array: &StringViewArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}

fn text(array: &StringViewArray, row: usize) -> Option<String> {
    value(array, row).map(str::to_string)
}

fn number<T: ArrowPrimitiveType>(array: &Numbers<T>, row: usize) -> Option<T::Native> {
    array.is_valid(row).then(|| array.value(row))
}

impl Columns<'_> {
    fn span(&self, row: usize) -> Result<Span, DecodeError> {
        let start = instant(self.start_time.value(row), self.start_nanos.value(row));
        let end = number(self.duration_ns, row).map(|nanos| start.as_nanos().saturating_add(nanos));
        Ok(Span {
            app_id: AppId::from_bytes(id16("app_id", self.app_id, row)?),
            agent_id: self.agent(row)?,
            trace_id: TraceId::from_slice(self.trace_id.value(row)).map_err(|why| broken("trace_id", why))?,
            span_id: SpanId::from_slice(self.span_id.value(row)).map_err(|why| broken("span_id", why))?,
            parent_span_id: self.parent(row)?,
            name: self.name.value(row).to_string(),
            kind: Kind::new(self.kind.value(row)),
            operation: text(self.operation, row),
            status: Status::from_i8(self.status.value(row)),
            level: text(self.level, row),
            status_message: text(self.status_message, row),
            start,
            end: end.map(Timestamp::from_nanos),
            time_to_first_token_ns: number(self.time_to_first_token_ns, row),
            tokens_per_second: number(self.tokens_per_second, row),
            provider: text(self.provider, row),
            request_model: text(self.request_model, row),
            model: text(self.model, row),
            model_parameters: text(self.model_parameters, row),
            response_id: text(self.response_id, row),
            finish_reason: text(self.finish_reason, row),
            usage: self.usage(row),
            usage_details: text(self.usage_details, row),
            cost: self.cost(row),
            cost_source: value(self.cost_source, row).and_then(CostSource::parse),
            tool_name: text(self.tool_name, row),
            agent_name: text(self.agent_name, row),
            session_id: text(self.session_id, row),
            session_name: text(self.session_name, row),
            user_id: text(self.user_id, row),
            trace_name: text(self.trace_name, row),
            environment: text(self.environment, row),
            release: text(self.release, row),
            version: text(self.version, row),
            service_name: value(self.service_name, row).map(Into::into),
            scope_name: value(self.scope_name, row).map(Into::into),
            prompt_name: text(self.prompt_name, row),
            prompt_version: text(self.prompt_version, row),
            tags: self.tags(row)?,
            metadata: self.metadata.value(row).to_string(),
            attributes: self.attributes(row)?,
            resource: self.resource.value(row).into(),
            events: json::events(self.events.value(row)).map_err(|why| broken("events", why))?,
            links: json::links(self.links.value(row)).map_err(|why| broken("links", why))?,
            input: text(self.input, row),
            output: text(self.output, row),
            log_name: text(self.log_name, row),
        })
    }

    fn attributes(&self, row: usize) -> Result<String, DecodeError> {
        let content = Content { input: value(self.input, row), output: value(self.output, row) };
        let whole = content::resolve(self.attributes.value(row), content);
        whole.map(Cow::into_owned).map_err(|why| broken("attributes", why))
    }

    fn agent(&self, row: usize) -> Result<Option<AgentId>, DecodeError> {
        if self.agent_id.is_null(row) {
            return Ok(None);
        }
        Ok(Some(AgentId::from_bytes(id16("agent_id", self.agent_id, row)?)))
    }

    fn parent(&self, row: usize) -> Result<Option<SpanId>, DecodeError> {
        if self.parent_span_id.is_null(row) {
            return Ok(None);
        }
        SpanId::from_slice(self.parent_span_id.value(row)).map(Some).map_err(|why| broken("parent_span_id", why))
    }

    fn usage(&self, row: usize) -> Usage {
        Usage {
            input: number(self.input_tokens, row),
            output: number(self.output_tokens, row),
            total: number(self.total_tokens, row),
            cache_read: number(self.cached_input_tokens, row),
            cache_write: number(self.cache_write_tokens, row),
            reasoning: number(self.reasoning_tokens, row),
        }
    }

    fn cost(&self, row: usize) -> Cost {
        Cost {
            input: number(self.input_cost, row).map(Money::from_pico),
            output: number(self.output_cost, row).map(Money::from_pico),
            total: number(self.cost, row).map(Money::from_pico),
        }
    }

    fn tags(&self, row: usize) -> Result<Vec<String>, DecodeError> {
        let values = self.tags.value(row);
        let values = values.as_string_view_opt().ok_or_else(|| broken("tags", "they are no text"))?;
        Ok(values.iter().flatten().map(str::to_string).collect())
    }
}
