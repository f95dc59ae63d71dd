//! OTLP over gRPC. The request is encoded already, so the codec hands its bytes through.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::Url;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::{Outcome, REQUEST_TIMEOUT};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// One HTTP/2 connection.
pub(crate) struct GrpcClient {
    client: tonic::client::Grpc<Channel>,
    authorization: MetadataValue<Ascii>,
}

impl GrpcClient {
    pub(crate) fn new(base: &Url, key: &str, gzip: bool) -> Result<Self> {
        let endpoint = Endpoint::from_shared(base.to_string())?.timeout(REQUEST_TIMEOUT).tcp_nodelay(true);
        let mut client = tonic::client::Grpc::new(endpoint.connect_lazy());
        if gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let mut authorization: MetadataValue<Ascii> =
            format!("Bearer {key}").parse().context("the key has characters no header may have")?;
        authorization.set_sensitive(true);
        Ok(Self { client, authorization })
    }

    pub(crate) async fn send(&mut self, body: Bytes) -> Outcome {
        match self.export(body).await {
            Ok(answer) => {
                let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
                Outcome::Accepted { status: "OK".to_owned(), rejected: u64::try_from(rejected).unwrap_or_default() }
            }
            Err(status) => outcome(&status),
        }
    }

    async fn export(&mut self, body: Bytes) -> Result<ExportTraceServiceResponse, Status> {
        self.client.ready().await.map_err(|error| Status::unavailable(format!("cannot connect: {error}")))?;
        let mut request = Request::new(body);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        let answer = self.client.unary(request, PathAndQuery::from_static(EXPORT), Encoded).await?;
        Ok(answer.into_inner())
    }
}

/// Which codes to send again on is OTLP's list; `RESOURCE_EXHAUSTED` only when the server says for how long to wait.
fn outcome(status: &Status) -> Outcome {
    let (name, message) = (format!("{:?}", status.code()), status.message().to_owned());
    let after = retry_delay(status.details());
    // A status with a cause was made on our side: the connection broke, the server did not answer.
    if std::error::Error::source(status).is_some() {
        return Outcome::Later { status: "broken".to_owned(), after, message };
    }
    let later = match status.code() {
        Code::ResourceExhausted => after.is_some(),
        code => matches!(
            code,
            Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unavailable
                | Code::DataLoss
        ),
    };
    if later { Outcome::Later { status: name, after, message } } else { Outcome::Refused { status: name, message } }
}

/// `google.rpc.Status`, `google.rpc.RetryInfo` and what they are made of, as far as we read them.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<ProtoDuration>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn retry_delay(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let info = status.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.delay?;
    Some(Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?))
}

/// Sends bytes as they are and decodes the answer.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ExportTraceServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let answer = ExportTraceServiceResponse::decode(bytes);
        answer.map(Some).map_err(|error| Status::internal(format!("the answer is not OTLP: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_info(seconds: i64) -> Vec<u8> {
        let info = RetryInfo { delay: Some(ProtoDuration { seconds, nanos: 500_000_000 }) };
        let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
        RpcStatus { details: vec![Any { type_url, value: info.encode_to_vec() }] }.encode_to_vec()
    }

    #[test]
    fn resource_exhausted_is_sent_again_only_with_a_delay() {
        let bare = Status::new(Code::ResourceExhausted, "too big");
        assert!(matches!(outcome(&bare), Outcome::Refused { .. }));
        let timed = Status::with_details(Code::ResourceExhausted, "slow down", retry_info(2).into());
        let after = Some(Duration::from_millis(2_500));
        let expected =
            Outcome::Later { status: "ResourceExhausted".to_owned(), after, message: "slow down".to_owned() };
        assert_eq!(outcome(&timed), expected);
    }

    #[test]
    fn unavailable_is_sent_again_and_a_bad_request_is_not() {
        assert!(matches!(outcome(&Status::unavailable("starting")), Outcome::Later { after: None, .. }));
        for status in [Status::invalid_argument("no"), Status::unauthenticated("no"), Status::internal("no")] {
            assert!(matches!(outcome(&status), Outcome::Refused { .. }));
        }
    }
}
