//! [`Compactor`] over gRPC, both ends.

use std::sync::Arc;

use async_trait::async_trait;
use spanlake_model::Fault;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::{Compacted, Compactor};
use crate::internal::{GrpcService, Trust, TrustedChannel, guarded, trusted};
use crate::pb::compactor::v1 as pb;
use crate::pb::compactor::v1::compactor_client::CompactorClient;
use crate::pb::compactor::v1::compactor_server::CompactorServer;
use crate::status::{from_status, to_status};

/// The compactor in another process.
#[derive(Clone, Debug)]
pub struct Client(CompactorClient<TrustedChannel>);

impl Client {
    /// Asks the compactor at the end of `channel`. It answers when the work is done, which takes as long as it takes:
    /// make the channel with [`crate::internal::connect_within`] and a patient timeout.
    pub fn new(channel: Channel, trust: &Trust) -> Self {
        Self(CompactorClient::new(trusted(channel, trust)))
    }
}

#[async_trait]
impl Compactor for Client {
    async fn run_once(&self) -> Result<Compacted, Fault> {
        let done = self.0.clone().run_once(pb::RunOnceRequest {}).await.map_err(from_status)?.into_inner();
        Ok(Compacted {
            merged_files: done.merged_files,
            written_files: done.written_files,
            removed_files: done.removed_files,
        })
    }
}

/// The gRPC service that answers with `compactor`, to those whom `trust` admits.
pub fn service(compactor: Arc<dyn Compactor>, trust: Trust) -> impl GrpcService {
    guarded(CompactorServer::new(Server(compactor)), trust)
}

struct Server(Arc<dyn Compactor>);

#[async_trait]
impl pb::compactor_server::Compactor for Server {
    async fn run_once(&self, _: Request<pb::RunOnceRequest>) -> Result<Response<pb::RunOnceResponse>, Status> {
        let done = self.0.run_once().await.map_err(|fault| to_status(&fault))?;
        Ok(Response::new(pb::RunOnceResponse {
            merged_files: done.merged_files,
            written_files: done.written_files,
            removed_files: done.removed_files,
        }))
    }
}
