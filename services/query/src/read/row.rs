//! One row of an aggregate, column by column.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, PrimitiveArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Int64Type};
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::count;
use spanlake_engine::datafusion::prelude::lit;
use spanlake_model::TraceId;

use crate::error::Error;

/// How many rows the frame has.
pub(super) async fn count_rows(session: &TenantSession, frame: DataFrame) -> Result<u64, Error> {
    let counted = frame.aggregate(vec![], vec![count(lit(1_i64)).alias("total")])?;
    let batches = session.collect(counted).await?;
    let total = batches.first().and_then(|batch| batch.column(0).as_primitive_opt::<Int64Type>());
    let total = total.filter(|total| total.len() == 1).ok_or(Error::Column("total"))?;
    Ok(u64::try_from(total.value(0)).unwrap_or(0))
}

/// The ids of traces in this column of the frame, which is bounded.
pub(crate) async fn trace_ids(
    session: &TenantSession,
    frame: DataFrame,
    column: &'static str,
) -> Result<Vec<TraceId>, Error> {
    let mut traces = Vec::new();
    for batch in session.collect(frame).await? {
        for row in Row::all(&batch) {
            traces.push(row.trace(column)?);
        }
    }
    Ok(traces)
}

/// The texts in this column of the frame, which is bounded and has one in each row.
pub(crate) async fn texts_of(
    session: &TenantSession,
    frame: DataFrame,
    column: &'static str,
) -> Result<Vec<String>, Error> {
    let mut texts = Vec::new();
    for batch in session.collect(frame).await? {
        for row in Row::all(&batch) {
            texts.push(row.text(column)?.ok_or(Error::Column(column))?);
        }
    }
    Ok(texts)
}

/// One row of a batch.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl<'a> Row<'a> {
    pub(super) fn all(batch: &'a RecordBatch) -> impl Iterator<Item = Self> {
        (0..batch.num_rows()).map(move |row| Self { batch, row })
    }

    /// Which row of its batch.
    pub(super) fn place(&self) -> usize {
        self.row
    }

    /// The column, or nothing when it is null here.
    pub(super) fn column(&self, name: &'static str) -> Result<Option<&'a dyn Array>, Error> {
        let column = self.batch.column_by_name(name).ok_or(Error::Column(name))?;
        Ok(column.is_valid(self.row).then_some(&**column))
    }

    pub(super) fn number<T: ArrowPrimitiveType>(&self, name: &'static str) -> Result<Option<T::Native>, Error> {
        let Some(column) = self.column(name)? else { return Ok(None) };
        let numbers: &PrimitiveArray<T> = column.as_primitive_opt().ok_or(Error::Column(name))?;
        Ok(Some(numbers.value(self.row)))
    }

    pub(super) fn required(&self, name: &'static str) -> Result<i64, Error> {
        self.number::<Int64Type>(name)?.ok_or(Error::Column(name))
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, Error> {
        let Some(column) = self.column(name)? else { return Ok(None) };
        Ok(Some(column.as_string_view_opt().ok_or(Error::Column(name))?.value(self.row).to_string()))
    }

    pub(super) fn bytes(&self, name: &'static str) -> Result<Option<&'a [u8]>, Error> {
        let Some(column) = self.column(name)? else { return Ok(None) };
        Ok(Some(column.as_fixed_size_binary_opt().ok_or(Error::Column(name))?.value(self.row)))
    }

    pub(super) fn id(&self, name: &'static str) -> Result<Option<[u8; 16]>, Error> {
        self.bytes(name)?.map(|bytes| bytes.try_into().map_err(|_| Error::Column(name))).transpose()
    }

    pub(super) fn trace(&self, name: &'static str) -> Result<TraceId, Error> {
        self.bytes(name)?.and_then(|bytes| TraceId::from_slice(bytes).ok()).ok_or(Error::Column(name))
    }

    /// A list of texts, or of lists of texts: sorted, each once.
    pub(super) fn words(&self, name: &'static str) -> Result<Vec<String>, Error> {
        let Some(column) = self.column(name)? else { return Ok(Vec::new()) };
        let list = column.as_list_opt::<i32>().ok_or(Error::Column(name))?.value(self.row);
        let mut words = BTreeSet::new();
        gather(&*list, &mut words).ok_or(Error::Column(name))?;
        Ok(words.into_iter().collect())
    }
}

fn gather(array: &dyn Array, words: &mut BTreeSet<String>) -> Option<()> {
    if let Some(lists) = array.as_list_opt::<i32>() {
        return lists.iter().flatten().try_for_each(|list| gather(&*list, words));
    }
    words.extend(array.as_string_view_opt()?.iter().flatten().map(str::to_string));
    Some(())
}
