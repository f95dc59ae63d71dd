//! [`SpanSource`] over Arrow Flight, both ends.

use std::sync::Arc;

use async_trait::async_trait;
use spanlake_model::{Caller, Fault};
use tonic::transport::Channel;

use super::{Scan, ScanRequest, SpanSource};
use crate::convert::{Malformed, receipt, required, to_usize};
use crate::flight::{self, Answer, Batches};
use crate::internal::{GrpcService, InternalToken};
use crate::pb::query::v1 as pb;

/// The query service in another process.
#[derive(Clone, Debug)]
pub struct FlightClient {
    channel: Channel,
    token: InternalToken,
}

impl FlightClient {
    /// Asks the query service at the end of `channel` (see [`crate::internal::connect`]).
    pub fn new(channel: Channel, token: InternalToken) -> Self {
        Self { channel, token }
    }
}

#[async_trait]
impl SpanSource for FlightClient {
    async fn scan(&self, caller: &Caller, request: ScanRequest) -> Result<Scan, Fault> {
        let ticket = pb::ScanTicket {
            caller: Some(caller.into()),
            range: Some(request.range.into()),
            filter: Some(request.filter.into()),
            after: request.after.map(From::from),
            limit: request.limit as u64,
            without_io: request.without_io,
            receipt: request.receipt.map(|receipt| receipt.to_string()).unwrap_or_default(),
        };
        let (header, batches): (pb::ScanHeader, _) = flight::get(self.channel.clone(), &self.token, ticket).await?;
        let last = header.last.map(TryFrom::try_from).transpose().map_err(|error: Malformed| Fault::from(error))?;
        Ok(Scan { total: header.total, rows: header.rows, last, batches })
    }
}

/// The Flight service that answers with `source`, to those who show `token`. Who drops the stream stops the query.
///
/// Its gRPC name is Flight's own, which [`crate::ingest::flight_service`] has too: the two cannot share a port. They
/// belong to different roles, and each role has its own; in one process neither is needed.
pub fn flight_service(source: Arc<dyn SpanSource>, token: InternalToken) -> impl GrpcService {
    flight::service(Server(source), token)
}

struct Server(Arc<dyn SpanSource>);

#[async_trait]
impl Answer for Server {
    type Ticket = pb::ScanTicket;
    type Header = pb::ScanHeader;

    async fn answer(&self, ticket: pb::ScanTicket) -> Result<(pb::ScanHeader, Batches), Fault> {
        let (caller, request) = read(ticket)?;
        let scan = self.0.scan(&caller, request).await?;
        let header = pb::ScanHeader { total: scan.total, rows: scan.rows, last: scan.last.map(From::from) };
        Ok((header, scan.batches))
    }
}

fn read(ticket: pb::ScanTicket) -> Result<(Caller, ScanRequest), Malformed> {
    let caller = required(ticket.caller, "scan.caller")?;
    let request = ScanRequest {
        range: required(ticket.range, "scan.range")?,
        filter: required(ticket.filter, "scan.filter")?,
        after: ticket.after.map(TryFrom::try_from).transpose()?,
        limit: to_usize(ticket.limit, "scan.limit")?,
        without_io: ticket.without_io,
        receipt: receipt(&ticket.receipt, "scan.receipt")?,
    };
    Ok((caller, request))
}
