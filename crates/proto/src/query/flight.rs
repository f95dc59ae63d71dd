//! [`SpanSource`] and [`RowSource`] over Arrow Flight, both ends.

use std::sync::Arc;

use async_trait::async_trait;
use spanlake_model::{Caller, Fault};
use tonic::transport::Channel;

use super::{RowSource, Rows, RowsRequest, Scan, ScanRequest, SpanSource};
use crate::convert::{Malformed, receipt, required, to_usize};
use crate::flight::{self, Answer, Batches};
use crate::internal::{GrpcService, Trust};
use crate::pb::query::v1 as pb;

/// The query service in another process.
#[derive(Clone, Debug)]
pub struct FlightClient {
    channel: Channel,
    trust: Trust,
}

impl FlightClient {
    /// Asks the query service at the end of `channel` (see [`crate::internal::connect`]).
    pub fn new(channel: Channel, trust: Trust) -> Self {
        Self { channel, trust }
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
            all_rows: None,
        };
        let (header, batches): (pb::ScanHeader, _) = flight::get(self.channel.clone(), &self.trust, ticket).await?;
        let last = header.last.map(TryFrom::try_from).transpose().map_err(|error: Malformed| Fault::from(error))?;
        Ok(Scan { total: header.total, rows: header.rows, last, batches })
    }
}

#[async_trait]
impl RowSource for FlightClient {
    async fn rows(&self, caller: &Caller, request: RowsRequest) -> Result<Rows, Fault> {
        let ticket =
            pb::ScanTicket { caller: Some(caller.into()), all_rows: Some(request.into()), ..pb::ScanTicket::default() };
        let (header, batches): (pb::ScanHeader, _) = flight::get(self.channel.clone(), &self.trust, ticket).await?;
        let header = header.all_rows.ok_or(Malformed("an answer without the header of all rows"))?;
        Ok(Rows::of(&header, batches)?)
    }
}

/// The Flight service that answers with these sources, to those whom `trust` admits. Who drops the stream stops the query.
///
/// Its gRPC name is Flight's own, which [`crate::ingest::flight_service`] has too: the two cannot share a port. They
/// belong to different roles, and each role has its own; in one process neither is needed.
pub fn flight_service(spans: Arc<dyn SpanSource>, rows: Arc<dyn RowSource>, trust: Trust) -> impl GrpcService {
    flight::service(Server { spans, rows }, trust)
}

struct Server {
    spans: Arc<dyn SpanSource>,
    rows: Arc<dyn RowSource>,
}

#[async_trait]
impl Answer for Server {
    type Ticket = pb::ScanTicket;
    type Header = pb::ScanHeader;

    async fn answer(&self, mut ticket: pb::ScanTicket) -> Result<(pb::ScanHeader, Batches), Fault> {
        if let Some(all_rows) = ticket.all_rows.take() {
            let caller = required(ticket.caller, "rows.caller")?;
            let rows = self.rows.rows(&caller, all_rows.try_into()?).await?;
            let header = pb::ScanHeader { all_rows: Some(rows.header()), ..pb::ScanHeader::default() };
            return Ok((header, rows.batches));
        }
        let (caller, request) = read(ticket)?;
        let scan = self.spans.scan(&caller, request).await?;
        let last = scan.last.map(From::from);
        let header = pb::ScanHeader { total: scan.total, rows: scan.rows, last, all_rows: None };
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
