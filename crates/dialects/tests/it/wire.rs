//! Our reader of protobuf against prost's: whatever prost takes, we take and understand alike.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proptest::prelude::*;
use prost::Message;
use spanlake_dialects::otlp::{DecodeError, Encoding, LogsRequest, TracesRequest, decode_logs, decode_traces};
use spanlake_dialects::{Normalised, normalise_logs};

use crate::build::{RECEIVED, context, message_of, normalised, pairs, span, text};
use crate::fuzz::{captures, fuzz};
use crate::hostile::any_value;

/// Reads the bytes both ways; what only one of them can read fails.
pub(crate) fn traces_alike(bytes: &[u8]) {
    match (decode_traces(Encoding::Protobuf, bytes), ExportTraceServiceRequest::decode(bytes)) {
        (Ok(ours), Ok(theirs)) => {
            let theirs = TracesRequest::from_proto(theirs);
            assert_eq!(ours.span_count(), theirs.span_count());
            assert_eq!(ours.named_agents(), theirs.named_agents());
            assert_eq!(normalised(&ours), normalised(&theirs));
        }
        (Ok(ours), Err(error)) => may_be_read(&error, &normalised(&ours)),
        (Err(error), Ok(_)) => assert!(matches!(error, DecodeError::OtherSignal { .. }), "{error}"),
        (Err(_), Err(_)) => {}
    }
}

/// As [`traces_alike`].
fn logs_alike(bytes: &[u8]) {
    let normalised = |request: &LogsRequest| normalise_logs(request, &context(), &mut |_| Ok(None));
    match (decode_logs(Encoding::Protobuf, bytes), ExportLogsServiceRequest::decode(bytes)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(normalised(&ours), normalised(&LogsRequest::from_proto(theirs))),
        (Ok(ours), Err(error)) => may_be_read(&error, &normalised(&ours)),
        (Err(error), Ok(_)) => panic!("prost takes it: {error}"),
        (Err(_), Err(_)) => {}
    }
}

/// We refuse what is malformed item by item, mark text that is not UTF-8, follow values further down, and pass over the entities of
/// a resource, which mean nothing to us.
fn may_be_read(error: &prost::DecodeError, ours: &Normalised) {
    let why = error.to_string();
    let is_refused_alone = ours.rejected.iter().any(|rejected| rejected.reason.contains("cannot be read"));
    let is_read = ["recursion", "entity_refs", "UTF-8"].iter().any(|reason| why.contains(reason));
    assert!(is_refused_alone || is_read, "prost does not take it: {why}");
}

#[test]
fn every_capture_is_read_as_prost_reads_it() {
    for bytes in captures(Encoding::Protobuf) {
        traces_alike(&bytes);
    }
}

#[test]
fn fuzz_protobuf_against_prost() {
    fuzz(&captures(Encoding::Protobuf), |bytes| {
        traces_alike(bytes);
        logs_alike(bytes);
    });
}

#[test]
fn a_resource_that_comes_after_its_spans_is_theirs_and_one_in_two_pieces_is_one() {
    // Field 2, the scope and its span, before field 1, the resource, which comes twice.
    let message = message_of(&[("service.name", text("late"))], "s", vec![span(&[])]);
    let resource = &message.resource_spans[0];
    let scope = delimited(2, &resource.scope_spans[0].encode_to_vec());
    let first = delimited(1, &resource.resource.as_ref().unwrap().encode_to_vec());
    let more = message_of(&[("deployment.environment.name", text("test"))], "", vec![]);
    let second = delimited(1, &more.resource_spans[0].resource.as_ref().unwrap().encode_to_vec());
    let bytes = delimited(1, &[scope, first, second].concat());
    traces_alike(&bytes);
    let read = normalised(&decode_traces(Encoding::Protobuf, &bytes).unwrap());
    let span = &read.spans[0].1;
    assert_eq!(span.service_name.as_deref(), Some("late"));
    assert_eq!(span.environment.as_deref(), Some("test"));
}

/// A field of a message within a message.
pub(crate) fn delimited(number: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encoding::encode_varint(message.len() as u64, &mut bytes);
    bytes.extend_from_slice(message);
    bytes
}

