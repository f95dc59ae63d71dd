//! What this process tells at `/metrics`: which reading of which part has which name.
//!
//! Names and their meaning are in `docs/operations/metrics.md`, and a test holds the two against each other.

use std::sync::Arc;

use spanlake_access::Gate;
use spanlake_compactor::Service as Compactor;
use spanlake_engine::Engine;
use spanlake_ingest::Service as Ingest;
use spanlake_transport::metrics::Metrics;

/// Of the process itself.
pub(crate) fn of_process() -> Metrics {
    let metrics = Metrics::default();
    let version = || vec![(env!("CARGO_PKG_VERSION"), 1)];
    metrics.gauges("build", "Which version runs", "version", version);
    metrics.gauge("process_resident_bytes", "Memory that the process holds", resident_bytes);
    metrics
}

pub(crate) fn of_gate(metrics: &Metrics, gate: &Gate) {
    let read = gate.clone();
    let help = "1 while auth or its database does not answer, and callers are known from memory";
    metrics.gauge("auth_away", help, move || read.reading().is_auth_away.into());
    let read = gate.clone();
    let help = "Answers about callers that were given from memory since auth did not answer";
    metrics.counter("auth_cache_stale", help, move || read.reading().served_from_memory);
    let read = gate.clone();
    let help = "1 while the shared limits do not answer, and this process gives its share of them";
    metrics.gauge("ratelimit_degraded", help, move || read.reading().are_limits_local.into());
    let read = gate.clone();
    metrics.counters("ratelimit_refused", "Requests that a limit refused", "limit", move || read.reading().refused);
}

pub(crate) fn of_ingest(metrics: &Metrics, ingest: &Arc<Ingest>) {
    let read = |read: fn(&Ingest) -> u64| {
        let ingest = ingest.clone();
        move || read(&ingest)
    };
    metrics.gauge("wal_bytes", "Bytes in the log", read(|ingest| ingest.reading().log_bytes));
    metrics.gauge("wal_segments", "Segments of the log", read(|ingest| ingest.reading().log_segments));
    let help = "Acknowledged frames that the start could not read; copies lie beside the log";
    metrics.gauge("wal_quarantined_frames", help, read(|ingest| ingest.reading().log_frames_damaged));
    let help = "1 when this writer has stopped and must be started again";
    metrics.gauge("wal_stopped", help, read(|ingest| ingest.reading().is_stopped.into()));
    let help = "Rows that are in no data file yet";
    metrics.gauge("memtable_rows", help, read(|ingest| ingest.reading().memtable_rows));
    metrics.gauge("memtable_bytes", "About what they take", read(|ingest| ingest.reading().memtable_bytes));
    let help = "Rounds of flushing in which a table could not be";
    metrics.counter("flush_failures", help, read(|ingest| ingest.reading().flush_failures));
    let help = "Spans, log records and scores that were kept";
    metrics.counter("receiver_accepted_spans", help, read(|ingest| ingest.reading().accepted_rows));
    let help = "Spans, log records and scores that were refused one by one";
    metrics.counter("receiver_refused_spans", help, read(|ingest| ingest.reading().refused_rows));
}

pub(crate) fn of_engine(metrics: &Metrics, engine: &Arc<Engine>) {
    let read = engine.clone();
    let help = "Queries that run, and that wait for their tenant's turn";
    metrics.gauges("queries", help, "state", move || {
        vec![("running", read.queries_running() as u64), ("waiting", read.queries_waiting() as u64)]
    });
    let read = engine.clone();
    metrics.gauge("export_scans", "Scans for exports that run", move || read.scans_running() as u64);
    let read = engine.clone();
    let help = "Scans that met a row of another tenant; any is a bug of ours";
    metrics.counter("isolation_violation", help, move || read.trespasses());
}

pub(crate) fn of_compactor(metrics: &Metrics, compactor: &Arc<Compactor>) {
    let read = compactor.clone();
    let help = "Merges, erasures and removals that failed; they are tried again";
    metrics.counter("compactor_failures", help, move || read.failures());
}

/// As Linux says it, in units of 1,024; elsewhere nobody says.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    resident.unwrap_or(0_u64) * 1_024
}
