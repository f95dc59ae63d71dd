//! What a query sees: the catalog first, then each writer's rows above its watermark.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::future::try_join_all;
use spanlake_catalog::{DataFile, Files, Snapshot, Writer};
use spanlake_model::{SpanKey, TenantId, WriterId};
use spanlake_proto::ingest::{Fresh, FreshRequest, FreshRows, FreshSource};

use crate::config::Config;
use crate::engine::SnapshotRequest;
use crate::error::Error;
use crate::rivals;

/// How often a flush may overtake us before we give up.
const ROUNDS: u32 = 5;

/// All of it taken so that each row is in exactly one of the two.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) files: Vec<DataFile>,
    pub(crate) fresh: Vec<RecordBatch>,
    pub(crate) replaced_by_fresh: Vec<SpanKey>,
}

pub(crate) async fn take(
    files: &dyn Files,
    source: &dyn FreshSource,
    config: &Config,
    tenant: TenantId,
    request: &SnapshotRequest,
) -> Result<Rows, Error> {
    for _ in 0..ROUNDS {
        let snapshot = files.snapshot(tenant, request.table, request.range).await?;
        if snapshot.files.len() > config.files_max {
            return Err(Error::TooManyFiles { files: snapshot.files.len(), max: config.files_max });
        }
        let asked = snapshot.writers.iter().map(|writer| ask(source, writer, &snapshot, tenant, request));
        let answers: Option<Vec<FreshRows>> = try_join_all(asked).await?.into_iter().collect();
        if let Some(answers) = answers {
            return rows(snapshot.files, answers, spanlake_store::schema::of(request.table));
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

fn rows(mut files: Vec<DataFile>, answers: Vec<FreshRows>, schema: SchemaRef) -> Result<Rows, Error> {
    files.sort_by_key(|file| file.version);
    let mut rows = Rows { files, ..Rows::default() };
    for answer in rivals::settle(answers)? {
        rows.replaced_by_fresh.extend(answer.superseded);
        for batch in answer.batches.into_iter().filter(|batch| batch.num_rows() > 0) {
            // What came over the wire may have lost the schema's field ids.
            rows.fresh.push(RecordBatch::try_new(schema.clone(), batch.columns().to_vec()).map_err(Error::Schema)?);
        }
    }
    Ok(rows)
}
