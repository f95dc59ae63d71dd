//! OTLP over gRPC: `Export` of `opentelemetry.proto.collector.trace.v1.TraceService` and of
//! `opentelemetry.proto.collector.logs.v1.LogsService`.
//!
//! The message is taken as bytes and decoded by us, so that the log keeps it as it came, an undecodable one is
//! INVALID_ARGUMENT (tonic would say INTERNAL) and an oversize one RESOURCE_EXHAUSTED without a retry
//! (tonic would say OUT_OF_RANGE, which clients send again for ever).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use bytes::{Buf, BufMut, Bytes};
use futures::StreamExt;
use futures::future::BoxFuture;
use spanlake_dialects::otlp::{Encoding, Signal};
use spanlake_model::{Caller, Code, Fault, Scope};
use spanlake_proto::status::to_status;
use spanlake_transport::response::{rate_limits, used_up};
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code as GrpcCode, Status};

use crate::admit::{Accepted, Door, Incoming};
use crate::http::RECEIPT;
use crate::room::Reserved;
use crate::service::Service;

/// The routes of both services, to be served on a listener that speaks HTTP/2.
pub fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route("/opentelemetry.proto.collector.trace.v1.TraceService/Export", post(traces))
        .route("/opentelemetry.proto.collector.logs.v1.LogsService/Export", post(logs))
        .fallback(unimplemented_method)
        .with_state(service)
}

async fn unimplemented_method() -> Response {
    Status::unimplemented("only the OTLP services of traces and logs are served here").into_http()
}

async fn traces(State(service): State<Arc<Service>>, request: Request) -> Response {
    export(service, Signal::Traces, request).await
}

async fn logs(State(service): State<Arc<Service>>, request: Request) -> Response {
    export(service, Signal::Logs, request).await
}

async fn export(service: Arc<Service>, signal: Signal, request: Request) -> Response {
    // Before a byte of the message is read: strangers cost nothing.
    let caller = match service.gate.admit_headers(request.headers(), None, Scope::Ingest).await {
        Ok(caller) => caller,
        Err(fault) => return refused(&fault).into_http(),
    };
    let room = match service.room(&caller, 0).await {
        Ok(room) => Arc::new(Mutex::new(Ok(room))),
        Err(fault) => return refused(&fault).into_http(),
    };
    let request = held(request, &service, caller, &room);
    let limit = service.config.request_bytes_max;
    let mut grpc = Grpc::new(BytesCodec)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(limit)
        .max_encoding_message_size(4 << 20);
    let export = Export { service, caller, signal, room: room.clone() };
    match tokio::time::timeout(DEADLINE, grpc.unary(export, request)).await {
        Ok(response) => match &*lock(&room) {
            Err(fault) => refused(fault).into_http(),
            Ok(_) => repaired(response.map(Body::new), limit),
        },
        Err(_) => {
            to_status(&Fault::new(Code::Timeout, "The request took longer than a minute; send it again.")).into_http()
        }
    }
}

/// For a whole request, its message included.
const DEADLINE: Duration = Duration::from_secs(60);

/// Room for a message that comes in, or why there is none for the rest of it.
type Holding = Arc<Mutex<Result<Reserved, Fault>>>;

fn lock(room: &Holding) -> MutexGuard<'_, Result<Reserved, Fault>> {
    room.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The request, each piece of whose message takes room before the next is read.
fn held(request: Request, service: &Arc<Service>, caller: Caller, room: &Holding) -> Request {
    let (service, room, mut bytes) = (service.clone(), room.clone(), 0);
    let mut hold = move |data: Bytes| {
        bytes += data.len();
        let mut held = lock(&room);
        if let Err(fault) =
            held.as_mut().map_err(|fault| fault.clone()).and_then(|room| service.hold(room, &caller, bytes))
        {
            *held = Err(fault.clone());
            return Err(axum::Error::new(fault));
        }
        Ok(data)
    };
    request.map(|body| Body::from_stream(body.into_data_stream().map(move |data| data.and_then(&mut hold))))
}

/// What tonic says of a message that is too large or does not unpack, in OTLP's codes: clients send OUT_OF_RANGE again
/// for ever, and INTERNAL blames us. Faults of ours carry a code of ours and are left alone.
fn repaired(response: Response, limit: usize) -> Response {
    let is = |code: GrpcCode| {
        response.headers().get("grpc-status").is_some_and(|status| status == (code as i32).to_string().as_str())
            && !response.headers().contains_key("spanlake-code")
    };
    let fault = if is(GrpcCode::OutOfRange) || is(GrpcCode::ResourceExhausted) {
        let message = format!("One request may hold {limit} bytes at most, after decompression; send smaller batches.");
        Fault::new(Code::PayloadTooLarge, message)
    } else if is(GrpcCode::Internal) {
        Fault::new(Code::InvalidOtlpPayload, "The message does not unpack; check its compression and framing.")
    } else {
        return response;
    };
    to_status(&fault).into_http()
}

struct Export {
    service: Arc<Service>,
    caller: Caller,
    signal: Signal,
    room: Holding,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (service, caller, signal) = (self.service.clone(), self.caller, self.signal);
        let room = self.service.empty_room();
        let room = std::mem::replace(&mut *lock(&self.room), Ok(room));
        Box::pin(async move {
            let (encoding, door, body) = (Encoding::Protobuf, Door::Open, request.into_inner());
            let incoming = Incoming { signal, encoding, door, body };
            let room = room.map_err(|fault| refused(&fault))?;
            match service.accept_held(&caller, incoming, room).await {
                Ok(accepted) => Ok(answer(signal, &accepted)),
                Err(fault) => Err(refused(&fault)),
            }
        })
    }
}

/// A fault with the limit that is used up, in the words of the same headers over HTTP.
fn refused(fault: &Fault) -> Status {
    let mut status = to_status(fault);
    status.metadata_mut().as_mut().extend(used_up(fault));
    status
}

fn answer(signal: Signal, accepted: &Accepted) -> tonic::Response<Bytes> {
    let mut response = tonic::Response::new(accepted.encode(signal, Encoding::Protobuf).into());
    *response.metadata_mut() = MetadataMap::from_headers(rate_limits(&accepted.standings));
    if let Some(receipt) = accepted.receipt.and_then(|receipt| receipt.to_string().parse().ok()) {
        response.metadata_mut().insert(RECEIPT, receipt);
    }
    response
}

/// Messages as bytes.
#[derive(Debug, Clone, Copy, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
