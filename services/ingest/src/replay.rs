//! The log read again at start: what was acknowledged and is in no file yet.

use std::future::ready;
use std::pin::pin;

use futures::{StreamExt, stream};
use spanlake_catalog::WriterLease;
use spanlake_dialects::{Context, Request};
use spanlake_model::{AgentId, Table, TenantId, WriterId};
use spanlake_store::log::{Frame, LogFolder, Recovered};
use spanlake_store::memtable::{Due, Memtables, Pending, Prepared, Preparing};
use spanlake_store::rows::{Origin, Row};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::error::Error;
use crate::flush::Flusher;
use crate::keys::KeyIndex;
use crate::{scores, spelling};

/// Frames read ahead of their replay, and as many decoded.
const AHEAD: usize = 16;

/// Puts every frame above its tenant's watermark into the memtables, in order, flushing when they grow full.
pub(crate) async fn replay(
    folder: LogFolder,
    lease: WriterLease,
    memtables: &Memtables,
    keys: &KeyIndex,
    flusher: &Flusher,
    config: &Config,
) -> Result<(LogFolder, Recovered), Error> {
    let (frames, read) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        // A receiver that is gone has failed and says so itself.
        let recovered = folder.recover(|frame| drop(frames.blocking_send(frame)));
        recovered.map(|recovered| (folder, recovered))
    });
    let due = Due::sized(config.flush_bytes);
    let mut replayed = 0;
    let wanted = |frame: &Frame| frame.sequence > memtables.watermark(frame.tenant, table_of(frame));
    // On all cores, in order. A watermark moves with what was applied, so the look before decoding is as good as one after.
    let decoded = stream::unfold(read, |mut read| async move { read.recv().await.map(|frame| (frame, read)) })
        .filter(|frame| ready(wanted(frame)))
        .map(|frame| decode(frame, lease.writer))
        .buffered(AHEAD);
    let mut decoded = pin!(decoded);
    while let Some(pending) = decoded.next().await {
        let (sequence, tenant, table, prepared) = pending?;
        let days = prepared.days();
        let days = keys.hold(tenant, table, keys.ensure(tenant, table, days).await)?.unwrap_or_default();
        let held = memtables.apply(sequence, flusher.clock.now(), Pending { tenant, table, prepared, days });
        replayed += 1;
        if held >= config.flush_bytes && settle(tenant, table, memtables, keys).await? {
            let flushed = flusher.flush_due(lease, memtables, keys, due).await;
            flushed.or_else(put_off)?;
        }
    }
    for (tenant, table) in memtables.tables() {
        settle(tenant, table, memtables, keys).await?;
    }
    let (folder, recovered) = reading.await??;
    report(&recovered, replayed);
    Ok((folder, recovered))
}

/// Whether the table's rows may go into files now.
async fn settle(tenant: TenantId, table: Table, memtables: &Memtables, keys: &KeyIndex) -> Result<bool, Error> {
    if keys.is_held(tenant, table) {
        return Ok(false);
    }
    Ok(keys.hold(tenant, table, keys.settle(tenant, table, memtables).await)?.is_some())
}

/// What one table's files do to its flush is no reason not to start: its rows stay in memory, as at any other time.
fn put_off(failure: Error) -> Result<(), Error> {
    match failure {
        Error::Unread { .. } | Error::File(_) => {
            let error: &dyn std::error::Error = &failure;
            tracing::warn!(error, "could not flush while reading the log; the rows stay in memory and in the log");
            Ok(())
        }
        failure => Err(failure),
    }
}

fn table_of(frame: &Frame) -> Table {
    match spelling::of_request(frame.encoding) {
        Some(_) => Table::Spans,
        None => Table::Scores,
    }
}

async fn decode(frame: Frame, writer: WriterId) -> Result<(u64, TenantId, Table, Prepared), Error> {
    let (sequence, tenant, table) = (frame.sequence, frame.tenant, table_of(&frame));
    let origin = Origin { tenant, writer };
    let prepared = tokio::task::spawn_blocking(move || prepare(&frame, origin)).await?;
    // It was read once, before it was acknowledged: only another version of this program can fail here, and going on
    // without it would lose it for good.
    Ok((sequence, tenant, table, prepared.map_err(|source| Error::Unreadable { sequence, source })?))
}

/// A frame's rows as they were admitted: the same bytes, the same time, the same refusals.
fn prepare(frame: &Frame, origin: Origin) -> Result<Prepared, Box<dyn std::error::Error + Send + Sync>> {
    let Some((signal, encoding)) = spelling::of_request(frame.encoding) else {
        let read = scores::logged::read(&frame.body)?;
        return Ok(Prepared::of_scores(origin, &scores::rows(read.into_iter(), frame.received_at, frame.sequence)));
    };
    let request = Request::decode(signal, encoding, &frame.body)?;
    // Admission has bounded it; what it refused is in the frame.
    let context = Context { resource_bytes_max: usize::MAX, ..Context::new(frame.app, frame.received_at) };
    // And it has checked the agents.
    let mut named = |agent: Option<&str>| Ok(frame.agent.or_else(|| agent?.parse::<AgentId>().ok()));
    let mut preparing = Preparing::new(origin);
    request.normalise_each(&context, &mut named, &mut |ordinal, outcome| {
        if let Ok(span) = outcome
            && frame.rejected.binary_search(&ordinal).is_err()
        {
            preparing.push(Row { span, received_at: frame.received_at, sequence: frame.sequence });
        }
    });
    // None is a frame of nothing but what was refused, which is not written; if one is there it has no rows.
    Ok(preparing.finish().unwrap_or_else(|| Prepared::new(origin, &[])))
}

fn report(recovered: &Recovered, frames: u64) {
    for damage in &recovered.damage {
        tracing::error!(
            log.copy = %damage.path.display(),
            log.offset = damage.offset,
            log.frames_damaged = damage.frames,
            "the log is damaged ({}); what cannot be read is left out, and the segment is kept for rescue",
            damage.why
        );
    }
    tracing::info!(
        replay.frames = frames,
        log.last_sequence = recovered.last_sequence,
        log.torn_bytes = recovered.torn_bytes,
        log.frames_damaged = recovered.frames_damaged(),
        "replayed the log"
    );
}
