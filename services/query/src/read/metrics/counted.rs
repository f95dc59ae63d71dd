//! Cells of group and bucket: filled part by part, then put together.

use super::cell::Cell;
use super::rows::Rows;
use super::tally::Tally;
use super::{Metrics, Series};
use crate::error::Error;
use arrow::array::RecordBatch;

/// Of each bucket; the last ones may be missing.
type Line = Vec<Option<Box<Tally>>>;

/// What one part of the rows came to.
#[derive(Debug, Default)]
pub(super) struct Counted {
    groups: Vec<Line>,
    /// Of all groups, counted apart where a span may be in several.
    all: Option<Line>,
}

fn at(line: &mut Line, bucket: usize) -> (&mut Tally, usize) {
    if line.len() <= bucket {
        line.resize_with(bucket + 1, || None);
    }
    let grown = if line[bucket].is_none() { size_of::<Tally>() } else { 0 };
    (line[bucket].get_or_insert_default(), grown)
}

fn line(groups: &mut Vec<Line>, group: usize) -> &mut Line {
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
            let mut count = |line: &mut Line| {
                let (tally, more) = at(line, bucket);
                grown += more + tally.add(&span);
            };
            rows.groups(row, |group| count(line(&mut self.groups, group)))?;
            self.all.as_mut().into_iter().for_each(count);
        }
        Ok(grown)
    }

    /// All parts as one answer. Groups are those of these names, then that of all others.
    pub(super) fn together(parts: Vec<Self>, names: Vec<Vec<Option<String>>>, buckets: usize) -> Metrics {
        let mut whole = Self::default();
        parts.into_iter().for_each(|part| whole.merge(part));
        let Self { mut groups, all } = whole;
        groups.resize_with(groups.len().max(names.len()), Vec::new);
        let mut series: Vec<_> = match names.is_empty() {
            true => Vec::new(),
            false => groups.iter().map(|line| Series::of(line, buckets)).collect(),
        };
        let other = if series.len() > names.len() { series.pop() } else { None };
        let all = all.unwrap_or_else(|| {
            groups.into_iter().fold(Line::new(), |mut all, line| {
                merge(&mut all, line);
                all
            })
        });
        let groups = names.into_iter().zip(series).collect();
        Metrics { all: Series::of(&all, buckets), groups, other: other.filter(|other| other.whole.spans > 0) }
    }

    fn merge(&mut self, other: Self) {
        for (group, others) in other.groups.into_iter().enumerate() {
            merge(line(&mut self.groups, group), others);
        }
        if let Some(others) = other.all {
            merge(self.all.get_or_insert_default(), others);
        }
    }
}

impl Series {
    fn of(line: &Line, buckets: usize) -> Self {
        let mut whole = Tally::default();
        line.iter().flatten().for_each(|tally| whole.merge(tally));
        let cell = |bucket: usize| line.get(bucket).and_then(Option::as_deref).map(Cell::from).unwrap_or_default();
        Self { whole: Cell::from(&whole), buckets: (0..buckets).map(cell).collect() }
    }
}

fn merge(line: &mut Line, others: Line) {
    for (bucket, other) in others.into_iter().enumerate() {
        let Some(other) = other else { continue };
        match line.get_mut(bucket) {
            Some(Some(tally)) => tally.merge(&other),
            _ => *at(line, bucket).0 = *other,
        }
    }
}
