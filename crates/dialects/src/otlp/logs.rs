//! A request that holds log records.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::wire::Seen;
use super::{DecodeError, Encoding, Signal, json, named_agents, traces, wire};
use crate::sent::{self, Item, Resource, tree};

/// Log records as they came, not yet looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct LogsRequest(Body);

#[derive(Clone, Debug, PartialEq)]
enum Body {
    /// A protobuf body in which what is around the records was found to be readable.
    Wire(Bytes),
    Tree(ExportLogsServiceRequest),
}

/// A log record, not yet read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record<'a> {
    Wire(wire::Record<'a>),
    Tree(&'a LogRecord),
}

impl<'a> From<wire::Raw<'a>> for Record<'a> {
    fn from(raw: wire::Raw<'a>) -> Self {
        Self::Wire(raw.into())
    }
}

impl<'a> Item<sent::Record<'a>> for Record<'a> {
    fn read(self, into: &mut sent::Record<'a>) -> Result<(), String> {
        match self {
            Self::Wire(record) => record.read(into),
            Self::Tree(record) => record.read(into),
        }
    }
}

impl LogsRequest {
    /// What was made by hand, or read in another way.
    pub const fn from_proto(request: ExportLogsServiceRequest) -> Self {
        Self(Body::Tree(request))
    }
    /// How many records it holds, good and bad.
    pub fn record_count(&self) -> usize {
        self.resources().iter().flat_map(|resource| &resource.scopes).map(|scope| scope.items.len()).sum()
    }
    /// The distinct values of `agentos.agent_id` on its resources that have records, which whoever admits the request looks
    /// up before [`crate::normalise_logs`] asks about each.
    pub fn named_agents(&self) -> BTreeSet<Cow<'_, str>> {
        named_agents(self.resources())
    }
    /// The records, by resource and scope.
    pub(crate) fn resources(&self) -> Vec<Resource<'_, Record<'_>>> {
        match &self.0 {
            Body::Wire(bytes) => wire::resources(bytes).expect("it was read once, when the request was decoded"),
            Body::Tree(request) => tree::records(&request.resource_logs).map(|sent| sent.map(Record::Tree)).collect(),
        }
    }
}

/// Reads an `ExportLogsServiceRequest`. A record that makes no sense stays in, for [`crate::normalise_logs`] to refuse by
/// itself. Copies the bytes; [`crate::Request::decode`] does not.
///
/// # Errors
/// When the envelope or none of its records can be read: broken bytes, or another signal.
pub fn decode_logs(encoding: Encoding, bytes: &[u8]) -> Result<LogsRequest, DecodeError> {
    decode(encoding, &Bytes::copy_from_slice(bytes))
}

/// Of protobuf nothing is built, as with [`super::traces::decode`].
pub(crate) fn decode(encoding: Encoding, body: &Bytes) -> Result<LogsRequest, DecodeError> {
    match encoding {
        Encoding::Protobuf => protobuf(body),
        Encoding::Json => json::decode(body).map(LogsRequest::from_proto),
    }
}

fn protobuf(body: &Bytes) -> Result<LogsRequest, DecodeError> {
    let traces = DecodeError::OtherSignal { sent: Signal::Traces.as_str(), wanted: Signal::Logs };
    match look(body) {
        Ok(Seen::Good) => Ok(LogsRequest(Body::Wire(body.clone()))),
        // A span has its trace id where a record has its time, in another form: no good span reads as a record.
        _ if traces::are_in(body) => Err(traces),
        Ok(_) => Ok(LogsRequest(Body::Wire(body.clone()))),
        Err(why) => Err(DecodeError::Protobuf { wanted: Signal::Logs, why }),
    }
}

/// A good record says when it was or what it is about. Any message reads as one that says nothing, when all its fields are
/// unknown.
fn look(body: &[u8]) -> Result<Seen, String> {
    let is_good = |record: &sent::Record<'_>| record.nanos != 0 || record.observed_nanos != 0 || record.body.is_some();
    wire::look::<wire::Record<'_>, _>(body, is_good)
}

/// Whether these are logs, read by those who expected something else.
pub(super) fn are_in(body: &[u8]) -> bool {
    look(body) == Ok(Seen::Good)
}
