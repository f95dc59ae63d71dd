//! The stream of an export: rows as they come, then the trailer.

use std::collections::{BTreeMap, VecDeque};

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{self, BoxStream, StreamExt};
use serde::Serialize;
use spanlake_model::{Fault, Position, Span, TimeRange};
use spanlake_proto::query::Scan;
use spanlake_store::rows;

use crate::cursor::{Page, QueryDigest};
use crate::line;

/// About what is turned into lines at a time: enough to be worth the way to another thread, little enough to hold.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK_ROWS_MAX: usize = 512;

/// What the trailer needs to know of the query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    pub(crate) range: TimeRange,
    pub(crate) digest: QueryDigest,
    pub(crate) limit: usize,
}

/// The lines of `scan`, in chunks of whole lines. Nothing is read before the chunk before it is taken.
pub(crate) fn stream(scan: Scan, query: Query) -> BoxStream<'static, Result<Bytes, Fault>> {
    let lines = Lines { scan, query, pieces: VecDeque::new(), exported: 0, last: None };
    stream::try_unfold(Some(lines), |lines| async move {
        match lines {
            Some(lines) => lines.next().await.map(Some),
            None => Ok(None),
        }
    })
    .boxed()
}

struct Lines {
    scan: Scan,
    query: Query,
    /// The rest of the batch at hand.
    pieces: VecDeque<RecordBatch>,
    exported: usize,
    last: Option<Position>,
}

impl Lines {
    /// The next chunk, and what comes after it; nothing after the trailer.
    async fn next(mut self) -> Result<(Bytes, Option<Self>), Fault> {
        let Some(piece) = self.next_piece().await? else {
            return Ok((self.trailer()?, None));
        };
        // JSON of a megabyte takes milliseconds: not on a thread that others wait for.
        let chunk = tokio::task::spawn_blocking(move || encode(&piece)).await.map_err(broken)??;
        self.exported += chunk.rows;
        self.last = chunk.last;
        Ok((chunk.lines, Some(self)))
    }

    /// The next rows, as many as make a chunk and as the limit still allows; `None` when there are no more.
    async fn next_piece(&mut self) -> Result<Option<RecordBatch>, Fault> {
        let allowed = self.query.limit - self.exported;
        if allowed == 0 {
            return Ok(None);
        }
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Ok(Some(piece.slice(0, piece.num_rows().min(allowed))));
            }
            match self.scan.batches.try_next().await? {
                Some(batch) => self.pieces = pieces(&batch).collect(),
                None => return Ok(None),
            }
        }
    }

    fn trailer(&self) -> Result<Bytes, Fault> {
        let is_full = self.exported == self.query.limit;
        let Query { range, digest, .. } = self.query;
        let meta = Meta {
            total: self.scan.total,
            exported: self.exported,
            skipped: 0,
            skip_reasons: BTreeMap::new(),
            next_cursor: self.last.filter(|_| is_full).map(|last| Page { range, last, query: digest }.encode()),
        };
        let mut line = serde_json::to_vec(&Trailer { _export_meta: meta }).map_err(broken)?;
        line.push(b'\n');
        Ok(line.into())
    }
}

#[derive(Serialize)]
struct Trailer {
    _export_meta: Meta,
}

#[derive(Serialize)]
struct Meta {
    /// Rows that match, on all pages.
    total: u64,
    /// Rows on this page.
    exported: usize,
    /// Rows that could not be written in this format; every span can be written as jsonl.
    skipped: usize,
    skip_reasons: BTreeMap<&'static str, usize>,
    /// Set exactly when the page is full.
    next_cursor: Option<String>,
}

/// Slices of about [`CHUNK_BYTES`], going by the average row.
fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    let row_bytes = batch.get_array_memory_size() / rows.max(1);
    let step = (CHUNK_BYTES / row_bytes.max(1)).clamp(1, CHUNK_ROWS_MAX);
    (0..rows).step_by(step).map(move |from| batch.slice(from, step.min(rows - from)))
}

struct Chunk {
    lines: Bytes,
    rows: usize,
    last: Option<Position>,
}

fn encode(piece: &RecordBatch) -> Result<Chunk, Fault> {
    let spans = rows::decode(piece).map_err(broken)?;
    let mut lines = Vec::new();
    for span in &spans {
        line::write(span, &mut lines).map_err(broken)?;
    }
    Ok(Chunk { lines: lines.into(), rows: spans.len(), last: spans.last().map(position) })
}

fn position(span: &Span) -> Position {
    Position { start: span.start, trace_id: span.trace_id, span_id: span.span_id }
}

fn broken(error: impl std::error::Error) -> Fault {
    tracing::error!(%error, "cannot write rows as lines");
    Fault::internal()
}
