//! The same span in the memory of several writers: one row of it is seen.

use std::collections::HashMap;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use spanlake_model::{SpanKey, Table};
use spanlake_proto::ingest::FreshRows;
use spanlake_store::rows::{Rank, versions};

use crate::error::Error;

/// Drops every row that ranks below another writer's of the same key. A writer's own answer holds each key once, so with one
/// writer that has rows, the normal case, there is nothing to do.
///
/// # Errors
/// [`Error::Rows`] when an answer lacks the columns that decide.
pub(crate) fn settle(table: Table, mut answers: Vec<FreshRows>) -> Result<Vec<FreshRows>, Error> {
    if answers.iter().filter(|answer| rows(answer) > 0).count() < 2 {
        return Ok(answers);
    }
    let best = best(table, &answers)?;
    for answer in &mut answers {
        for batch in &mut answer.batches {
            *batch = winners(table, batch, &best)?;
        }
    }
    Ok(answers)
}

fn rows(answer: &FreshRows) -> usize {
    answer.batches.iter().map(RecordBatch::num_rows).sum()
}

fn best(table: Table, answers: &[FreshRows]) -> Result<HashMap<SpanKey, Rank>, Error> {
    let mut best: HashMap<SpanKey, Rank> = HashMap::with_capacity(answers.iter().map(rows).sum());
    for batch in answers.iter().flat_map(|answer| &answer.batches) {
        for (key, rank) in versions(table, batch).map_err(Error::Rows)? {
            best.entry(key).and_modify(|highest| *highest = rank.max(*highest)).or_insert(rank);
        }
    }
    Ok(best)
}

fn winners(table: Table, batch: &RecordBatch, best: &HashMap<SpanKey, Rank>) -> Result<RecordBatch, Error> {
    let versions = versions(table, batch).map_err(Error::Rows)?;
    let wins: BooleanArray = versions.iter().map(|(key, rank)| Some(best.get(key) == Some(rank))).collect();
    if wins.true_count() == batch.num_rows() {
        return Ok(batch.clone());
    }
    filter_record_batch(batch, &wins).map_err(Error::Schema)
}
