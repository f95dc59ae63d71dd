//! Groups by number: the top ones from 0, and one number for all others.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int32Builder, ListBuilder};
use arrow::datatypes::{DataType, Field, Int8Type};
use spanlake_engine::datafusion::common::{Result, internal_datafusion_err};
use spanlake_engine::datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use spanlake_engine::datafusion::prelude::Expr;

/// The numbers of the top groups, by a hash of their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    numbers: HashMap<u64, i32>,
}

impl FromIterator<u64> for Labels {
    /// From the hashes of the top groups' values, as [`hash_of`] tells them.
    fn from_iter<I: IntoIterator<Item = u64>>(groups: I) -> Self {
        let numbered = groups.into_iter().zip(0..);
        Self { numbers: numbered.collect() }
    }
}

/// The hash of a group's values, in columns as [`Labels::of_span`] will be given.
pub(super) fn hash_of(columns: &[ArrayRef], row: usize) -> Result<u64> {
    columns.iter().try_fold(0, |hash, column| extended(hash, column, row))
}

impl Labels {
    /// The same for the same groups with the same numbers.
    pub(super) fn hash(&self) -> u64 {
        let mut groups: Vec<_> = self.numbers.iter().map(|(hash, number)| (*number, *hash)).collect();
        groups.sort_unstable();
        let mut hasher = DefaultHasher::new();
        groups.hash(&mut hasher);
        hasher.finish()
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The number of all others.
    pub(super) fn other(&self) -> i32 {
        i32::try_from(self.len()).unwrap_or(i32::MAX)
    }

    /// The number of the group that a span is in. When a column is a list, the numbers of its groups as a list, each once: each value
    /// counts, and null where it is empty.
    pub(super) fn of_span(self, columns: Vec<Expr>) -> Expr {
        let signature = Signature::any(columns.len(), Volatility::Immutable);
        ScalarUDF::from(GroupNumbers { labels: Arc::new(self), signature }).call(columns)
    }
}

/// The hash of some values and one more.
fn extended(hash: u64, column: &ArrayRef, row: usize) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(hash);
    if column.is_valid(row) {
        hasher.write_u8(1);
        if let Some(texts) = column.as_string_view_opt() {
            hasher.write(texts.value(row).as_bytes());
        } else if let Some(ids) = column.as_fixed_size_binary_opt() {
            hasher.write(ids.value(row));
        } else if let Some(numbers) = column.as_primitive_opt::<Int8Type>() {
            hasher.write_i8(numbers.value(row));
        } else {
            return Err(internal_datafusion_err!("no group is made of {}", column.data_type()));
        }
    }
    Ok(hasher.finish())
}

#[derive(Debug, PartialEq, Eq)]
struct GroupNumbers {
    labels: Arc<Labels>,
    signature: Signature,
}

impl Hash for GroupNumbers {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.labels).hash(state);
    }
}

impl GroupNumbers {
    /// Of one row: hashes of all combinations.
    fn hashes(columns: &[ArrayRef], row: usize) -> Result<Vec<u64>> {
        let mut hashes = vec![0];
        for column in columns {
            hashes = match column.as_list_opt::<i32>() {
                None => hashes.into_iter().map(|hash| extended(hash, column, row)).collect::<Result<_>>()?,
                Some(lists) if lists.is_null(row) || lists.value_length(row) == 0 => {
                    let nothing = arrow::array::new_null_array(&DataType::Utf8View, 1);
                    hashes.into_iter().map(|hash| extended(hash, &nothing, 0)).collect::<Result<_>>()?
                }
                Some(lists) => {
                    let values = lists.value(row);
                    let all = hashes.iter().flat_map(|hash| {
                        let values = &values;
                        (0..values.len()).map(move |value| extended(*hash, values, value))
                    });
                    all.collect::<Result<_>>()?
                }
            };
        }
        Ok(hashes)
    }
}

impl ScalarUDFImpl for GroupNumbers {
    fn name(&self) -> &str {
        "group_numbers"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, columns: &[DataType]) -> Result<DataType> {
        Ok(match columns.iter().any(|column| matches!(column, DataType::List(_))) {
            true => DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true))),
            false => DataType::Int32,
        })
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns = args.args.into_iter().map(|column| column.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let number = |hash: u64| self.labels.numbers.get(&hash).copied().unwrap_or(self.labels.other());
        if !columns.iter().any(|column| matches!(column.data_type(), DataType::List(_))) {
            let group = |row| hash_of(&columns, row).map(number);
            return Ok(ColumnarValue::Array(Arc::new((0..rows).map(group).collect::<Result<Int32Array>>()?)));
        }
        let mut lists = ListBuilder::new(Int32Builder::new());
        let mut numbers = Vec::new();
        for row in 0..rows {
            numbers.clear();
            numbers.extend(Self::hashes(&columns, row)?.into_iter().map(number));
            numbers.sort_unstable();
            numbers.dedup();
            lists.values().append_slice(&numbers);
            lists.append(true);
        }
        Ok(ColumnarValue::Array(Arc::new(lists.finish())))
    }
}
