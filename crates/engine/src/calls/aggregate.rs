//! The rule as an aggregate of DataFusion.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Fields, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature};
use datafusion::prelude::{Expr, col};
use spanlake_model::Money;

use super::{COUNTS, Forest, NUMBERS, Node, Report, Role, Totals};
use crate::columns::{SPENT, signature};
use crate::tree::{hash, span_hash};
use crate::wanted::Wanted;

/// The columns it reads beside [`SPENT`], which it sums.
pub(super) const KEYS: [&str; 5] = ["trace_id", "span_id", "parent_span_id", "kind", "response_id"];

fn columns() -> impl Iterator<Item = &'static str> {
    KEYS.into_iter().chain(SPENT)
}

/// Digits of a sum of money: ten more than of the column.
const MONEY_SUM: DataType = DataType::Decimal128(28, Money::SCALE);

/// The aggregate of [`crate::TenantSession::call_totals`].
pub(crate) fn call_totals(wanted: Wanted) -> Expr {
    AggregateUDF::from(CallTotals { signature: signature(columns()), wanted }).call(columns().map(col).collect())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CallTotals {
    signature: Signature,
    wanted: Wanted,
}

/// The spans of one group. All groups are finished in one go, which for many spans takes long.
#[derive(Debug)]
struct Group {
    forest: Forest,
    wanted: Wanted,
}

fn fields() -> Fields {
    let sum = |(place, name)| Field::new(name, if place < COUNTS { DataType::Int64 } else { MONEY_SUM }, true);
    let sums = SPENT.into_iter().enumerate().map(sum);
    [Field::new("calls", DataType::Int64, true)].into_iter().chain(sums).collect()
}

impl AggregateUDFImpl for CallTotals {
    fn name(&self) -> &str {
        "call_totals"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }
    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Group { forest: Forest::default(), wanted: self.wanted.clone() }))
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[forest]", args.name), DataType::Binary, false))])
    }
}

pub(super) fn unreadable() -> DataFusionError {
    internal_datafusion_err!("call_totals was given columns of other types")
}

/// The columns of one batch: [`KEYS`], then [`SPENT`].
pub(super) struct Columns<'a>(pub(super) &'a [ArrayRef]);

impl Columns<'_> {
    fn bytes(&self, column: usize, row: usize) -> Option<&[u8]> {
        let array = self.0[column].as_fixed_size_binary_opt()?;
        array.is_valid(row).then(|| array.value(row))
    }
    fn text(&self, column: usize, row: usize) -> Option<&str> {
        let array = self.0[column].as_string_view_opt()?;
        array.is_valid(row).then(|| array.value(row))
    }
    fn number(&self, column: usize, row: usize) -> Option<i64> {
        let array = &self.0[column];
        if !array.is_valid(row) {
            return None;
        }
        match array.as_primitive_opt::<Int64Type>() {
            Some(counts) => Some(counts.value(row)),
            None => i64::try_from(array.as_primitive_opt::<Decimal128Type>()?.value(row)).ok(),
        }
    }
    /// Ids of spans are unique within a trace.
    fn id(&self, column: usize, row: usize) -> Option<u64> {
        Some(span_hash(self.bytes(0, row)?, self.bytes(column, row)?))
    }
    pub(super) fn trace(&self, row: usize) -> Option<&[u8]> {
        self.bytes(0, row)
    }
    pub(super) fn node(&self, row: usize) -> Option<Node> {
        let role = Role::of(self.text(3, row)?);
        Some(Node { id: self.id(1, row)?, parent: self.id(2, row), role })
    }
    pub(super) fn report(&self, node: u64, row: usize) -> Option<Report> {
        let numbers: [Option<i64>; NUMBERS] = std::array::from_fn(|place| self.number(KEYS.len() + place, row));
        let response = self.text(4, row).map_or(0, hash);
        // A zero of a framework's span is no call, and must not hide the tokens above it.
        numbers.iter().flatten().any(|number| *number > 0).then_some(Report { node, response, numbers })
    }
}

impl Accumulator for Group {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let columns = Columns(values);
        for row in 0..values[0].len() {
            let node = columns.node(row).ok_or_else(unreadable)?;
            self.forest.nodes.push(node);
            self.forest.reports.extend(columns.report(node.id, row));
        }
        Ok(())
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.wanted.check()?;
        let totals = self.forest.totals();
        let columns = values(&totals).iter().map(ScalarValue::to_array).collect::<Result<Vec<_>>>()?;
        Ok(ScalarValue::Struct(Arc::new(StructArray::try_new(fields(), columns, None)?)))
    }
    fn size(&self) -> usize {
        size_of_val(self) + self.forest.held()
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.wanted.check()?;
        Ok(vec![ScalarValue::Binary(Some(self.forest.to_bytes()))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let parts = states[0].as_binary_opt::<i32>().ok_or_else(unreadable)?;
        parts.iter().flatten().try_for_each(|part| self.forest.extend_from_bytes(part).ok_or_else(unreadable))
    }
}

fn values(totals: &Totals) -> Vec<ScalarValue> {
    let number = |(place, sum): (usize, &Option<i128>)| match place < COUNTS {
        // Sums of counts stop at what the column holds.
        true => ScalarValue::Int64(sum.map(|sum| i64::try_from(sum).unwrap_or(i64::MAX))),
        false => ScalarValue::Decimal128(*sum, 28, Money::SCALE),
    };
    let numbers = totals.numbers.iter().enumerate().map(number);
    [ScalarValue::Int64(Some(totals.calls))].into_iter().chain(numbers).collect()
}
