//! Fresh rows over Arrow Flight.

use std::sync::Arc;

use arrow::compute::concat_batches;
use async_trait::async_trait;
use spanlake_model::{AppId, Code, Fault, SpanId, SpanKey, Table, TenantId, TraceId, WriterId};
use spanlake_proto::ingest::{FlightClient, Fresh, FreshRequest, FreshRows, FreshSource, flight_service};

use crate::world::{range, rows, serve, token, wrong_token};

/// A writer with three batches, the last of them wide.
struct Writer;

const WRITER: WriterId = WriterId::from_bytes([5; 16]);

fn request() -> FreshRequest {
    FreshRequest {
        tenant: TenantId::from_bytes([1; 16]),
        table: Table::Spans,
        range: range(),
        writer: WRITER,
        after_sequence: 7,
        reach_sequence: 0,
        known_version: 3,
    }
}

#[async_trait]
impl FreshSource for Writer {
    async fn fresh(&self, _address: &str, asked: FreshRequest) -> Result<Fresh, Fault> {
        if asked.after_sequence < 7 {
            return Ok(Fresh::Stale);
        }
        if asked.writer != WRITER {
            return Err(Fault::unavailable("This is another writer."));
        }
        assert_eq!(asked, request(), "the request arrives whole");
        let trace_id = TraceId::from_bytes([6; 16]).expect("not zero");
        let key = |id| SpanKey {
            app_id: AppId::from_bytes([2; 16]),
            trace_id,
            span_id: SpanId::from_bytes([id; 8]).expect("not zero"),
        };
        Ok(Fresh::Rows(FreshRows {
            through_sequence: 42,
            superseded: vec![key(1), key(2)],
            batches: vec![rows(0, 10, 0), rows(10, 3_000, 100), rows(3_010, 20, 1 << 20)],
        }))
    }
}

fn unwrap(fresh: Fresh) -> FreshRows {
    match fresh {
        Fresh::Rows(rows) => rows,
        Fresh::Stale => panic!("not stale"),
    }
}

#[tokio::test]
async fn fresh_rows_over_the_wire_are_the_writers_own_types_and_metadata_included() {
    let served = serve(flight_service(Arc::new(Writer), token())).await;
    let client = FlightClient::new(token());
    let far = unwrap(client.fresh(&served.address, request()).await.unwrap());
    let near = unwrap(Writer.fresh("", request()).await.unwrap());
    assert_eq!((far.through_sequence, &far.superseded), (near.through_sequence, &near.superseded));
    let schema = near.batches[0].schema();
    assert!(far.batches.iter().all(|batch| batch.schema() == schema), "{:#?}", far.batches[0].schema());
    assert_eq!(concat_batches(&schema, &far.batches).unwrap(), concat_batches(&schema, &near.batches).unwrap());
    assert!(far.batches.len() > 20, "a megabyte a row travels in pieces");
}

#[tokio::test]
async fn a_stale_watermark_and_another_writer_arrive_as_such() {
    let served = serve(flight_service(Arc::new(Writer), token())).await;
    let client = FlightClient::new(token());
    let stale = client.fresh(&served.address, FreshRequest { after_sequence: 6, ..request() }).await;
    assert!(matches!(stale, Ok(Fresh::Stale)));
    let other = FreshRequest { writer: WriterId::from_bytes([8; 16]), ..request() };
    let fault = client.fresh(&served.address, other.clone()).await.unwrap_err();
    assert_eq!(fault, Writer.fresh("", other).await.unwrap_err());
}

#[tokio::test]
async fn a_stranger_reads_no_fresh_row() {
    let served = serve(flight_service(Arc::new(Writer), token())).await;
    let fault = FlightClient::new(wrong_token()).fresh(&served.address, request()).await.unwrap_err();
    assert_eq!(fault.code, Code::ServiceUnavailable);
}

#[tokio::test]
async fn a_writer_that_is_gone_or_misaddressed_is_unavailable() {
    let gone = serve(flight_service(Arc::new(Writer), token())).await.address.clone();
    let client = FlightClient::new(token());
    for address in [gone.as_str(), "not an address"] {
        assert_eq!(client.fresh(address, request()).await.unwrap_err().code, Code::ServiceUnavailable, "{address}");
    }
}
