//! Traces between `model` and Arrow.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Int8Array, Int16Array, Int32Array, Int64Array, ListBuilder, RecordBatch,
    StringViewArray, StringViewBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Decimal128Type, FieldRef, Int8Type, Int16Type, Int64Type, TimestampMicrosecondType};
use spanlake_model::{AgentId, AppId, Money, Status, Timestamp, Trace, TraceId};

use super::decode::{DecodeError, broken, column, id16, ids, instant, numbers, texts};
use super::encode::{minute_of, nanos_of};
use super::scores::{bytes, set};
use crate::schema;

/// The traces as one batch of [`schema::traces`], in their order.
pub fn encode_traces(traces: &[Trace]) -> RecordBatch {
    let schema = schema::traces();
    let columns = schema.fields().iter().map(|field| encode(field, traces)).collect();
    RecordBatch::try_new(schema.clone(), columns).expect("each column is built by its name")
}

fn encode(field: &FieldRef, traces: &[Trace]) -> ArrayRef {
    let all = traces.iter();
    match field.name().as_str() {
        "app_id" => bytes(all.map(|trace| Some(trace.app_id.as_bytes()))),
        "agent_id" => bytes(all.map(|trace| trace.agent_id.as_ref().map(AgentId::as_bytes))),
        "trace_id" => bytes(all.map(|trace| Some(trace.id.as_bytes()))),
        "start_time" => times(traces, |trace| Some(trace.start)),
        "end_time" => times(traces, |trace| trace.end),
        "start_nanos" => Arc::new(Int16Array::from_iter_values(all.map(|trace| nanos_of(trace.start)))),
        "start_minute" => Arc::new(Int32Array::from_iter_values(all.map(|trace| minute_of(trace.start)))),
        "status" => Arc::new(Int8Array::from_iter_values(all.map(|trace| trace.status.as_i8()))),
        "cost" => {
            let pico = Decimal128Array::from_iter(all.map(|trace| trace.cost.map(Money::as_pico)));
            let DataType::Decimal128(precision, scale) = field.data_type() else { unreachable!("cost is money") };
            Arc::new(pico.with_precision_and_scale(*precision, *scale).expect("a decimal of the schema"))
        }
        "models" => words(field, all.map(|trace| &trace.models)),
        "tags" => words(field, all.map(|trace| &trace.tags)),
        "scores" => Arc::new(StringViewArray::from_iter_values(all.map(|trace| scores_text(&trace.scores)))),
        name => match field.data_type() {
            DataType::Int64 => Arc::new(Int64Array::from_iter(all.map(count_of(name)))),
            _ => {
                let text = text_of(name);
                Arc::new(StringViewArray::from_iter(all.map(text)))
            }
        },
    }
}

fn times(traces: &[Trace], time: impl Fn(&Trace) -> Option<Timestamp>) -> ArrayRef {
    let micros = traces.iter().map(|trace| time(trace).map(Timestamp::as_micros));
    Arc::new(TimestampMicrosecondArray::from_iter(micros).with_timezone("UTC"))
}

fn words<'a>(field: &FieldRef, lists: impl Iterator<Item = &'a Vec<String>>) -> ArrayRef {
    let DataType::List(item) = field.data_type() else { unreachable!("words are a list") };
    let mut builder = ListBuilder::new(StringViewBuilder::new()).with_field(item.clone());
    for list in lists {
        list.iter().for_each(|word| builder.values().append_value(word));
        builder.append(true);
    }
    Arc::new(builder.finish())
}

/// Means by name, as JSON.
fn scores_text(scores: &BTreeMap<String, f64>) -> String {
    serde_json::to_string(scores).expect("names and numbers make JSON")
}

fn count_of(column: &str) -> fn(&Trace) -> Option<i64> {
    match column {
        "duration_ns" => Trace::duration_ns,
        "tokens" => |trace| trace.tokens,
        "input_tokens" => |trace| trace.input_tokens,
        "output_tokens" => |trace| trace.output_tokens,
        "span_count" => |trace| Some(trace.span_count),
        "error_count" => |trace| Some(trace.error_count),
        other => unreachable!("the schema has a count column {other} that no trace fills"),
    }
}

fn text_of(column: &str) -> for<'a> fn(&'a Trace) -> Option<&'a str> {
    match column {
        "name" => |trace| Some(&trace.name),
        "session_id" => |trace| trace.session_id.as_deref(),
        "user_id" => |trace| trace.user_id.as_deref(),
        "environment" => |trace| trace.environment.as_deref(),
        "input_preview" => |trace| trace.input_preview.as_deref(),
        "output_preview" => |trace| trace.output_preview.as_deref(),
        "metadata" => |trace| Some(&trace.metadata),
        other => unreachable!("the schema has a text column {other} that no trace fills"),
    }
}

