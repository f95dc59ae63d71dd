//! Requests by hand.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use spanlake_dialects::otlp::TracesRequest;
use spanlake_dialects::{Context, Normalised, normalise};
use spanlake_model::{AppId, Timestamp};

/// 2026-11-21T12:00:00Z, the day of the captures.
pub(crate) const RECEIVED: i64 = 1_795_262_400_000_000_000;

pub(crate) fn context() -> Context {
    Context::new(AppId::from_bytes([9; 16]), Timestamp::from_nanos(RECEIVED))
}

/// As an agentless key sees it.
pub(crate) fn normalised(request: &TracesRequest) -> Normalised {
    normalise(request, &context(), &mut |_| Ok(None))
}

pub(crate) fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

pub(crate) fn pairs(attributes: &[(&str, Value)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, Value)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(value.clone()) }),
        ..Default::default()
    };
    attributes.iter().map(pair).collect()
}

/// A good span of a millisecond.
pub(crate) fn span(attributes: &[(&str, Value)]) -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "a span".to_owned(),
        start_time_unix_nano: RECEIVED as u64 - 1_000_000,
        end_time_unix_nano: RECEIVED as u64,
        attributes: pairs(attributes),
        ..Default::default()
    }
}

pub(crate) fn request_of(resource: &[(&str, Value)], scope: &str, spans: Vec<Span>) -> TracesRequest {
    TracesRequest::from_proto(message_of(resource, scope, spans))
}

pub(crate) fn message_of(resource: &[(&str, Value)], scope: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope { name: scope.to_owned(), ..Default::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }];
    let resource = Some(Resource { attributes: pairs(resource), ..Default::default() });
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }
}

pub(crate) fn request(spans: Vec<Span>) -> TracesRequest {
    request_of(&[], "", spans)
}

/// The one good span with these attributes.
pub(crate) fn one(attributes: &[(&str, Value)]) -> spanlake_model::Span {
    only(request(vec![span(attributes)]))
}

/// The one good span of a request.
pub(crate) fn only(request: TracesRequest) -> spanlake_model::Span {
    let mut normalised = normalised(&request);
    assert_eq!(normalised.rejected, []);
    assert_eq!(normalised.spans.len(), 1);
    normalised.spans.remove(0).1
}
