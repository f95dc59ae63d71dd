//! Cells of group and bucket, filled with one part of the rows.

use arrow::array::RecordBatch;

use super::rows::Rows;
use super::tally::Tally;
use crate::error::Error;

/// Of each bucket; the last ones may be missing.
pub(super) type Cells = Vec<Option<Box<Tally>>>;

/// What one part of the rows came to.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) groups: Vec<Cells>,
    /// Of all groups, counted apart where a span may be in several.
    pub(super) all: Option<Cells>,
}

/// The cell of a bucket, and by how many bytes it takes to have it.
pub(super) fn at(cells: &mut Cells, bucket: usize) -> (&mut Tally, usize) {
    if cells.len() <= bucket {
        cells.resize_with(bucket + 1, || None);
    }
    let grown = if cells[bucket].is_none() { size_of::<Tally>() } else { 0 };
    (cells[bucket].get_or_insert_default(), grown)
}

fn line(groups: &mut Vec<Cells>, group: usize) -> &mut Cells {
    if groups.len() <= group {
        groups.resize_with(group + 1, Vec::new);
    }
    &mut groups[group]
}

impl Counted {
    /// Counts the rows of a batch, and returns by how many bytes it grew.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<usize, Error> {
        let rows = Rows::of(batch)?;
        if rows.is_in_several() {
            self.all.get_or_insert_default();
        }
        let mut grown = 0;
        for row in 0..rows.len() {
            let (span, bucket) = (rows.measured(row), rows.bucket(row)?);
            let mut count = |cells: &mut Cells| {
                let (tally, more) = at(cells, bucket);
                grown += more + tally.add(&span);
            };
            rows.groups(row, |group| count(line(&mut self.groups, group)))?;
            self.all.as_mut().into_iter().for_each(count);
        }
        Ok(grown)
    }

    /// Adds what was counted of other rows.
    pub(super) fn merge(&mut self, other: Self) {
        for (group, others) in other.groups.into_iter().enumerate() {
            merge(line(&mut self.groups, group), others);
        }
        if let Some(others) = other.all {
            merge(self.all.get_or_insert_default(), others);
        }
    }
}

fn merge(cells: &mut Cells, others: Cells) {
    for (bucket, other) in others.into_iter().enumerate() {
        let Some(other) = other else { continue };
        match cells.get_mut(bucket) {
            Some(Some(tally)) => tally.merge(&other),
            _ => *at(cells, bucket).0 = *other,
        }
    }
}
