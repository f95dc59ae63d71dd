//! Which groups are the top ones: how much of what they are ranked by each group has, part by part of the traces.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type};

use super::dimension::{Dimension, shown};
use super::labels::{Labels, hash_of};
use crate::error::Error;

/// What a group takes beside its values.
const GROUP_BYTES: usize = 96;

/// A group's values, and its amount; `None` is less than any.
#[derive(Clone, Debug)]
struct Rank {
    values: Vec<Option<String>>,
    amount: Option<i128>,
}

/// Of some traces, by the hash of a group's values.
#[derive(Debug, Default)]
pub(super) struct Ranks(HashMap<u64, Rank>);

impl Ranks {
    /// Adds groups, a row each: a column for each dimension, then the amount. Returns by how many bytes it grew.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<usize, Error> {
        let (amounts, columns) = batch.columns().split_last().ok_or(Error::Column("rank"))?;
        let amount = |row| {
            if amounts.is_null(row) {
                return Ok(None);
            }
            let counted = amounts.as_primitive_opt::<Int64Type>().map(|counts| i128::from(counts.value(row)));
            let money = || amounts.as_primitive_opt::<Decimal128Type>().map(|money| money.value(row));
            counted.or_else(money).map(Some).ok_or(Error::Column("rank"))
        };
        let mut grown = 0;
        for row in 0..batch.num_rows() {
            let values = columns.iter().map(|column| shown(column, row)).collect::<Result<_, _>>()?;
            grown += self.meet(hash_of(columns, row)?, Rank { values, amount: amount(row)? });
        }
        Ok(grown)
    }

    /// Adds those of other traces.
    pub(super) fn merge(&mut self, others: &Self) -> usize {
        others.0.iter().map(|(hash, rank)| self.meet(*hash, rank.clone())).sum()
    }

    fn meet(&mut self, hash: u64, rank: Rank) -> usize {
        match self.0.entry(hash) {
            Entry::Occupied(mut known) => {
                let amount = &mut known.get_mut().amount;
                *amount = [*amount, rank.amount].into_iter().flatten().reduce(|sum, more| sum + more);
                0
            }
            Entry::Vacant(new) => new.insert(rank).bytes(),
        }
    }

    /// In bytes.
    pub(super) fn held(&self) -> usize {
        self.0.values().map(Rank::bytes).sum()
    }

    /// The top groups by number, and their values: the greatest first; of equal ones by their values, nulls first.
    pub(super) fn top(self, dimensions: &[Dimension], most: usize) -> (Labels, Vec<Vec<Option<String>>>) {
        let mut ranked: Vec<_> = self.0.into_iter().collect();
        ranked.sort_unstable_by(|(_, one), (_, other)| {
            other.amount.cmp(&one.amount).then_with(|| one.order(dimensions).cmp(other.order(dimensions)))
        });
        ranked.truncate(most);
        let labels = ranked.iter().map(|(hash, _)| *hash).collect();
        (labels, ranked.into_iter().map(|(_, rank)| rank.values).collect())
    }
}

impl Rank {
    fn order<'r>(&'r self, dimensions: &'r [Dimension]) -> impl Iterator<Item = (Option<usize>, Option<&'r str>)> {
        self.values.iter().zip(dimensions).map(|(value, dimension)| dimension.order(value.as_deref()))
    }

    fn bytes(&self) -> usize {
        GROUP_BYTES + self.values.iter().flatten().map(|value| size_of::<String>() + value.len()).sum::<usize>()
    }
}
