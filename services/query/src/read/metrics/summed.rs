//! What some whole traces came to, put together: each group and all, over time and as a whole.
//!
//! A trace has all its spans in the same part, so from here on the traces of parts add up, and which they were is forgotten.

use std::sync::Arc;

use super::cell::Cell;
use super::counted::{Cells, Counted, at};
use super::tally::Tally;
use super::{Metrics, Series};

/// Some spans: all of them, and those of each bucket.
#[derive(Debug, Default)]
struct Line {
    whole: Tally,
    buckets: Cells,
}

/// The spans of some traces.
#[derive(Debug, Default)]
pub(super) struct Summed {
    all: Line,
    /// By number; the last ones may be missing.
    groups: Vec<Line>,
}

impl Summed {
    /// From what parts of the rows came to, which may have had spans of the same traces.
    pub(super) fn of(parts: Vec<Counted>, has_groups: bool) -> Self {
        let mut counted = Counted::default();
        parts.into_iter().for_each(|part| counted.merge(part));
        let Counted { groups, all } = counted;
        let all = all.unwrap_or_else(|| {
            let mut all = Cells::new();
            groups.iter().for_each(|cells| add(&mut all, cells, 0));
            all
        });
        let groups = if has_groups { groups.into_iter().map(Line::of).collect() } else { Vec::new() };
        Self { all: Line::of(all), groups }
    }

    /// In bytes, beside itself.
    pub(super) fn held(&self) -> usize {
        std::iter::once(&self.all).chain(&self.groups).map(Line::held).sum()
    }

    /// Of traces that are in one part each, of which each part tells with the number of its first bucket. Groups are those of these names,
    /// then that of all others.
    pub(super) fn together(parts: Vec<(usize, Arc<Self>)>, names: Vec<Vec<Option<String>>>, buckets: usize) -> Metrics {
        let mut whole = Self::default();
        whole.groups.resize_with(names.len(), Line::default);
        for (first, part) in parts {
            whole.all.add(&part.all, first);
            if whole.groups.len() < part.groups.len() {
                whole.groups.resize_with(part.groups.len(), Line::default);
            }
            whole.groups.iter_mut().zip(&part.groups).for_each(|(line, part)| line.add(part, first));
        }
        let mut series: Vec<_> = whole.groups.iter().map(|line| line.series(buckets)).collect();
        let other = if series.len() > names.len() { series.pop() } else { None };
        let groups = names.into_iter().zip(series).collect();
        Metrics { all: whole.all.series(buckets), groups, other: other.filter(|other| other.whole.spans > 0) }
    }
}

impl Line {
    fn of(mut buckets: Cells) -> Self {
        let mut whole = Tally::default();
        buckets.iter().flatten().for_each(|tally| whole.merge(tally));
        whole.forget_traces();
        buckets.iter_mut().flatten().for_each(|tally| tally.forget_traces());
        Self { whole, buckets }
    }

    fn held(&self) -> usize {
        let cells = self.buckets.iter().flatten();
        self.whole.held() + cells.map(|tally| size_of::<Tally>() + tally.held()).sum::<usize>()
    }

    fn add(&mut self, other: &Self, first: usize) {
        self.whole.merge(&other.whole);
        add(&mut self.buckets, &other.buckets, first);
    }

    fn series(&self, buckets: usize) -> Series {
        let cell =
            |bucket: usize| self.buckets.get(bucket).and_then(Option::as_deref).map(Cell::from).unwrap_or_default();
        Series { whole: Cell::from(&self.whole), buckets: (0..buckets).map(cell).collect() }
    }
}

/// Adds cells of which the first is that of bucket `first`.
fn add(cells: &mut Cells, others: &Cells, first: usize) {
    for (bucket, other) in others.iter().enumerate() {
        if let Some(other) = other {
            at(cells, first + bucket).0.merge(other);
        }
    }
}
