//! A clock that was set back while the process was down.

use std::sync::Arc;
use std::time::Duration;

use spanlake_dialects::otlp::{Encoding, Signal};
use spanlake_testkit::ManualClock;
use spanlake_testkit::otlp::{self, span_id, trace_id};

use crate::machine::{Machine, NOON, send_body, tenant};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn what_is_sent_after_a_restart_comes_after_what_was_sent_before_whatever_the_clock_says() {
    let mut machine = Machine::new().await;
    machine.clock = Arc::new(ManualClock::at(NOON.plus(HOUR * 2)));
    for (version, clock) in [("first", NOON.plus(HOUR * 2)), ("second", NOON.plus(HOUR)), ("third", NOON)] {
        machine.clock = Arc::new(ManualClock::at(clock));
        let service = machine.start().await.unwrap();
        let span = otlp::span(trace_id(1), span_id(1), version, NOON);
        let sent = send_body(&service, tenant(1), Signal::Traces, Encoding::Protobuf, otlp::protobuf(vec![span])).await;
        assert!(sent.unwrap().receipt.is_some());
        let rows = machine.rows(&service, tenant(1)).await;
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), [version]);
        drop(service);
        machine.disk = machine.disk.killed();
    }
}
