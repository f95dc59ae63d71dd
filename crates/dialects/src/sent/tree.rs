//! A request that is a tree of protobuf messages, as JSON is read into one.

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};
use opentelemetry_proto::tonic::resource::v1;
use opentelemetry_proto::tonic::trace::v1::{self as trace, ResourceSpans};

use super::{Attribute, Event, Item, Link, Record, Resource, Scope, Span, Status, Value};

impl<'a> From<&'a AnyValue> for Value<'a> {
    fn from(value: &'a AnyValue) -> Self {
        use any_value::Value as Sent;
        match &value.value {
            None | Some(Sent::StringValueStrindex(_)) => Self::Empty,
            Some(Sent::StringValue(text)) => Self::Text(text.as_str().into()),
            Some(Sent::BoolValue(value)) => Self::Bool(*value),
            Some(Sent::IntValue(value)) => Self::Int(*value),
            Some(Sent::DoubleValue(value)) => Self::Double(*value),
            Some(Sent::BytesValue(bytes)) => Self::Bytes(bytes),
            Some(Sent::ArrayValue(array)) => Self::List(array.values.iter().map(Self::from).collect()),
            Some(Sent::KvlistValue(list)) => Self::Map(attributes(&list.values).collect()),
        }
    }
}

fn attributes(sent: &[KeyValue]) -> impl Iterator<Item = Attribute<'_>> {
    sent.iter().map(|attribute| Attribute {
        key: attribute.key.as_str().into(),
        value: attribute.value.as_ref().map_or(Value::Empty, Value::from),
    })
}

impl<'a> Item<Span<'a>> for &'a trace::Span {
    fn read(self, into: &mut Span<'a>) -> Result<(), String> {
        into.clear();
        into.trace_id = &self.trace_id;
        into.span_id = &self.span_id;
        into.parent_span_id = &self.parent_span_id;
        into.name = self.name.as_str().into();
        into.start_nanos = self.start_time_unix_nano;
        into.end_nanos = self.end_time_unix_nano;
        into.attributes.extend(attributes(&self.attributes));
        into.events.extend(self.events.iter().map(|event| Event {
            name: event.name.as_str().into(),
            nanos: event.time_unix_nano,
            attributes: attributes(&event.attributes).collect(),
        }));
        into.links.extend(self.links.iter().map(|link| Link {
            trace_id: &link.trace_id,
            span_id: &link.span_id,
            attributes: attributes(&link.attributes).collect(),
        }));
        into.status =
            self.status.as_ref().map(|status| Status { code: status.code, message: status.message.as_str().into() });
        Ok(())
    }
}

impl<'a> Item<Record<'a>> for &'a LogRecord {
    fn read(self, into: &mut Record<'a>) -> Result<(), String> {
        into.clear();
        into.trace_id = &self.trace_id;
        into.span_id = &self.span_id;
        into.event_name = self.event_name.as_str().into();
        into.nanos = self.time_unix_nano;
        into.observed_nanos = self.observed_time_unix_nano;
        into.severity = self.severity_number;
        into.body = self.body.as_ref().map(Value::from);
        into.attributes.extend(attributes(&self.attributes));
        Ok(())
    }
}

/// Spans by resource and scope.
pub(crate) fn spans(sent: &[ResourceSpans]) -> impl Iterator<Item = Resource<'_, &trace::Span>> {
    sent.iter().map(|sent| {
        let scopes = sent.scope_spans.iter().map(|scope| self::scope(scope.scope.as_ref(), &scope.spans)).collect();
        resource(sent.resource.as_ref(), scopes)
    })
}

/// Log records by resource and scope.
pub(crate) fn records(sent: &[ResourceLogs]) -> impl Iterator<Item = Resource<'_, &LogRecord>> {
    sent.iter().map(|sent| {
        let scopes =
            sent.scope_logs.iter().map(|scope| self::scope(scope.scope.as_ref(), &scope.log_records)).collect();
        resource(sent.resource.as_ref(), scopes)
    })
}

fn resource<'a, I>(sent: Option<&'a v1::Resource>, scopes: Vec<Scope<'a, I>>) -> Resource<'a, I> {
    Resource { attributes: sent.map(|sent| attributes(&sent.attributes).collect()).unwrap_or_default(), scopes }
}

fn scope<'a, T>(sent: Option<&'a InstrumentationScope>, items: &'a [T]) -> Scope<'a, &'a T> {
    Scope { name: sent.map_or("", |scope| &scope.name).into(), items: items.iter().collect() }
}
