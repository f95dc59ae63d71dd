//! Aggregates of ours that gather values in a structure for each group.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray};
use datafusion::common::{Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

/// What is gathered of one group.
pub(crate) trait Gather: fmt::Debug + Default + Send + Sync + 'static {
    /// Adds the value of this row, which is not null, and returns by how many bytes it grew.
    fn add(&mut self, values: &ArrayRef, row: usize) -> Result<usize>;
    /// As it is handed on within one process.
    fn to_bytes(&self) -> Vec<u8>;
    /// Adds what [`Self::to_bytes`] wrote, likewise; `None` when it is anything else.
    fn merge(&mut self, bytes: &[u8]) -> Option<usize>;
    /// What comes of the groups, a row each.
    fn finish(groups: &[Self]) -> Result<ArrayRef>;
}

/// One structure for each group.
#[derive(Debug, Default)]
pub(crate) struct Gathered<G> {
    groups: Vec<G>,
    /// Beside the structures themselves. Not reduced while groups are handed out.
    bytes: usize,
}

impl<G: Gather> Gathered<G> {
    fn merge(&mut self, states: &ArrayRef, group_of: impl Fn(usize) -> usize) -> Result<()> {
        let states = states.as_binary_opt::<i32>();
        let states = states.ok_or_else(|| internal_datafusion_err!("a state is not bytes"))?;
        for row in (0..states.len()).filter(|row| states.is_valid(*row)) {
            let grown = self.groups[group_of(row)].merge(states.value(row));
            self.bytes += grown.ok_or_else(|| internal_datafusion_err!("a state does not read back"))?;
        }
        Ok(())
    }

    fn taken(&mut self, emit_to: EmitTo) -> Vec<G> {
        let taken = emit_to.take_needed(&mut self.groups);
        if self.groups.is_empty() {
            self.bytes = 0;
        }
        taken
    }

    fn held(&self) -> usize {
        size_of_val(self) + self.groups.capacity() * size_of::<G>() + self.bytes
    }
}

impl<G: Gather> GroupsAccumulator for Gathered<G> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.groups.resize_with(total, G::default);
        let is_wanted =
            |row| values[0].is_valid(row) && filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        for row in (0..groups.len()).filter(|row| is_wanted(*row)) {
            self.bytes += self.groups[groups[row]].add(&values[0], row)?;
        }
        Ok(())
    }
    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        G::finish(&self.taken(emit_to))
    }
    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let states: BinaryArray = self.taken(emit_to).iter().map(|group| Some(group.to_bytes())).collect();
        Ok(vec![Arc::new(states)])
    }
    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.groups.resize_with(total, G::default);
        self.merge(&states[0], |row| groups[row])
    }
    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut each = Self::default();
        let groups: Vec<_> = (0..values[0].len()).collect();
        each.update_batch(values, &groups, filter, groups.len())?;
        each.state(EmitTo::All)
    }
    fn size(&self) -> usize {
        self.held()
    }
}

/// The structure of the only group there is.
#[derive(Debug, Default)]
pub(crate) struct Alone<G>(Gathered<G>);

impl<G: Gather> Alone<G> {
    pub(crate) fn new() -> Self {
        Self(Gathered { groups: vec![G::default()], bytes: 0 })
    }
}

impl<G: Gather> Accumulator for Alone<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(values, &vec![0; values[0].len()], None, 1)
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&*G::finish(&self.0.groups)?, 0)
    }
    fn size(&self) -> usize {
        self.0.size()
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.0.groups[0].to_bytes()))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states, &vec![0; states[0].len()], 1)
    }
}
