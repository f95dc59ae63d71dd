//! One file, in whichever format, growing in memory until its maker ends it.

use std::collections::BTreeMap;
use std::io;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::error::ArrowError;
use spanlake_model::Fault;
use spanlake_proto::query::{RowsOf, SCORES};
use spanlake_store::export::Columnar;
use spanlake_store::rows;

use super::manifest::Kind;
use super::packer::Packer;
use super::spec::{FileFormat, Spec};
use super::{columns, scores, traces};
use crate::line::Beside;
use crate::pieces::slices;
use crate::row::{Row, Rows};
use crate::{chat, csv, line};

/// A file that is being written.
pub(crate) struct Encoder {
    table: RowsOf,
    with_scores: bool,
    kind: Kind,
    format: FileFormat,
    body: Body,
    /// Rows in it.
    pub(crate) rows: u64,
    /// Rows that could not be written, by reason.
    pub(crate) skipped: BTreeMap<&'static str, u64>,
}

enum Body {
    /// Made with its first rows, which bring its columns.
    Parquet(Option<Columnar>),
    Text(Packer),
}

/// Why rows could not be written: a mistake of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("rows are not what their table has")]
    Rows(#[from] ArrowError),
    #[error("rows do not read back")]
    Decode(#[from] rows::DecodeError),
    #[error("a Parquet file could not be encoded")]
    Parquet(#[from] spanlake_store::file::Error),
    #[error("a row could not be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("text could not be packed")]
    Pack(#[from] io::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "cannot write rows of an export");
        Self::internal()
    }
}

impl Encoder {
    /// Deletes of an export of conversations are lines of JSON, as the conversations are.
    pub(crate) fn new(spec: &Spec, table: RowsOf, kind: Kind) -> Result<Self, Error> {
        let mut encoder = Self {
            table,
            with_scores: spec.scores,
            kind,
            format: spec.format,
            body: match spec.format {
                FileFormat::Parquet => Body::Parquet(None),
                _ => Body::Text(Packer::new(spec.compression)?),
            },
            rows: 0,
            skipped: BTreeMap::new(),
        };
        if let (Body::Text(packer), FileFormat::Csv) = (&mut encoder.body, spec.format) {
            packer.write(&header(table, kind, spec.scores))?;
        }
        Ok(encoder)
    }

    /// Appends rows of the table, or deletes. Takes a while: keep it off the async threads.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        for slice in slices(batch) {
            match &mut self.body {
                Body::Parquet(file) => {
                    let rows = if self.kind == Kind::Rows { columns::of(self.table, &slice)? } else { slice };
                    let file = match file {
                        Some(file) => file,
                        None => file.insert(Columnar::new(rows.schema())?),
                    };
                    file.push(&rows)?;
                    self.rows += rows.num_rows() as u64;
                }
                Body::Text(packer) => {
                    let mut text = Text { bytes: Vec::new(), rows: 0, skipped: &mut self.skipped };
                    match (self.kind, self.table) {
                        (Kind::Deletes, _) => text.deletes(&slice, self.format)?,
                        (Kind::Rows, RowsOf::Scores) => text.scores(&slice, self.format)?,
                        (Kind::Rows, RowsOf::Traces) => text.traces(&slice, self.format)?,
                        (Kind::Rows, RowsOf::Spans) => text.spans(&slice, self.format, self.with_scores)?,
                    }
                    packer.write(&text.bytes)?;
                    self.rows += text.rows;
                }
            }
        }
        Ok(())
    }

    /// About how large the file would be if it ended here.
    pub(crate) fn bytes(&self) -> usize {
        match &self.body {
            Body::Parquet(file) => file.as_ref().map_or(0, Columnar::bytes),
            Body::Text(packer) => packer.bytes(),
        }
    }

    /// The whole file.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Error> {
        match self.body {
            Body::Parquet(Some(file)) => Ok(file.finish()?),
            Body::Parquet(None) => Ok(Vec::new()),
            Body::Text(packer) => Ok(packer.finish()?),
        }
    }
}

fn header(table: RowsOf, kind: Kind, with_scores: bool) -> Vec<u8> {
    match (kind, table) {
        (Kind::Deletes, _) => {
            let schema = columns::deletes_schema(table);
            csv::names(schema.fields().iter().map(|field| field.name().as_str()))
        }
        (Kind::Rows, RowsOf::Scores) => csv::names(scores::COLUMNS),
        (Kind::Rows, RowsOf::Traces) => csv::names(traces::COLUMNS),
        (Kind::Rows, RowsOf::Spans) => csv::names(csv::job_columns(with_scores)),
    }
}

/// Rows as text, and what became of them.
struct Text<'a> {
    bytes: Vec<u8>,
    rows: u64,
    skipped: &'a mut BTreeMap<&'static str, u64>,
}

impl Text<'_> {
    fn spans(&mut self, batch: &RecordBatch, format: FileFormat, with_scores: bool) -> Result<(), Error> {
        let scores = with_scores.then(|| rows::texts(batch, SCORES)).transpose()?;
        for (place, row) in Rows::of(batch)?.iter().enumerate() {
            let said = scores.map(|scores| if scores.is_valid(place) { scores.value(place) } else { "{}" });
            self.span(&row?, Beside { scores: said, app: true }, format)?;
        }
        Ok(())
    }

    fn span(&mut self, row: &Row<'_>, beside: Beside<'_>, format: FileFormat) -> Result<(), Error> {
        match format {
            FileFormat::Csv => csv::write(row, beside, &mut self.bytes),
            FileFormat::OpenAi => match chat::row(row.kind, row.input, row.output) {
                Ok(conversation) => self.line(&conversation)?,
                Err(skip) => {
                    *self.skipped.entry(skip.as_str()).or_default() += 1;
                    return Ok(());
                }
            },
            FileFormat::Jsonl | FileFormat::Parquet => line::write(row, beside, &mut self.bytes)?,
        }
        self.rows += 1;
        Ok(())
    }

    fn traces(&mut self, batch: &RecordBatch, format: FileFormat) -> Result<(), Error> {
        for trace in rows::decode_traces(batch)? {
            match format {
                FileFormat::Csv => traces::write_csv(&trace, &mut self.bytes),
                _ => self.line(&traces::Line::from(&trace))?,
            }
            self.rows += 1;
        }
        Ok(())
    }

    fn scores(&mut self, batch: &RecordBatch, format: FileFormat) -> Result<(), Error> {
        let keys = rows::ids(batch, "key_high")?;
        for (row, score) in rows::decode_scores(batch)?.iter().enumerate() {
            let key = columns::hex(keys.value(row));
            match format {
                FileFormat::Csv => scores::write_csv(score, &key, &mut self.bytes),
                _ => self.line(&scores::Line::of(score, &key))?,
            }
            self.rows += 1;
        }
        Ok(())
    }

    fn deletes(&mut self, batch: &RecordBatch, format: FileFormat) -> Result<(), Error> {
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| {
                let texts = column.as_string::<i32>();
                texts.is_valid(row).then(|| texts.value(row))
            });
            if format == FileFormat::Csv {
                csv::write_words(cells, &mut self.bytes);
            } else {
                let names = schema.fields().iter().map(|field| field.name().as_str());
                self.line(&names.zip(cells).collect::<BTreeMap<_, _>>())?;
            }
            self.rows += 1;
        }
        Ok(())
    }

    fn line(&mut self, row: &impl serde::Serialize) -> Result<(), Error> {
        serde_json::to_writer(&mut self.bytes, row)?;
        self.bytes.push(b'\n');
        Ok(())
    }
}
