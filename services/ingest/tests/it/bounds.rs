//! What does not fit: onto the disk, into a tenant's share of memory; and what is large and does.

use std::sync::Arc;
use std::time::Duration;

use spanlake_dialects::otlp::{Encoding, Signal};
use spanlake_ingest::{Config, Service};
use spanlake_model::{Code, Fault};
use spanlake_testkit::otlp::{self, span_id, trace_id};
use tokio_util::sync::CancellationToken;

use crate::machine::{Machine, NOON, send, send_body, tenant};

/// Sends a span again and again until the answer is the wanted one.
async fn until(service: &Service, number: u64, is_wanted: impl Fn(Option<&Fault>) -> bool) {
    for _ in 0..1_000 {
        if is_wanted(send(service, tenant(1), &[number]).await.err().as_ref()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("ten seconds have passed");
}

#[tokio::test]
async fn a_full_disk_is_a_503_that_says_when_to_try_again_and_passes_by_itself() {
    let mut machine = Machine::new().await;
    machine.config = Config { flush_check_ms: 10, ..machine.config.clone() };
    let (service, stop) = (machine.start().await.unwrap(), CancellationToken::new());
    let flusher = tokio::spawn({
        let (service, stop): (Arc<Service>, _) = (service.clone(), stop.clone());
        async move { service.run_flusher(stop).await }
    });
    until(&service, 1, |fault| fault.is_none()).await;
    machine.disk.fill_after(0);
    for number in 2..20 {
        let fault = send(&service, tenant(1), &[number]).await.unwrap_err();
        assert_eq!(fault.code, Code::ServiceUnavailable);
        assert!(fault.retry_after.is_some_and(|wait| !wait.is_zero()), "{fault:?}");
    }
    machine.disk.make_room();
    until(&service, 20, |fault| fault.is_none()).await;
    stop.cancel();
    flusher.await.unwrap();
    let seen = machine.seen(&service, tenant(1)).await;
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(span_id(1), 1), (span_id(20), 1)]);
}

#[tokio::test]
async fn a_tenant_that_fills_its_share_is_told_so_and_others_are_not() {
    let mut machine = Machine::new().await;
    machine.config = Config { tenant_memory_bytes_max: 100_000, ..machine.config.clone() };
    let service = machine.start().await.unwrap();
    let mut sent = 1;
    let fault = loop {
        match send(&service, tenant(1), &[sent]).await {
            Ok(_) => sent += 1,
            Err(fault) => break fault,
        }
        assert!(sent < 10_000, "a share without a bound");
    };
    assert_eq!(fault.code, Code::RateLimited);
    assert!(sent > 1 && fault.retry_after.is_some_and(|wait| !wait.is_zero()), "{fault:?}");
    send(&service, tenant(2), &[1]).await.unwrap();
    service.flush().await.unwrap();
    send(&service, tenant(1), &[sent]).await.unwrap();
    assert_eq!(machine.seen(&service, tenant(1)).await.len() as u64, sent);
}

#[tokio::test]
async fn a_value_of_twenty_megabytes_is_kept_whole_in_memory_in_the_log_and_in_files() {
    let mut machine = Machine::new().await;
    let mut large: String = (0..20_000_000 / 16).map(|line| format!("{line:013} é")).collect();
    large.push('\u{1F4A5}');
    let mut span = otlp::span(trace_id(1), span_id(1), "large", NOON);
    span.attributes.push(otlp::text("input.value", &large));
    let spans = vec![span];
    let service = machine.start().await.unwrap();
    send_body(&service, tenant(1), Signal::Traces, Encoding::Protobuf, otlp::protobuf(spans)).await.unwrap();
    let is_whole = |rows: &[spanlake_model::Span]| {
        assert!(rows.len() == 1 && rows[0].input.as_deref() == Some(&*large));
        assert!(rows[0].attributes.len() > large.len(), "the attribute as well");
    };
    is_whole(&machine.rows(&service, tenant(1)).await);
    drop(service);
    machine.disk = machine.disk.killed();
    let service = machine.start().await.unwrap();
    is_whole(&machine.rows(&service, tenant(1)).await);
    service.flush().await.unwrap();
    is_whole(&machine.rows(&service, tenant(1)).await);
}
