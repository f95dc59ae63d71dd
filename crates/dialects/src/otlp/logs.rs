//! A request that holds log records.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;

use super::{DecodeError, Encoding, Signal, json, named_agents, traces};

/// Log records as they came, not yet looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogsRequest(ExportLogsServiceRequest);

impl LogsRequest {
    /// What a gRPC service received.
    pub fn from_proto(request: ExportLogsServiceRequest) -> Self {
        Self(request)
    }
    /// The message itself.
    pub fn into_proto(self) -> ExportLogsServiceRequest {
        self.0
    }
    /// The message itself.
    pub const fn as_proto(&self) -> &ExportLogsServiceRequest {
        &self.0
    }
    /// How many records it holds, good and bad.
    pub fn record_count(&self) -> usize {
        self.0.resource_logs.iter().flat_map(|resource| &resource.scope_logs).map(|scope| scope.log_records.len()).sum()
    }
    /// The distinct values of `agentos.agent_id` on its resources that have records, which whoever admits the request looks
    /// up before [`crate::normalise_logs`] asks about each.
    pub fn named_agents(&self) -> BTreeSet<&str> {
        let with_records =
            self.0.resource_logs.iter().filter(|r| r.scope_logs.iter().any(|s| !s.log_records.is_empty()));
        named_agents(with_records.filter_map(|logs| logs.resource.as_ref()))
    }
}

/// Reads an `ExportLogsServiceRequest`. A record that makes no sense stays in, for [`crate::normalise_logs`] to refuse by
/// itself.
///
/// # Errors
/// When the envelope cannot be read: broken bytes, nested too deeply, or another signal.
pub fn decode_logs(encoding: Encoding, bytes: &[u8]) -> Result<LogsRequest, DecodeError> {
    match encoding {
        Encoding::Protobuf => protobuf(bytes),
        Encoding::Json => json::decode(bytes).map(LogsRequest),
    }
}

fn protobuf(bytes: &[u8]) -> Result<LogsRequest, DecodeError> {
    let traces = DecodeError::OtherSignal { sent: Signal::Traces.as_str(), wanted: Signal::Logs };
    // A span has its trace id where a record has its time, in another form: no span reads as a record.
    ExportLogsServiceRequest::decode(bytes).map(LogsRequest).map_err(|error| match traces::are_in(bytes) {
        true => traces,
        false => DecodeError::protobuf(Signal::Logs, &error),
    })
}

/// Whether these are logs, read by those who expected something else.
pub(super) fn are_in(bytes: &[u8]) -> bool {
    ExportLogsServiceRequest::decode(bytes).is_ok_and(|request| {
        let mut records = request.resource_logs.iter().flat_map(|r| &r.scope_logs).flat_map(|s| &s.log_records);
        // Any message reads as any other when all its fields are unknown; a real record says when it was.
        records.any(|record| record.time_unix_nano != 0 || record.observed_time_unix_nano != 0 || record.body.is_some())
    })
}
