//! The export service's gRPC face.

mod grpc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use spanlake_model::{Caller, Fault, SpanFilter, TimeRange};

pub use grpc::{Client, service};

/// Which rows, as which lines.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportRequest {
    /// Started in this range.
    pub range: TimeRange,
    /// And like this.
    pub filter: SpanFilter,
    /// Where the page before ended: an RFC 3339 time or what `next_cursor` held.
    pub cursor: Option<String>,
    /// Rows at most.
    pub limit: usize,
    /// Leave input and output out.
    pub lightweight: bool,
}

/// Streams lines of JSON, the trailer last. A stream that ends in an error has no trailer.
#[async_trait]
pub trait Export: Send + Sync + 'static {
    /// Starts the export.
    async fn export(
        &self,
        caller: &Caller,
        request: ExportRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Fault>;
}
