//! Spans: which columns are read, and back into our words.

pub(crate) mod list;
mod matched;
pub(crate) mod sorted;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::datafusion::scalar::ScalarValue;
use spanlake_model::Span;
use spanlake_store::{rows, schema};

use super::columns::text;
use crate::error::Error;

/// How much of each span is read. What is left out is null, `{}` or `[]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    /// Without input, output, attributes, events and links: for lists and trees.
    Skeleton,
    /// The skeleton with input and output.
    SkeletonWithIo,
    /// Everything.
    All,
}

const IO: [&str; 2] = ["input", "output"];
const OBJECTS: [&str; 2] = ["attributes", "resource"];
const LISTS: [&str; 2] = ["events", "links"];

impl Columns {
    fn expression(self, column: &str) -> Expr {
        let has_io = matches!(self, Self::All | Self::SkeletonWithIo);
        let has_details = self == Self::All;
        if !has_io && IO.contains(&column) {
            lit(ScalarValue::Utf8View(None)).alias(column)
        } else if !has_details && OBJECTS.contains(&column) {
            text("{}").alias(column)
        } else if !has_details && LISTS.contains(&column) {
            text("[]").alias(column)
        } else {
            col(column)
        }
    }

    /// The frame, priced, with all columns of the table, in their order, of which only these are read.
    pub(crate) fn of(self, session: &TenantSession, frame: DataFrame) -> Result<DataFrame, Error> {
        let schema = schema::spans();
        Ok(session
            .priced(frame)?
            .select(schema.fields().iter().map(|field| self.expression(field.name())).collect::<Vec<_>>())?)
    }
}

/// Reads the frame, which has all columns in their order, and is bounded by a limit.
pub(crate) async fn collect(session: &TenantSession, frame: DataFrame) -> Result<Vec<Span>, Error> {
    let batches = session.collect(frame).await?;
    let mut spans = Vec::new();
    for batch in batches {
        spans.extend(rows::decode(&batch)?);
    }
    Ok(spans)
}

/// The batch in exactly the table's schema: a plan keeps types, but not always field ids.
pub(crate) fn in_schema(batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let schema = schema::spans();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        // A list's type holds its item's field, and with it that field's id.
        if column.data_type() == field.data_type() || !matches!(field.data_type(), DataType::List(_)) {
            return Ok(column.clone());
        }
        arrow::compute::cast(column, field.data_type())
    });
    let columns = columns.collect::<Result<Vec<_>, _>>();
    let batch = columns.and_then(|columns| RecordBatch::try_new(schema.clone(), columns));
    batch.map_err(|error| Error::Engine(spanlake_engine::Error::Schema(error)))
}
