//! Data files that are broken, gone, or out of reach when a writer starts or looks at them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use spanlake_catalog::{DataFile, Files as _};
use spanlake_ingest::Service;
use spanlake_model::{Code, Fault, SpanId, Table, TenantId, TimeRange};
use spanlake_proto::ingest::{Fresh, FreshRequest, FreshSource as _};
use spanlake_store::rows::decode;
use spanlake_testkit::otlp::span_id;

use crate::machine::{Machine, send, tenant};

/// A machine with one file of each of two tenants, which holds spans 1 and 2, and in the log span 1 again, and 3.
async fn machine() -> Machine {
    let mut machine = Machine::new().await;
    let service = machine.start().await.unwrap();
    for owner in [tenant(1), tenant(2)] {
        send(&service, owner, &[1, 2]).await.unwrap();
    }
    service.flush().await.unwrap();
    for owner in [tenant(1), tenant(2)] {
        send(&service, owner, &[1, 3]).await.unwrap();
    }
    drop(service);
    machine.disk = machine.disk.killed();
    machine
}

async fn files(machine: &Machine, owner: TenantId) -> Vec<DataFile> {
    machine.catalog.snapshot(owner, Table::Spans, TimeRange::all()).await.unwrap().files
}

/// The spans that are not in files.
async fn fresh(machine: &Machine, service: &Service, owner: TenantId) -> Result<Vec<SpanId>, Fault> {
    let range = TimeRange::all();
    let snapshot = machine.catalog.snapshot(owner, Table::Spans, range).await.unwrap();
    let writer = snapshot.writers[0].id;
    let request = FreshRequest {
        tenant: owner,
        table: Table::Spans,
        range,
        writer,
        after_sequence: snapshot.watermarks[0].sequence,
        reach_sequence: 0,
        known_version: snapshot.version,
    };
    let Fresh::Rows(rows) = service.fresh("", request).await? else { panic!("nobody flushes meanwhile") };
    let mut spans: Vec<_> =
        rows.batches.iter().flat_map(|batch| decode(batch).unwrap()).map(|span| span.span_id).collect();
    spans.sort();
    Ok(spans)
}

fn once(spans: &[u64]) -> BTreeMap<SpanId, usize> {
    spans.iter().map(|span| (span_id(*span), 1)).collect()
}

/// The others, who have nothing to do with the file.
async fn others_are_well(machine: &Machine, service: &Service) {
    assert_eq!(machine.seen(service, tenant(2)).await, once(&[1, 2, 3]));
    send(service, tenant(2), &[4]).await.unwrap();
    assert_eq!(machine.seen(service, tenant(2)).await, once(&[1, 2, 3, 4]));
}

#[tokio::test]
async fn a_file_that_is_gone_or_broken_holds_up_nobody() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 4] = [
        ("gone", |path| fs::remove_file(path).unwrap()),
        ("empty", |path| fs::write(path, "").unwrap()),
        ("cut", |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("overwritten", |path| fs::write(path, vec![0x5a; fs::read(path).unwrap().len()]).unwrap()),
    ];
    for (harm, inflict) in harms {
        let machine = machine().await;
        inflict(&machine.path(&files(&machine, tenant(1)).await[0]));
        let service = machine.start().await.unwrap_or_else(|error| panic!("{harm}: {error:?}"));
        others_are_well(&machine, &service).await;
        // Nor those whose file it is, in what does not need it.
        assert_eq!(fresh(&machine, &service, tenant(1)).await.unwrap(), [span_id(1), span_id(3)], "{harm}");
        send(&service, tenant(1), &[4]).await.unwrap();
        service.flush().await.unwrap();
        assert_eq!(fresh(&machine, &service, tenant(1)).await.unwrap(), [], "{harm}");
        let whole = &files(&machine, tenant(1)).await[1];
        assert_eq!(whole.rows, 3, "{harm}");
    }
}

/// Whatever bit of it turned over: it is read, or passed over, and nobody is held up.
#[tokio::test]
async fn a_file_with_a_bit_turned_over_holds_up_nobody() {
    let mut machine = machine().await;
    let path = machine.path(&files(&machine, tenant(1)).await[0]);
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        let service = machine.start().await.unwrap_or_else(|error| panic!("byte {at}: {error:?}"));
        assert_eq!(machine.seen(&service, tenant(2)).await, once(&[1, 2, 3]), "byte {at}");
        drop(service);
        machine.disk = machine.disk.killed();
    }
}

#[tokio::test]
async fn a_file_out_of_reach_holds_up_its_table_until_it_is_back_and_no_other() {
    let machine = machine().await;
    let path = machine.path(&files(&machine, tenant(1)).await[0]);
    let aside = path.with_extension("aside");
    fs::rename(&path, &aside).unwrap();
    // It is there, and opening it fails.
    std::os::unix::fs::symlink(&path, &path).unwrap();

    let service = machine.start().await.unwrap();
    others_are_well(&machine, &service).await;
    let name = &files(&machine, tenant(1)).await[0].path;
    let refused =
        [fresh(&machine, &service, tenant(1)).await.unwrap_err(), send(&service, tenant(1), &[4]).await.unwrap_err()];
    for fault in refused {
        assert_eq!(fault.code, Code::ServiceUnavailable);
        assert!(fault.message.contains(name), "{fault}");
    }
    let failed = service.flush().await.unwrap_err().to_string();
    assert!(failed.contains(name), "{failed}");
    assert_eq!(files(&machine, tenant(2)).await.len(), 2, "the others flush");

    fs::rename(&aside, &path).unwrap();
    assert_eq!(machine.seen(&service, tenant(1)).await, once(&[1, 2, 3]), "one row of the span that was sent again");
    send(&service, tenant(1), &[2, 4]).await.unwrap();
    assert_eq!(machine.seen(&service, tenant(1)).await, once(&[1, 2, 3, 4]));
    service.flush().await.unwrap();
    assert_eq!(machine.seen(&service, tenant(1)).await, once(&[1, 2, 3, 4]), "in files");
}
