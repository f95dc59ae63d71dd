//! Export and compactor.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use spanlake_model::{Caller, Code, Fault, Receipt, SpanFilter, WriterId};
use spanlake_proto::compactor::{self, Compacted, Compactor};
use spanlake_proto::export::{self, Export, ExportRequest, Format, Piece, Summary};
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
    ) -> Result<BoxStream<'static, Result<Piece, Fault>>, Fault> {
        if request.cursor.as_deref() == Some("bad") {
            return Err(Fault::new(Code::InvalidQueryParams, "Use a cursor of ours.").detail("cursor", "is not ours"));
        }
        let line = Ok(Piece::Bytes(Bytes::from(format!("{caller:?} {request:?}\n"))));
        let end = match request.limit {
            0 => Err(Fault::new(Code::Timeout, "Too slow.")),
            limit => Ok(Piece::Summary(Summary {
                total: 9,
                exported: limit as u64,
                skipped: 1,
                skip_reasons: BTreeMap::from([("no_input".to_owned(), 1)]),
                next_cursor: request.cursor,
            })),
        };
        Ok(stream::iter([line, end]).boxed())
    }
}

#[async_trait]
impl Compactor for Echo {
    async fn run_once(&self) -> Result<Compacted, Fault> {
        Ok(Compacted { merged_files: 3, written_files: 1, removed_files: 2 })
    }
}

async fn pieces(export: &dyn Export, request: ExportRequest) -> Result<Vec<Result<Piece, Fault>>, Fault> {
    Ok(export.export(&caller(), request).await?.collect().await)
}

fn request() -> ExportRequest {
    ExportRequest {
        format: Format::Jsonl,
        range: range(),
        filter: SpanFilter::default(),
        cursor: None,
        limit: 1,
        lightweight: false,
        receipt: None,
    }
}

#[tokio::test]
async fn an_export_over_the_wire_is_the_same_pieces_and_the_same_errors() {
    let served = serve(export::service(Arc::new(Echo), token())).await;
    let client = export::Client::new(connect(&served.address, &token()).unwrap(), &token());
    let filter = SpanFilter { name_contains: Some("chat".to_owned()), ..SpanFilter::default() };
    for (limit, cursor) in [(5, None), (0, None), (5, Some("bad")), (1, Some("good"))] {
        let cursor = cursor.map(str::to_owned);
        let request = ExportRequest {
            format: if limit == 1 { Format::OpenAi } else { Format::Csv },
            filter: filter.clone(),
            cursor,
            limit,
            lightweight: limit == 1,
            receipt: (limit == 1).then_some(Receipt { writer: WriterId::from_bytes([3; 16]), sequence: 9 }),
            ..request()
        };
        assert_eq!(pieces(&client, request.clone()).await, pieces(&Echo, request).await);
    }
}

#[tokio::test]
async fn the_compactor_over_the_wire_is_the_compactor() {
    let served = serve(compactor::service(Arc::new(Echo), token())).await;
    let client = compactor::Client::new(connect(&served.address, &token()).unwrap(), &token());
    assert_eq!(client.run_once().await, Echo.run_once().await);
}

#[tokio::test]
async fn strangers_export_and_compact_nothing() {
    let served = serve(export::service(Arc::new(Echo), token())).await;
    let client = export::Client::new(connect(&served.address, &token()).unwrap(), &wrong_token());
    assert_eq!(pieces(&client, request()).await.unwrap_err().code, Code::ServiceUnavailable);
    let served = serve(compactor::service(Arc::new(Echo), token())).await;
    let client = compactor::Client::new(connect(&served.address, &token()).unwrap(), &wrong_token());
    assert_eq!(client.run_once().await.unwrap_err().code, Code::ServiceUnavailable);
}
