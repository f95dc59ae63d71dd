//! [`FreshSource`] over Arrow Flight, both ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use spanlake_model::{Fault, Table, TenantId, WriterId};
use tonic::transport::Channel;

use super::{Fresh, FreshRequest, FreshRows, FreshSource};
use crate::convert::{Malformed, required, uuid};
use crate::flight::{self, Answer, Batches};
use crate::internal::{AddressError, GrpcService, Trust, connect};
use crate::pb::ingest::v1 as pb;

/// Channels kept; beyond it the one unused for longest is closed.
const CHANNELS_MAX: usize = 64;
/// The most one writer may answer; a writer flushes long before it holds as much.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// Writers in other processes, each called at the address the catalog lists.
#[derive(Debug)]
pub struct FlightClient {
    trust: Trust,
    /// The one used last at the end.
    channels: Mutex<VecDeque<(String, Channel)>>,
}

impl FlightClient {
    /// Knows no writer yet; channels are made as addresses come up.
    pub fn new(trust: Trust) -> Self {
        Self { trust, channels: Mutex::default() }
    }

    fn channel(&self, address: &str) -> Result<Channel, AddressError> {
        // Each step below leaves the queue whole, so one that panicked elsewhere has not spoilt it.
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let known = channels.iter().position(|(at, _)| at == address).and_then(|index| channels.remove(index));
        let (at, channel) = match known {
            Some(known) => known,
            None => (address.to_owned(), connect(address, &self.trust)?),
        };
        if channels.len() == CHANNELS_MAX {
            channels.pop_front();
        }
        channels.push_back((at, channel.clone()));
        Ok(channel)
    }
}

#[async_trait]
impl FreshSource for FlightClient {
    async fn fresh(&self, address: &str, request: FreshRequest) -> Result<Fresh, Fault> {
        let channel = self.channel(address)?;
        let ticket = pb::FreshRowsTicket {
            tenant_id: request.tenant.as_bytes().to_vec(),
            table: request.table.as_str().to_owned(),
            range: Some(request.range.into()),
            writer_id: request.writer.as_bytes().to_vec(),
            after_sequence: request.after_sequence,
            reach_sequence: request.reach_sequence,
            known_version: request.known_version,
        };
        let (header, batches): (pb::FreshRowsHeader, _) = flight::get(channel, &self.trust, ticket).await?;
        if header.stale {
            return Ok(Fresh::Stale);
        }
        Ok(Fresh::Rows(FreshRows {
            through_sequence: header.through_sequence,
            superseded: header.superseded.into_iter().map(TryFrom::try_from).collect::<Result<_, Malformed>>()?,
            batches: collect(batches).await?,
        }))
    }
}

async fn collect(mut batches: Batches) -> Result<Vec<arrow::array::RecordBatch>, Fault> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(batch) = batches.try_next().await? {
        bytes += batch.get_array_memory_size();
        if bytes > ANSWER_BYTES_MAX {
            return Err(Fault::unavailable("Too much has just been sent to be read; try again when it is in files."));
        }
        rows.push(batch);
    }
    Ok(rows)
}

/// The Flight service that answers with the rows of the writer in this process, to those whom `trust` admits.
///
/// Its gRPC name is Flight's own, which [`crate::query::flight_service`] has too: the two cannot share a port. They
/// belong to different roles, and each role has its own; in one process neither is needed.
pub fn flight_service(source: Arc<dyn FreshSource>, trust: Trust) -> impl GrpcService {
    flight::service(Server(source), trust)
}

struct Server(Arc<dyn FreshSource>);

#[async_trait]
impl Answer for Server {
    type Ticket = pb::FreshRowsTicket;
    type Header = pb::FreshRowsHeader;

    async fn answer(&self, ticket: pb::FreshRowsTicket) -> Result<(pb::FreshRowsHeader, Batches), Fault> {
        // The writer in this process needs no address.
        match self.0.fresh("", read(ticket)?).await? {
            Fresh::Stale => {
                let header = pb::FreshRowsHeader { stale: true, ..pb::FreshRowsHeader::default() };
                Ok((header, stream::empty().boxed()))
            }
            Fresh::Rows(rows) => {
                let header = pb::FreshRowsHeader {
                    stale: false,
                    through_sequence: rows.through_sequence,
                    superseded: rows.superseded.into_iter().map(From::from).collect(),
                };
                Ok((header, stream::iter(rows.batches.into_iter().map(Ok)).boxed()))
            }
        }
    }
}

fn read(ticket: pb::FreshRowsTicket) -> Result<FreshRequest, Malformed> {
    Ok(FreshRequest {
        tenant: TenantId::from_bytes(uuid(&ticket.tenant_id, "fresh.tenant_id")?),
        table: Table::parse(&ticket.table).ok_or(Malformed("fresh.table"))?,
        range: required(ticket.range, "fresh.range")?,
        writer: WriterId::from_bytes(uuid(&ticket.writer_id, "fresh.writer_id")?),
        after_sequence: ticket.after_sequence,
        reach_sequence: ticket.reach_sequence,
        known_version: ticket.known_version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::internal::InternalToken;

    #[tokio::test]
    async fn however_many_writers_come_and_go_few_channels_are_kept() {
        let client = FlightClient::new(Trust::Token(InternalToken::new("0123456789abcdef").unwrap()));
        for port in 1..=200 {
            client.channel("127.0.0.1:1").unwrap();
            client.channel(&format!("127.0.0.1:{port}")).unwrap();
        }
        let channels = client.channels.lock().unwrap();
        assert_eq!(channels.len(), CHANNELS_MAX);
        assert!(channels.iter().any(|(address, _)| address == "127.0.0.1:1"), "the one in use is kept");
    }
}
