//! Arrow Flight, as far as we need it: `DoGet` with a ticket of ours, answered by a header and record batches.
//!
//! ```text
//!   first message: application metadata = the header, no rows          (so that it comes even when no row does)
//!   then: the schema, then the rows in pieces of about a megabyte
//!   an error, also in the middle: the status of crate::status
//! ```

mod pieces;

use arrow::array::RecordBatch;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::encode::{DictionaryHandling, FlightDataEncoderBuilder};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use spanlake_model::Fault;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use crate::convert::Malformed;
use crate::internal::{GrpcService, MESSAGE_BYTES_MAX, Trust, guarded, trusted};
use crate::status::{from_status, to_status};

/// Record batches as they come; dropping it stops the one who makes them.
pub(crate) type Batches = BoxStream<'static, Result<RecordBatch, Fault>>;

/// What stands behind a Flight service.
#[async_trait]
pub(crate) trait Answer: Send + Sync + 'static {
    /// What is asked.
    type Ticket: Message + Default + 'static;
    /// What is said before the rows.
    type Header: Message;
    async fn answer(&self, ticket: Self::Ticket) -> Result<(Self::Header, Batches), Fault>;
}

/// The Flight service that answers so.
pub(crate) fn service(answer: impl Answer, trust: Trust) -> impl GrpcService {
    guarded(FlightServiceServer::new(Server(answer)), trust)
}

/// Asks the Flight service at the end of `channel`.
pub(crate) async fn get<H>(channel: Channel, trust: &Trust, ticket: impl Message) -> Result<(H, Batches), Fault>
where
    H: Message + Default,
{
    let mut client = FlightServiceClient::new(trusted(channel, trust)).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let ticket = Ticket { ticket: ticket.encode_to_vec().into() };
    let mut answer = client.do_get(ticket).await.map_err(from_status)?.into_inner();
    let first = answer.message().await.map_err(from_status)?.ok_or(Malformed("a Flight answer without a header"))?;
    let header = H::decode(first.app_metadata).map_err(|_| Malformed("the header of a Flight answer"))?;
    let rows = FlightRecordBatchStream::new_from_flight_data(answer.map_err(FlightError::from));
    Ok((header, rows.map_err(received).boxed()))
}

fn received(error: FlightError) -> Fault {
    match error {
        FlightError::Tonic(status) => from_status(*status),
        other => {
            tracing::error!(error = %other, "cannot read rows from another service");
            Fault::internal()
        }
    }
}

fn sent(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => {
            tracing::error!(error = %other, "cannot send rows to another service");
            to_status(&Fault::internal())
        }
    }
}

fn encode(header: &impl Message, batches: Batches) -> BoxStream<'static, Result<FlightData, Status>> {
    let header = FlightData { app_metadata: header.encode_to_vec().into(), ..FlightData::default() };
    let pieces = batches
        .map_err(|fault| FlightError::Tonic(Box::new(to_status(&fault))))
        .map_ok(|batch| stream::iter(pieces::split(&batch)).map(|piece| Ok(pieces::compact(&piece)?)))
        .try_flatten();
    // The encoder would split again, by the size of whole buffers and not of the rows in them.
    let rows = FlightDataEncoderBuilder::new()
        .with_max_flight_data_size(usize::MAX)
        .with_dictionary_handling(DictionaryHandling::Resend)
        .build(pieces);
    stream::once(async { Ok(header) }).chain(rows.map_err(sent)).boxed()
}

struct Server<A>(A);

type Answers<T> = BoxStream<'static, Result<T, Status>>;

fn no<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("only DoGet is served here"))
}

#[async_trait]
impl<A: Answer> FlightService for Server<A> {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let ticket: Bytes = request.into_inner().ticket;
        let ticket = A::Ticket::decode(ticket).map_err(|_| to_status(&Malformed("a Flight ticket").into()))?;
        let (header, batches) = self.0.answer(ticket).await.map_err(|fault| to_status(&fault))?;
        Ok(Response::new(encode(&header, batches)))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        no()
    }
    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        no()
    }
    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        no()
    }
    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        no()
    }
    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        no()
    }
    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        no()
    }
    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        no()
    }
    async fn do_action(&self, _: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        no()
    }
    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        no()
    }
}
