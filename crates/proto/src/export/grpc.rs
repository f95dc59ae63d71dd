//! [`Export`] over gRPC, both ends.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use spanlake_model::{Caller, Fault};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::{Export, ExportRequest, Format, Piece, Summary};
use crate::convert::{Malformed, receipt, required, to_usize};
use crate::internal::{GrpcService, MESSAGE_BYTES_MAX, Trust, TrustedChannel, guarded, trusted};
use crate::pb::export::v1 as pb;
use crate::pb::export::v1::export_client::ExportClient;
use crate::pb::export::v1::export_server::ExportServer;
use crate::status::{from_status, to_status};

/// The export service in another process.
#[derive(Clone, Debug)]
pub struct Client(ExportClient<TrustedChannel>);

impl Client {
    /// Asks the export service at the end of `channel` (see [`crate::internal::connect`]).
    pub fn new(channel: Channel, trust: &Trust) -> Self {
        Self(ExportClient::new(trusted(channel, trust)).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }
}

#[async_trait]
impl Export for Client {
    async fn export(
        &self,
        caller: &Caller,
        request: ExportRequest,
    ) -> Result<BoxStream<'static, Result<Piece, Fault>>, Fault> {
        let request = pb::StreamRequest {
            caller: Some(caller.into()),
            range: Some(request.range.into()),
            filter: Some(request.filter.into()),
            cursor: request.cursor.unwrap_or_default(),
            limit: request.limit as u64,
            lightweight: request.lightweight,
            format: request.format.as_str().to_owned(),
            receipt: request.receipt.map(|receipt| receipt.to_string()).unwrap_or_default(),
        };
        let chunks = self.0.clone().stream(request).await.map_err(from_status)?.into_inner();
        let pieces = chunks.map(|chunk| match chunk {
            Ok(chunk) => Ok(piece(chunk)?),
            Err(status) => Err(from_status(status)),
        });
        Ok(pieces.boxed())
    }
}

/// The gRPC service that answers with `export`, to those whom `trust` admits.
pub fn service(export: Arc<dyn Export>, trust: Trust) -> impl GrpcService {
    guarded(ExportServer::new(Server(export)), trust)
}

struct Server(Arc<dyn Export>);

#[async_trait]
impl pb::export_server::Export for Server {
    type StreamStream = BoxStream<'static, Result<pb::Chunk, Status>>;

    async fn stream(&self, request: Request<pb::StreamRequest>) -> Result<Response<Self::StreamStream>, Status> {
        let (caller, request) = read(request.into_inner()).map_err(|error| to_status(&error.into()))?;
        let lines = self.0.export(&caller, request).await.map_err(|fault| to_status(&fault))?;
        let chunks = lines.map_ok(chunk).map_err(|fault| to_status(&fault));
        Ok(Response::new(chunks.boxed()))
    }
}

fn read(request: pb::StreamRequest) -> Result<(Caller, ExportRequest), Malformed> {
    let caller = required(request.caller, "export.caller")?;
    let request = ExportRequest {
        range: required(request.range, "export.range")?,
        filter: required(request.filter, "export.filter")?,
        cursor: Some(request.cursor).filter(|cursor| !cursor.is_empty()),
        limit: to_usize(request.limit, "export.limit")?,
        lightweight: request.lightweight,
        format: Format::parse(&request.format).ok_or(Malformed("export.format"))?,
        receipt: receipt(&request.receipt, "export.receipt")?,
    };
    Ok((caller, request))
}

fn chunk(piece: Piece) -> pb::Chunk {
    use pb::chunk::Piece as Wire;
    let piece = match piece {
        Piece::Bytes(data) => Wire::Data(data.into()),
        Piece::Summary(Summary { total, exported, skipped, skip_reasons, next_cursor }) => Wire::Summary(pb::Summary {
            total,
            exported,
            skipped,
            skip_reasons: skip_reasons.into_iter().collect(),
            next_cursor: next_cursor.unwrap_or_default(),
        }),
    };
    pb::Chunk { piece: Some(piece) }
}

fn piece(chunk: pb::Chunk) -> Result<Piece, Malformed> {
    use pb::chunk::Piece as Wire;
    Ok(match chunk.piece.ok_or(Malformed("export.piece"))? {
        Wire::Data(data) => Piece::Bytes(data.into()),
        Wire::Summary(pb::Summary { total, exported, skipped, skip_reasons, next_cursor }) => Piece::Summary(Summary {
            total,
            exported,
            skipped,
            skip_reasons: skip_reasons.into_iter().collect(),
            next_cursor: Some(next_cursor).filter(|cursor| !cursor.is_empty()),
        }),
    })
}
