//! OTLP/JSON, read straight into the protobuf types, without a tree of JSON values in between.
//!
//! Lenient where senders err: ids in hex or base64, integers as numbers or strings, enums by number or name, keys in
//! camel or snake case, `null` anywhere, unknown keys.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use serde::de::{Deserialize, DeserializeSeed as _, Deserializer, Error as _, IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use super::lenient::{Fields, List, Object, Scalar, StrictList};
use super::repair::repair;
use super::{DEPTH_MAX, DecodeError, Signal};

/// Reads a request.
pub(super) fn decode<R: Root>(bytes: &[u8]) -> Result<R, DecodeError> {
    let envelope = match serde_json::from_slice::<Whole<R>>(bytes) {
        Ok(Whole(envelope)) => envelope,
        // What a repaired text is refused for would name a place that the sender does not know.
        Err(error) => match serde_json::from_str::<Whole<R>>(&repair(bytes)) {
            Ok(Whole(envelope)) => envelope,
            Err(_) => return Err(DecodeError::Json { wanted: R::SIGNAL, why: error.to_string() }),
        },
    };
    if !envelope.is_object {
        let why = format!("expected an object with `{}`", R::LIST);
        return Err(DecodeError::Json { wanted: R::SIGNAL, why });
    }
    match envelope.other_signal {
        Some(sent) if envelope.request.is_empty() => Err(DecodeError::OtherSignal { sent, wanted: R::SIGNAL }),
        _ => Ok(envelope.request),
    }
}

/// What the outermost object stands for.
pub(super) trait Root: Default {
    /// What it holds.
    const SIGNAL: Signal;
    /// Its key for that.
    const LIST: &str;
    /// Takes the list from `map`.
    fn read<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error>;
    /// Whether nothing was read.
    fn is_empty(&self) -> bool;
}

impl Root for ExportTraceServiceRequest {
    const SIGNAL: Signal = Signal::Traces;
    const LIST: &str = "resourceSpans";

    fn read<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        self.resource_spans = strict_list(map, 0)?;
        Ok(())
    }
    fn is_empty(&self) -> bool {
        self.resource_spans.is_empty()
    }
}

impl Root for ExportLogsServiceRequest {
    const SIGNAL: Signal = Signal::Logs;
    const LIST: &str = "resourceLogs";

    fn read<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        self.resource_logs = strict_list(map, 0)?;
        Ok(())
    }
    fn is_empty(&self) -> bool {
        self.resource_logs.is_empty()
    }
}

/// The outermost object.
struct Envelope<R> {
    request: R,
    other_signal: Option<&'static str>,
    is_object: bool,
}

/// All of a body.
struct Whole<R>(Envelope<R>);

impl<'de, R: Root> Deserialize<'de> for Whole<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Object::at(0).deserialize(deserializer).map(Self)
    }
}

impl<R: Root> Default for Envelope<R> {
    fn default() -> Self {
        Self { request: R::default(), other_signal: None, is_object: true }
    }
}

impl<R: Root> Fields for Envelope<R> {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A, _: usize) -> Result<(), A::Error> {
        let signal = match key {
            "resourceSpans" | "resource_spans" => Signal::Traces.as_str(),
            "resourceLogs" | "resource_logs" => Signal::Logs.as_str(),
            "resourceMetrics" | "resource_metrics" => "metrics",
            _ => return skip(map),
        };
        if signal == R::SIGNAL.as_str() {
            return self.request.read(map);
        }
        self.other_signal = Some(signal);
        skip(map)
    }

    fn scalar(_: Scalar<'_>) -> Self {
        Self { is_object: false, ..Self::default() }
    }
}

fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}
fn list<'de, T: Fields, A: MapAccess<'de>>(map: &mut A, depth: usize) -> Result<Vec<T>, A::Error> {
    map.next_value_seed(List::at(depth))
}
fn strict_list<'de, T: Fields, A: MapAccess<'de>>(map: &mut A, depth: usize) -> Result<Vec<T>, A::Error> {
    map.next_value_seed(StrictList::at(depth))
}
fn object<'de, T: Fields, A: MapAccess<'de>>(map: &mut A, depth: usize) -> Result<Option<T>, A::Error> {
    map.next_value_seed(Object::at(depth)).map(Some)
}
fn scalar<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Scalar<'de>, A::Error> {
    map.next_value()
}
fn text<'de, A: MapAccess<'de>>(map: &mut A, _: usize) -> Result<String, A::Error> {
    scalar(map).map(Scalar::text)
}
fn nanos<'de, A: MapAccess<'de>>(map: &mut A, _: usize) -> Result<u64, A::Error> {
    scalar(map).map(|value| value.unsigned().unwrap_or(0))
}
fn count<'de, A: MapAccess<'de>>(map: &mut A, _: usize) -> Result<u32, A::Error> {
    nanos(map, 0).map(|value| u32::try_from(value).unwrap_or(u32::MAX))
}

