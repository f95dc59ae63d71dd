//! The stream of an export: rows as they come, then what became of them.

use std::collections::{BTreeMap, VecDeque};

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{self, BoxStream, StreamExt};
use serde::Serialize;
use spanlake_model::Fault;
use spanlake_proto::export::{Format, Piece, Summary};
use spanlake_proto::query::{SCORES, Scan};
use spanlake_store::rows;

use crate::line::Beside;
use crate::row::{Row, Rows};
use crate::{chat, csv, line};

/// About what is turned into text at a time: enough to be worth the way to another thread, little enough to hold.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK_ROWS_MAX: usize = 512;

/// `scan` in chunks of whole rows, then the summary, before which JSON has its trailer. Nothing is read before the chunk
/// before it is taken. Of the `next_cursor` the caller knows.
pub(crate) fn stream(
    scan: Scan,
    format: Format,
    next_cursor: Option<String>,
) -> BoxStream<'static, Result<Piece, Fault>> {
    let Scan { total, rows, batches, .. } = scan;
    let summary = Summary { total, next_cursor, ..Summary::default() };
    let pieces = Pieces { batches, format, rows, slices: VecDeque::new(), summary, next: Next::Header };
    stream::try_unfold(pieces, |pieces| async move { pieces.next().await }).boxed()
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Header,
    Rows,
    Summary,
    Nothing,
}

struct Pieces {
    batches: BoxStream<'static, Result<RecordBatch, Fault>>,
    format: Format,
    /// As many as must come.
    rows: u64,
    /// The rest of the batch at hand.
    slices: VecDeque<RecordBatch>,
    summary: Summary,
    next: Next,
}

impl Pieces {
    async fn next(mut self) -> Result<Option<(Piece, Self)>, Fault> {
        if self.next == Next::Header {
            self.next = Next::Rows;
            if self.format == Format::Csv {
                return Ok(Some((Piece::Bytes(csv::names(csv::answer_columns()).into()), self)));
            }
        }
        while self.next == Next::Rows {
            let Some(slice) = self.next_slice().await? else {
                self.check()?;
                self.next = Next::Summary;
                if self.format == Format::Csv {
                    break;
                }
                return Ok(Some((Piece::Bytes(trailer(&self.summary)?), self)));
            };
            let format = self.format;
            // JSON of a megabyte takes milliseconds: not on a thread that others wait for.
            let chunk = tokio::task::spawn_blocking(move || Chunk::of(&slice, format)).await.map_err(broken)??;
            self.summary.exported += chunk.exported;
            for (reason, count) in chunk.skipped {
                self.summary.skipped += count;
                *self.summary.skip_reasons.entry(reason.to_owned()).or_default() += count;
            }
            // A chunk of which nothing could be written is no piece.
            if !chunk.text.is_empty() {
                return Ok(Some((Piece::Bytes(chunk.text.into()), self)));
            }
        }
        if self.next == Next::Nothing {
            return Ok(None);
        }
        self.next = Next::Nothing;
        Ok(Some((Piece::Summary(self.summary.clone()), self)))
    }

    /// The next rows, as many as make a chunk; `None` when there are no more.
    async fn next_slice(&mut self) -> Result<Option<RecordBatch>, Fault> {
        loop {
            if let Some(slice) = self.slices.pop_front() {
                return Ok(Some(slice));
            }
            match self.batches.try_next().await? {
                Some(batch) => self.slices = slices(&batch).collect(),
                None => return Ok(None),
            }
        }
    }

    /// What was announced is what has come: the proof that the trailer stands for.
    fn check(&self) -> Result<(), Fault> {
        let came = self.summary.exported + self.summary.skipped;
        if came == self.rows {
            return Ok(());
        }
        tracing::error!(rows.announced = self.rows, rows.came = came, "an export is not whole");
        Err(Fault::internal())
    }
}

#[derive(Serialize)]
struct Trailer<'a> {
    _export_meta: Meta<'a>,
}

#[derive(Serialize)]
struct Meta<'a> {
    total: u64,
    exported: u64,
    skipped: u64,
    skip_reasons: &'a BTreeMap<String, u64>,
    next_cursor: Option<&'a str>,
}

fn trailer(summary: &Summary) -> Result<Bytes, Fault> {
    let Summary { total, exported, skipped, skip_reasons, next_cursor } = summary;
    let meta = Meta {
        total: *total,
        exported: *exported,
        skipped: *skipped,
        skip_reasons,
        next_cursor: next_cursor.as_deref(),
    };
    let mut line = serde_json::to_vec(&Trailer { _export_meta: meta }).map_err(broken)?;
    line.push(b'\n');
    Ok(line.into())
}

/// Slices of about [`CHUNK_BYTES`], going by the average row.
pub(crate) fn slices(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    let row_bytes = batch.get_array_memory_size() / rows.max(1);
    let step = (CHUNK_BYTES / row_bytes.max(1)).clamp(1, CHUNK_ROWS_MAX);
    (0..rows).step_by(step).map(move |from| batch.slice(from, step.min(rows - from)))
}

#[derive(Default)]
struct Chunk {
    text: Vec<u8>,
    exported: u64,
    skipped: BTreeMap<&'static str, u64>,
}

impl Chunk {
    fn of(slice: &RecordBatch, format: Format) -> Result<Self, Fault> {
        let mut chunk = Self::default();
        let scores = rows::texts(slice, SCORES).map_err(broken)?;
        for (row, scores) in Rows::of(slice).map_err(broken)?.iter().zip(scores) {
            chunk.add(&row.map_err(broken)?, scores.unwrap_or("{}"), format).map_err(broken)?;
        }
        Ok(chunk)
    }

    fn add(&mut self, row: &Row<'_>, scores: &str, format: Format) -> Result<(), serde_json::Error> {
        let beside = Beside { scores: Some(scores), app: false };
        match format {
            Format::Jsonl => line::write(row, beside, &mut self.text)?,
            Format::Csv => csv::write(row, beside, &mut self.text),
            Format::OpenAi => match chat::row(row.kind, row.input, row.output) {
                Ok(conversation) => {
                    serde_json::to_writer(&mut self.text, &conversation)?;
                    self.text.push(b'\n');
                }
                Err(skip) => {
                    *self.skipped.entry(skip.as_str()).or_default() += 1;
                    return Ok(());
                }
            },
        }
        self.exported += 1;
        Ok(())
    }
}

fn broken(error: impl std::error::Error) -> Fault {
    tracing::error!(%error, "cannot write rows");
    Fault::internal()
}