#[test]
fn a_malformed_span_loses_only_itself() {
    let good = span(&[("k", text("good"))]);
    let bytes = |spans: &[Vec<u8>]| {
        let spans: Vec<_> = spans.iter().flat_map(|span| delimited(2, span)).collect();
        delimited(1, &delimited(2, &spans))
    };
    let alone = normalised(&decode_traces(Encoding::Protobuf, &bytes(&[good.encode_to_vec()])).unwrap());
    fuzz(&[good.encode_to_vec()], |bad| {
        let body = bytes(&[bad.to_vec(), good.encode_to_vec(), bad.to_vec()]);
        let read = normalised(&decode_traces(Encoding::Protobuf, &body).unwrap());
        assert_eq!(read.spans.len() + read.rejected.len(), 3);
        let kept = read.spans.iter().find(|(ordinal, _)| *ordinal == 1).unwrap();
        assert_eq!(kept.1, alone.spans[0].1);
        for rejected in &read.rejected {
            assert!(matches!(rejected.ordinal, 0 | 2) && rejected.reason.len() > 20, "{rejected:?}");
        }
    });
    for (bad, why) in [
        (&[9 << 3, 1][..], "field 9 has another type than it should"),
        (&[5 << 3 | 2, 100, b'n'], "it ends within a field"),
        (&[3], "a field has number 0 or a type that protobuf does not have"),
    ] {
        let bad = [&good.encode_to_vec()[..], bad].concat();
        let read =
            normalised(&decode_traces(Encoding::Protobuf, &bytes(&[bad.clone(), good.encode_to_vec()])).unwrap());
        assert_eq!((read.spans.len(), &*read.rejected[0].reason), (1, &*format!("the span cannot be read: {why}")));
        // With nothing good beside it, it is no request of spans.
        assert!(matches!(decode_traces(Encoding::Protobuf, &bytes(&[bad])), Err(DecodeError::Protobuf { .. })));
    }
}

fn any_attributes() -> impl Strategy<Value = Vec<(String, Value)>> {
    let key = prop_oneof![
        "[a-z._]{0,12}",
        Just("gen_ai.input.messages".to_owned()),
        Just("session.id".to_owned()),
        Just("metadata.plan".to_owned()),
    ];
    prop::collection::vec((key, any_value()), 0..6)
}

fn borrowed(sent: &[(String, Value)]) -> Vec<(&str, Value)> {
    sent.iter().map(|(key, value)| (key.as_str(), value.clone())).collect()
}

/// The JSON writer of the library has no spelling for numbers that JSON lacks.
fn is_finite(value: &Value) -> bool {
    let is = |value: &AnyValue| value.value.as_ref().is_none_or(is_finite);
    match value {
        Value::DoubleValue(number) => number.is_finite(),
        Value::ArrayValue(array) => array.values.iter().all(is),
        Value::KvlistValue(list) => list.values.iter().filter_map(|member| member.value.as_ref()).all(is),
        _ => true,
    }
}

proptest! {
    #[test]
    fn any_request_is_read_as_prost_reads_it(
        of_resource in any_attributes(), of_span in any_attributes(), of_event in any_attributes(),
        of_link in any_attributes(), name in ".{0,8}", scope in ".{0,8}", message in ".{0,8}", code in any::<i32>(),
    ) {
        let event = Event { name: name.clone(), time_unix_nano: RECEIVED as u64, attributes: pairs(&borrowed(&of_event)), ..Default::default() };
        let link = Link { trace_id: vec![3; 16], span_id: vec![4; 8], attributes: pairs(&borrowed(&of_link)), ..Default::default() };
        let sent = Span { name, events: vec![event], links: vec![link], status: Some(Status { message, code }), flags: 1, ..span(&borrowed(&of_span)) };
        let bytes = message_of(&borrowed(&of_resource), &scope, vec![sent]).encode_to_vec();
        traces_alike(&bytes);
        prop_assert_eq!(normalised(&decode_traces(Encoding::Protobuf, &bytes).unwrap()).spans.len(), 1);
    }

    #[test]
    fn a_request_says_the_same_in_json(of_resource in any_attributes(), of_span in any_attributes(), name in ".{0,8}") {
        let finite = |sent: Vec<(String, Value)>| sent.into_iter().filter(|(_, value)| is_finite(value)).collect::<Vec<_>>();
        let (of_resource, of_span) = (finite(of_resource), finite(of_span));
        let sent = Span { name, ..span(&borrowed(&of_span)) };
        let message = message_of(&borrowed(&of_resource), "", vec![sent]);
        let json = decode_traces(Encoding::Json, &serde_json::to_vec(&message).unwrap()).unwrap();
        let protobuf = decode_traces(Encoding::Protobuf, &message.encode_to_vec()).unwrap();
        prop_assert_eq!(normalised(&json), normalised(&protobuf));
    }

    #[test]
    fn random_bytes_are_read_as_prost_reads_them(bytes in prop::collection::vec(prop_oneof![0_u8..32, any::<u8>()], 0..64)) {
        traces_alike(&bytes);
        logs_alike(&bytes);
    }
}