/// The traces of a batch that has every column of [`schema::traces`], in their order.
///
/// # Errors
/// When a column is missing, of another type, or holds what we never write.
pub fn decode_traces(batch: &RecordBatch) -> Result<Vec<Trace>, DecodeError> {
    let (apps, agents, traces) = (ids(batch, "app_id")?, ids(batch, "agent_id")?, ids(batch, "trace_id")?);
    let starts = numbers::<TimestampMicrosecondType>(batch, "start_time")?;
    let nanos = numbers::<Int16Type>(batch, "start_nanos")?;
    let (statuses, costs) = (numbers::<Int8Type>(batch, "status")?, numbers::<Decimal128Type>(batch, "cost")?);
    let count = |name, row| -> Result<Option<i64>, DecodeError> {
        let numbers = numbers::<Int64Type>(batch, name)?;
        Ok(numbers.is_valid(row).then(|| numbers.value(row)))
    };
    let text = |name, row| -> Result<Option<String>, DecodeError> {
        let texts = texts(batch, name)?;
        Ok(texts.is_valid(row).then(|| texts.value(row).to_owned()))
    };
    let one = |row| {
        let id = TraceId::from_slice(traces.value(row)).map_err(|why| broken("trace_id", why))?;
        let start = instant(starts.value(row), nanos.value(row));
        let scores = texts(batch, "scores")?.value(row);
        Ok(Trace {
            agent_id: set(agents, row, |_| Ok(AgentId::from_bytes(id16("agent_id", agents, row)?)))?,
            name: text("name", row)?.unwrap_or_default(),
            status: Status::from_i8(statuses.value(row)),
            end: count("duration_ns", row)?.map(|nanos| Timestamp::from_nanos(start.as_nanos().saturating_add(nanos))),
            cost: costs.is_valid(row).then(|| Money::from_pico(costs.value(row))),
            tokens: count("tokens", row)?,
            input_tokens: count("input_tokens", row)?,
            output_tokens: count("output_tokens", row)?,
            span_count: count("span_count", row)?.unwrap_or(0),
            error_count: count("error_count", row)?.unwrap_or(0),
            models: list(batch, "models", row)?,
            tags: list(batch, "tags", row)?,
            session_id: text("session_id", row)?,
            user_id: text("user_id", row)?,
            environment: text("environment", row)?,
            input_preview: text("input_preview", row)?,
            output_preview: text("output_preview", row)?,
            metadata: text("metadata", row)?.unwrap_or_default(),
            scores: serde_json::from_str(scores).map_err(|why| broken("scores", why))?,
            ..Trace::new(AppId::from_bytes(id16("app_id", apps, row)?), id, start)
        })
    };
    (0..batch.num_rows()).map(one).collect()
}

fn list(batch: &RecordBatch, name: &'static str, row: usize) -> Result<Vec<String>, DecodeError> {
    let lists = column(batch, name)?.as_list_opt::<i32>().ok_or_else(|| broken(name, "it is no list"))?;
    let words = lists.value(row);
    let words = words.as_string_view_opt().ok_or_else(|| broken(name, "it is no list of texts"))?;
    Ok(words.iter().flatten().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_survives_arrow_to_the_nanosecond() {
        let start = Timestamp::from_nanos(1_763_700_000_123_456_789);
        let bare = Trace::new(AppId::from_bytes([1; 16]), TraceId::from_bytes([9; 16]).unwrap(), start);
        let text = |word: &str| Some(word.to_string());
        let full = Trace {
            agent_id: Some(AgentId::from_bytes([2; 16])),
            name: "checkout".into(),
            status: Status::Error,
            end: Some(Timestamp::from_nanos(start.as_nanos() + 7)),
            cost: Money::from_dollars(12_345_678.5),
            tokens: Some(14),
            input_tokens: Some(10),
            output_tokens: Some(4),
            span_count: 3,
            error_count: 1,
            models: vec!["gpt-4o".into(), "o1".into()],
            tags: vec!["a".into()],
            session_id: text("s"),
            user_id: text("u"),
            environment: text("prod"),
            input_preview: text("hi"),
            output_preview: text("hello"),
            metadata: r#"{"k":"v"}"#.into(),
            scores: BTreeMap::from([("quality".into(), 0.1 + 0.2)]),
            ..bare.clone()
        };
        let traces = [full, bare];
        assert_eq!(decode_traces(&encode_traces(&traces)).unwrap(), traces);
        assert_eq!(encode_traces(&[]).num_rows(), 0);
    }
}
