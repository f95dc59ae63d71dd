//! What a query sees: the catalog first, then each writer's rows above its watermark.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::RecordBatch;
use futures::future::try_join_all;
use spanlake_catalog::{DataFile, Files, Snapshot, Writer};
use spanlake_model::{Erasure, Receipt, SpanKey, TenantId, TimeRange, Timestamp, WriterId};
use spanlake_proto::ingest::{Fresh, FreshRequest, FreshRows, FreshSource};
use spanlake_store::schema;

use crate::engine::SnapshotRequest;
use crate::error::Error;
use crate::rivals;

/// How often a flush may overtake us before we give up.
const ROUNDS: u32 = 5;

const DAY: Duration = Duration::from_secs(86_400);

/// All of it taken so that each row is in exactly one of the two.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) files: Vec<DataFile>,
    pub(crate) fresh: Vec<RecordBatch>,
    pub(crate) replaced_by_fresh: Vec<SpanKey>,
    pub(crate) erasures: Vec<Erasure>,
    /// The range asked for, without what is no longer kept.
    pub(crate) range: TimeRange,
    /// Of each writer the last write among the rows.
    pub(crate) shown: Vec<Receipt>,
    /// The tenant's own prices, as they were set.
    pub(crate) own_prices: Option<String>,
}

/// Of each of the requests, which are of different tables; all of them as of one instant of the catalog.
pub(crate) async fn take(
    files: &dyn Files,
    source: &dyn FreshSource,
    files_max: usize,
    tenant: TenantId,
    requests: &[SnapshotRequest],
    now: Timestamp,
) -> Result<Vec<Rows>, Error> {
    let of: Vec<_> = requests.iter().map(|request| (request.table, request.range)).collect();
    for _ in 0..ROUNDS {
        let snapshots = files.snapshots(tenant, &of).await?;
        if let Some(files) = snapshots.iter().map(|snapshot| snapshot.files.len()).find(|files| *files > files_max) {
            return Err(Error::TooManyFiles { files, max: files_max });
        }
        let of_each = requests.iter().zip(&snapshots).map(|(request, snapshot)| async move {
            let asked = snapshot.writers.iter().map(|writer| ask(source, writer, snapshot, tenant, request));
            Ok::<Option<Vec<FreshRows>>, Error>(try_join_all(asked).await?.into_iter().collect())
        });
        let answers: Option<Vec<_>> = try_join_all(of_each).await?.into_iter().collect();
        if let Some(answers) = answers {
            let of_each = requests.iter().zip(snapshots).zip(answers);
            return of_each.map(|((request, snapshot), answers)| rows(snapshot, answers, request, now)).collect();
        }
    }
    Err(Error::Unsettled { rounds: ROUNDS })
}

/// The writer's rows, or `None` when a flush has overtaken the snapshot.
async fn ask(
    source: &dyn FreshSource,
    writer: &Writer,
    snapshot: &Snapshot,
    tenant: TenantId,
    request: &SnapshotRequest,
) -> Result<Option<FreshRows>, Error> {
    let after = request.after.filter(|receipt| receipt.writer == writer.id);
    let asked = FreshRequest {
        tenant,
        table: request.table,
        range: request.range,
        writer: writer.id,
        after_sequence: watermark(snapshot, writer.id),
        reach_sequence: after.map_or(0, |receipt| receipt.sequence),
        known_version: snapshot.version,
    };
    match source.fresh(&writer.address, asked).await.map_err(Error::Writer)? {
        Fresh::Rows(rows) => Ok(Some(rows)),
        Fresh::Stale => Ok(None),
    }
}

fn watermark(snapshot: &Snapshot, writer: WriterId) -> u64 {
    snapshot.watermarks.iter().find(|mark| mark.writer == writer).map_or(0, |mark| mark.sequence)
}

fn rows(snapshot: Snapshot, answers: Vec<FreshRows>, request: &SnapshotRequest, now: Timestamp) -> Result<Rows, Error> {
    let shown = shown(&snapshot, &answers);
    let Snapshot { mut files, erasures, kept_days, own_prices, .. } = snapshot;
    let (fresh, replaced_by_fresh) = (Vec::new(), Vec::new());
    let Some(range) = kept(request.range, kept_days, now) else {
        let files = Vec::new();
        return Ok(Rows { files, fresh, replaced_by_fresh, erasures, range: request.range, shown, own_prices });
    };
    files.sort_by_key(|file| file.version);
    let mut rows = Rows { files, fresh, replaced_by_fresh, erasures, range, shown, own_prices };
    for answer in rivals::settle(request.table, answers)? {
        rows.replaced_by_fresh.extend(answer.superseded);
        for batch in answer.batches.into_iter().filter(|batch| batch.num_rows() > 0) {
            // What came over the wire may have lost the schema's field ids, and an older writer knows fewer columns.
            rows.fresh.push(schema::adapt(request.table, &batch).map_err(Error::Schema)?);
        }
    }
    Ok(rows)
}

/// What of the range is kept; `None`: nothing.
fn kept(range: TimeRange, days: Option<u32>, now: Timestamp) -> Option<TimeRange> {
    days.map_or(Some(range), |days| range.not_before(now.minus(DAY * days)))
}

/// Of each writer the last write that is in files or was answered; of one that has retired, what is in files is all.
fn shown(snapshot: &Snapshot, answers: &[FreshRows]) -> Vec<Receipt> {
    let in_files = snapshot.watermarks.iter().map(|mark| (mark.writer, mark.sequence));
    let answered = snapshot.writers.iter().zip(answers).map(|(writer, rows)| (writer.id, rows.through_sequence));
    let mut last: BTreeMap<WriterId, u64> = BTreeMap::new();
    for (writer, sequence) in in_files.chain(answered) {
        let highest = last.entry(writer).or_default();
        *highest = sequence.max(*highest);
    }
    last.into_iter().map(|(writer, sequence)| Receipt { writer, sequence }).collect()
}
