//! Quantiles of durations: exact for few values, else within a stated error, in bounded memory and the same in whatever order the
//! values come.

mod sketch;

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility};
use datafusion::prelude::Expr;

use self::sketch::Sketch;
use crate::gathered::{Alone, Gather, Gathered};

/// Which ones, by the names of the fields that hold them.
pub const QUANTILES: [(&str, f64); 4] = [("p50", 0.50), ("p90", 0.90), ("p95", 0.95), ("p99", 0.99)];

/// [`QUANTILES`] of a column of whole numbers, nulls left out: a struct of numbers, all null without any value, and `mean`.
///
/// A quantile is the value at its rank, rounded up, as one of the values: of 1, 2, 3, 4 the median is 2. Exact up to 1,024 values in a group; of
/// more, numbers above 128 are within 1/256 (0.4 %) of the value at that rank. The mean is exact.
pub fn quantiles(value: Expr) -> Expr {
    static AGGREGATE: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        let signature = Signature::exact(vec![DataType::Int64], Volatility::Immutable);
        Arc::new(AggregateUDF::from(Quantiles { signature }))
    });
    AGGREGATE.call(vec![value])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantiles {
    signature: Signature,
}

fn fields() -> Fields {
    let quantiles = QUANTILES.iter().map(|(name, _)| Field::new(*name, DataType::Int64, true));
    quantiles.chain([Field::new("mean", DataType::Float64, true)]).collect()
}

impl AggregateUDFImpl for Quantiles {
    fn name(&self) -> &str {
        "quantiles"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }
    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Alone::<Sketch>::new()))
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[sketch]", args.name), DataType::Binary, true))])
    }
    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }
    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::<Gathered<Sketch>>::default())
    }
}

impl Gather for Sketch {
    fn add(&mut self, values: &ArrayRef, row: usize) -> Result<usize> {
        let values = values.as_primitive_opt::<Int64Type>();
        let values = values.ok_or_else(|| internal_datafusion_err!("quantiles takes whole numbers"))?;
        Ok(self.grown(|sketch| sketch.insert(values.value(row))))
    }
    fn to_bytes(&self) -> Vec<u8> {
        Self::to_bytes(self)
    }
    fn merge(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut read = None;
        let grown = self.grown(|sketch| read = sketch.merge_bytes(bytes));
        read.map(|()| grown)
    }
    fn finish(groups: &[Self]) -> Result<ArrayRef> {
        let quantile = |(_, share): &(&str, f64)| {
            let values = groups.iter().map(|sketch| sketch.quantile(*share));
            Arc::new(values.collect::<Int64Array>()) as ArrayRef
        };
        let means: Float64Array = groups.iter().map(Sketch::mean).collect();
        let columns = QUANTILES.iter().map(quantile).chain([Arc::new(means) as ArrayRef]).collect();
        Ok(Arc::new(StructArray::try_new(fields(), columns, None)?))
    }
}
