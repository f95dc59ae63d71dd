//! Receipts, shown to readers.

use spanlake_ingest::Service;
use spanlake_model::{Code, Fault, Receipt, Table, TimeRange};
use spanlake_proto::ingest::{FreshRequest, FreshSource};

use crate::machine::{Machine, send, tenant};

async fn read_after(service: &Service, receipt: Receipt) -> Result<(), Fault> {
    let request = FreshRequest {
        tenant: tenant(1),
        table: Table::Spans,
        range: TimeRange::all(),
        writer: receipt.writer,
        after_sequence: 0,
        reach_sequence: receipt.sequence,
        known_version: 0,
    };
    service.fresh("", request).await.map(drop)
}

#[tokio::test]
async fn a_receipt_is_good_at_once_and_one_that_was_never_given_is_refused_at_once() {
    let mut machine = Machine::new().await;
    let service = machine.start().await.unwrap();
    let receipt = send(&service, tenant(1), &[1]).await.unwrap().receipt.unwrap();
    read_after(&service, receipt).await.unwrap();
    let made_up = Receipt { sequence: receipt.sequence + 1, ..receipt };
    let fault = read_after(&service, made_up).await.unwrap_err();
    assert_eq!(fault.code, Code::InvalidQueryParams);
    assert!(fault.details["after"].contains("no write"), "{fault:?}");

    drop(service);
    machine.disk = machine.disk.killed();
    let service = machine.start().await.unwrap();
    read_after(&service, receipt).await.unwrap();
}