fn trace_id<'de, A: MapAccess<'de>>(map: &mut A, _: usize) -> Result<Vec<u8>, A::Error> {
    scalar(map).map(|value| value.id(16))
}
fn span_id<'de, A: MapAccess<'de>>(map: &mut A, _: usize) -> Result<Vec<u8>, A::Error> {
    scalar(map).map(|value| value.id(8))
}

/// A message whose keys each set one field.
macro_rules! message {
    ($message:ty { $($($key:literal)|+ => $field:ident = $read:ident;)* }) => {
        impl Fields for $message {
            fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A, depth: usize) -> Result<(), A::Error> {
                match key {
                    $($($key)|+ => self.$field = $read(map, depth)?,)*
                    _ => skip(map)?,
                }
                Ok(())
            }
        }
    };
}

message!(ResourceSpans {
    "resource" => resource = object;
    "scopeSpans" | "scope_spans" => scope_spans = strict_list;
    "schemaUrl" | "schema_url" => schema_url = text;
});

message!(Resource {
    "attributes" => attributes = list;
    "droppedAttributesCount" | "dropped_attributes_count" => dropped_attributes_count = count;
});

message!(ScopeSpans {
    "scope" => scope = object;
    "spans" => spans = strict_list;
    "schemaUrl" | "schema_url" => schema_url = text;
});

message!(InstrumentationScope {
    "name" => name = text;
    "version" => version = text;
    "attributes" => attributes = list;
    "droppedAttributesCount" | "dropped_attributes_count" => dropped_attributes_count = count;
});

message!(Span {
    "traceId" | "trace_id" => trace_id = trace_id;
    "spanId" | "span_id" => span_id = span_id;
    "traceState" | "trace_state" => trace_state = text;
    "parentSpanId" | "parent_span_id" => parent_span_id = span_id;
    "flags" => flags = count;
    "name" => name = text;
    "kind" => kind = span_kind;
    "startTimeUnixNano" | "start_time_unix_nano" => start_time_unix_nano = nanos;
    "endTimeUnixNano" | "end_time_unix_nano" => end_time_unix_nano = nanos;
    "attributes" => attributes = list;
    "droppedAttributesCount" | "dropped_attributes_count" => dropped_attributes_count = count;
    "events" => events = list;
    "droppedEventsCount" | "dropped_events_count" => dropped_events_count = count;
    "links" => links = list;
    "droppedLinksCount" | "dropped_links_count" => dropped_links_count = count;
    "status" => status = object;
});

message!(Event {
    "timeUnixNano" | "time_unix_nano" => time_unix_nano = nanos;
    "name" => name = text;
    "attributes" => attributes = list;
    "droppedAttributesCount" | "dropped_attributes_count" => dropped_attributes_count = count;
});

message!(Link {
    "traceId" | "trace_id" => trace_id = trace_id;
    "spanId" | "span_id" => span_id = span_id;
    "traceState" | "trace_state" => trace_state = text;
    "attributes" => attributes = list;
    "droppedAttributesCount" | "dropped_attributes_count" => dropped_attributes_count = count;
    "flags" => flags = count;
});

message!(Status {
    "message" => message = text;
    "code" => code = status_code;
});

message!(ResourceLogs {
    "resource" => resource = object;
    "scopeLogs" | "scope_logs" => scope_logs = strict_list;
    "schemaUrl" | "schema_url" => schema_url = text;
});

message!(ScopeLogs {
    "scope" => scope = object;
    "logRecords" | "log_records" => log_records = strict_list;
    "schemaUrl" | "schema_url" => schema_url = text;
});

message!(LogRecord {
    "timeUnixNano" | "time_unix_nano" => time_unix_nano = nanos;
    "observedTimeUnixNano" | "observed_time_unix_nano" => observed_time_unix_nano = nanos;
    "severityNumber" | "severity_number" => severity_number = severity;
    "severityText" | "severity_text" => severity_text = text;
    "body" => body = object;
    "attributes" => attributes = list;
    "droppedAttributesCount" | "dropped_attributes_count" => dropped_attributes_count = count;
    "flags" => flags = count;
    "traceId" | "trace_id" => trace_id = trace_id;
    "spanId" | "span_id" => span_id = span_id;
    "eventName" | "event_name" => event_name = text;
});

