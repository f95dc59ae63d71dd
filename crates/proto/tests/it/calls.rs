//! Export and compactor.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use spanlake_model::{Caller, Code, Fault, SpanFilter};
use spanlake_proto::compactor::{self, Compacted, Compactor};
use spanlake_proto::export::{self, Export, ExportRequest};
use spanlake_proto::internal::connect;

use crate::world::{caller, range, serve, token, wrong_token};

/// Streams back what it was asked, and breaks off when asked for nothing.
struct Echo;

#[async_trait]
impl Export for Echo {
    async fn export(
        &self,
        caller: &Caller,
        request: ExportRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Fault> {
        if request.cursor.as_deref() == Some("bad") {
            return Err(Fault::new(Code::InvalidQueryParams, "Use a cursor of ours.").detail("cursor", "is not ours"));
        }
        let line = Ok(Bytes::from(format!("{caller:?} {request:?}\n")));
        let end =
            if request.limit == 0 { Err(Fault::new(Code::Timeout, "Too slow.")) } else { Ok(Bytes::from("{}\n")) };
        Ok(stream::iter([line, end]).boxed())
    }
}

#[async_trait]
impl Compactor for Echo {
    async fn run_once(&self) -> Result<Compacted, Fault> {
        Ok(Compacted { merged_files: 3, written_files: 1, removed_files: 2 })
    }
}

async fn lines(export: &dyn Export, request: ExportRequest) -> Result<Vec<Result<Bytes, Fault>>, Fault> {
    Ok(export.export(&caller(), request).await?.collect().await)
}

#[tokio::test]
async fn an_export_over_the_wire_is_the_same_lines_and_the_same_errors() {
    let served = serve(export::service(Arc::new(Echo), token())).await;
    let client = export::Client::new(connect(&served.address).unwrap(), &token());
    let filter = SpanFilter { name_contains: Some("chat".to_owned()), ..SpanFilter::default() };
    for (limit, cursor) in [(5, None), (0, None), (5, Some("bad")), (1, Some("good"))] {
        let cursor = cursor.map(str::to_owned);
        let request = ExportRequest { range: range(), filter: filter.clone(), cursor, limit, lightweight: limit == 1 };
        assert_eq!(lines(&client, request.clone()).await, lines(&Echo, request).await);
    }
}

#[tokio::test]
async fn the_compactor_over_the_wire_is_the_compactor() {
    let served = serve(compactor::service(Arc::new(Echo), token())).await;
    let client = compactor::Client::new(connect(&served.address).unwrap(), &token());
    assert_eq!(client.run_once().await, Echo.run_once().await);
}

#[tokio::test]
async fn strangers_export_and_compact_nothing() {
    let request =
        ExportRequest { range: range(), filter: SpanFilter::default(), cursor: None, limit: 1, lightweight: false };
    let served = serve(export::service(Arc::new(Echo), token())).await;
    let client = export::Client::new(connect(&served.address).unwrap(), &wrong_token());
    assert_eq!(lines(&client, request).await.unwrap_err().code, Code::ServiceUnavailable);
    let served = serve(compactor::service(Arc::new(Echo), token())).await;
    let client = compactor::Client::new(connect(&served.address).unwrap(), &wrong_token());
    assert_eq!(client.run_once().await.unwrap_err().code, Code::ServiceUnavailable);
}
