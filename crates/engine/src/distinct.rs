//! How many different values there are, exactly but for two values with one hash of 64 bits.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility};
use datafusion::prelude::Expr;

use crate::gathered::{Alone, Gather, Gathered};
use crate::tree::{HashedSet, hash};

/// How many different values of a column of texts or ids a group has; null is none. Holds about 18 bytes a value.
pub fn distinct(value: Expr) -> Expr {
    static AGGREGATE: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        Arc::new(AggregateUDF::from(Distinct { signature: Signature::any(1, Volatility::Immutable) }))
    });
    AGGREGATE.call(vec![value])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Distinct {
    signature: Signature,
}

impl AggregateUDFImpl for Distinct {
    fn name(&self) -> &str {
        "distinct_values"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }
    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Alone::<Values>::new()))
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[values]", args.name), DataType::Binary, true))])
    }
    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }
    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::<Gathered<Values>>::default())
    }
}

/// Their hashes.
#[derive(Debug, Default)]
struct Values(HashedSet);

impl Values {
    fn insert(&mut self, value: u64) -> usize {
        let before = self.0.capacity();
        self.0.insert(value);
        (self.0.capacity() - before) * 10
    }
}

impl Gather for Values {
    fn add(&mut self, values: &ArrayRef, row: usize) -> Result<usize> {
        let value = if let Some(texts) = values.as_string_view_opt() {
            hash(texts.value(row))
        } else if let Some(ids) = values.as_fixed_size_binary_opt() {
            hash(ids.value(row))
        } else {
            return Err(internal_datafusion_err!("distinct_values takes texts and ids"));
        };
        Ok(self.insert(value))
    }
    fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|value| value.to_le_bytes()).collect()
    }
    fn merge(&mut self, bytes: &[u8]) -> Option<usize> {
        let (values, rest) = bytes.as_chunks::<8>();
        let grown = values.iter().map(|value| self.insert(u64::from_le_bytes(*value))).sum();
        rest.is_empty().then_some(grown)
    }
    fn finish(groups: &[Self]) -> Result<ArrayRef> {
        let counts = groups.iter().map(|group| i64::try_from(group.0.len()).unwrap_or(i64::MAX));
        Ok(Arc::new(counts.collect::<Int64Array>()))
    }
}