message!(KeyValue {
    "key" => key = text;
    "value" => value = object;
});

message!(ArrayValue { "values" => values = list; });
message!(KeyValueList { "values" => values = list; });

fn severity<'de, A: MapAccess<'de>>(map: &mut A, _: usize) -> Result<i32, A::Error> {
    let name = |name: &str| {
        let severity = SeverityNumber::from_str_name(name)
            .or_else(|| SeverityNumber::from_str_name(&format!("SEVERITY_NUMBER_{name}")));
        severity.map(|severity| severity as i32)
    };
    scalar(map).map(|value| value.enumeration(name))
}

fn span_kind<'de, A: MapAccess<'de>>(map: &mut A, _: usize) -> Result<i32, A::Error> {
    let name = |name: &str| {
        let kind = SpanKind::from_str_name(name).or_else(|| SpanKind::from_str_name(&format!("SPAN_KIND_{name}")));
        kind.map(|kind| kind as i32)
    };
    scalar(map).map(|value| value.enumeration(name))
}

fn status_code<'de, A: MapAccess<'de>>(map: &mut A, _: usize) -> Result<i32, A::Error> {
    let name = |name: &str| {
        let code =
            StatusCode::from_str_name(name).or_else(|| StatusCode::from_str_name(&format!("STATUS_CODE_{name}")));
        code.map(|code| code as i32)
    };
    scalar(map).map(|value| value.enumeration(name))
}

impl Fields for AnyValue {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A, depth: usize) -> Result<(), A::Error> {
        let value = match key {
            "stringValue" | "string_value" => typed(scalar(map)?, |_| None),
            "boolValue" | "bool_value" => typed(scalar(map)?, |value| value.bool().map(Value::BoolValue)),
            "intValue" | "int_value" => typed(scalar(map)?, |value| value.int().map(Value::IntValue)),
            "doubleValue" | "double_value" => double(map.next_value()?),
            "bytesValue" | "bytes_value" => typed(scalar(map)?, |value| value.base64().map(Value::BytesValue)),
            "arrayValue" | "array_value" => nested(map, depth, Value::ArrayValue)?,
            "kvlistValue" | "kvlist_value" => nested(map, depth, Value::KvlistValue)?,
            _ => return skip(map),
        };
        // `null` beside the one that is set unsets nothing.
        self.value = value.or_else(|| self.value.take());
        Ok(())
    }

    /// `"value": "x"`, without the object around it.
    fn scalar(value: Scalar<'_>) -> Self {
        let value = match value {
            Scalar::Null => None,
            Scalar::Bool(value) => Some(Value::BoolValue(value)),
            Scalar::Int(value) => Some(Value::IntValue(value)),
            Scalar::Float(value) => Some(Value::DoubleValue(value)),
            other => Some(Value::StringValue(other.text())),
        };
        Self { value }
    }
}

/// serde_json follows 128 levels and no more, of which each list or map takes three or four: a reader begins anew so often.
const LEVELS_OF_A_READER: usize = 25;

/// A list or map, one further down; its JSON as text where that is too deep.
fn nested<'de, T: Fields, A: MapAccess<'de>>(
    map: &mut A,
    depth: usize,
    value: fn(T) -> Value,
) -> Result<Option<Value>, A::Error> {
    let depth = depth + 1;
    if depth <= DEPTH_MAX && !depth.is_multiple_of(LEVELS_OF_A_READER) {
        return Ok(object(map, depth)?.map(value));
    }
    let json: &RawValue = map.next_value()?;
    if depth > DEPTH_MAX {
        return Ok(Some(Value::StringValue(json.get().to_owned())));
    }
    let read = Object::at(depth).deserialize(&mut serde_json::Deserializer::from_str(json.get()));
    read.map(|read| Some(value(read))).map_err(A::Error::custom)
}

/// A number, to the last bit: serde_json's own reading of fractions may be off by one.
fn double(raw: &RawValue) -> Option<Value> {
    let text = raw.get();
    match text.parse() {
        Ok(number) => Some(Value::DoubleValue(number)),
        Err(_) => {
            let scalar = serde_json::from_str(text).unwrap_or(Scalar::Null);
            typed(scalar, |value| value.float().map(Value::DoubleValue))
        }
    }
}

/// The value as its key says, or as text when it is something else.
fn typed(scalar: Scalar<'_>, read: impl Fn(&Scalar<'_>) -> Option<Value>) -> Option<Value> {
    match scalar {
        Scalar::Null => None,
        scalar => Some(read(&scalar).unwrap_or_else(|| Value::StringValue(scalar.text()))),
    }
}
