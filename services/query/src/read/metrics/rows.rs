//! The rows that are counted: what of a span is measured, and the cells that it counts in.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, RecordBatch, StringViewArray,
};
use arrow::datatypes::{ArrowPrimitiveType, Decimal128Type, Int8Type, Int32Type, Int64Type};
use spanlake_model::Status;
use spanlake_store::rows::{ids, numbers, texts};

use super::tally::hash;
use crate::error::Error;

pub(super) const TOKENS: [&str; 6] =
    ["input_tokens", "output_tokens", "total_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens"];
pub(super) const COST: [&str; 3] = ["cost", "input_cost", "output_cost"];

/// Whether a span's usage counts, computed before.
pub(super) const IS_CALL: &str = "is_call";
/// Whether it is a call of a model that counts once, computed before.
pub(super) const IS_REQUEST: &str = "is_request";
/// The number of its bucket, computed before.
pub(super) const BUCKET: &str = "bucket";
/// The number of its group, or a list of them.
pub(super) const GROUP: &str = "group_number";

/// The columns of a frame that [`Rows`] reads, [`GROUP`] apart.
pub(super) fn columns() -> impl Iterator<Item = &'static str> {
    let own = ["trace_id", "user_id", "model", "status", "duration_ns", "time_to_first_token_ns"];
    own.into_iter().chain(TOKENS).chain(COST).chain([IS_CALL, IS_REQUEST, BUCKET])
}

/// What is measured of one span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) trace: u64,
    pub(super) user: Option<u64>,
    pub(super) model: Option<u64>,
    pub(super) is_failed: bool,
    pub(super) is_call: bool,
    pub(super) is_request: bool,
    pub(super) duration_ns: Option<i64>,
    pub(super) first_token_ns: Option<i64>,
    pub(super) tokens: [Option<i64>; 6],
    pub(super) cost: [Option<i128>; 3],
}

impl Measured {
    /// From the first token, or the start, to the end.
    pub(super) fn written_ns(&self) -> i64 {
        self.duration_ns.map_or(0, |duration| duration.saturating_sub(self.first_token_ns.unwrap_or(0)))
    }
}

/// The rows of one batch.
pub(super) struct Rows<'a> {
    traces: &'a FixedSizeBinaryArray,
    users: &'a StringViewArray,
    models: &'a StringViewArray,
    statuses: &'a PrimitiveArray<Int8Type>,
    durations: &'a PrimitiveArray<Int64Type>,
    first_tokens: &'a PrimitiveArray<Int64Type>,
    tokens: [&'a PrimitiveArray<Int64Type>; 6],
    cost: [&'a PrimitiveArray<Decimal128Type>; 3],
    calls: &'a BooleanArray,
    requests: &'a BooleanArray,
    buckets: &'a PrimitiveArray<Int32Type>,
    groups: Option<&'a ArrayRef>,
}

fn flags<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a BooleanArray, Error> {
    batch.column_by_name(name).and_then(|column| column.as_boolean_opt()).ok_or(Error::Column(name))
}

fn all_numbers<'a, T: ArrowPrimitiveType, const N: usize>(
    batch: &'a RecordBatch,
    names: [&'static str; N],
) -> Result<[&'a PrimitiveArray<T>; N], Error> {
    let columns = names.into_iter().map(|name| numbers(batch, name)).collect::<Result<Vec<_>, _>>()?;
    columns.try_into().map_err(|_| Error::Column("numbers"))
}

fn number<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    column.is_valid(row).then(|| column.value(row))
}

impl<'a> Rows<'a> {
    pub(super) fn of(batch: &'a RecordBatch) -> Result<Self, Error> {
        Ok(Self {
            traces: ids(batch, "trace_id")?,
            users: texts(batch, "user_id")?,
            models: texts(batch, "model")?,
            statuses: numbers(batch, "status")?,
            durations: numbers(batch, "duration_ns")?,
            first_tokens: numbers(batch, "time_to_first_token_ns")?,
            tokens: all_numbers(batch, TOKENS)?,
            cost: all_numbers(batch, COST)?,
            calls: flags(batch, IS_CALL)?,
            requests: flags(batch, IS_REQUEST)?,
            buckets: numbers(batch, BUCKET)?,
            groups: batch.column_by_name(GROUP),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.traces.len()
    }

    /// Whether a row may be in several groups.
    pub(super) fn is_in_several(&self) -> bool {
        self.groups.is_some_and(|groups| groups.as_list_opt::<i32>().is_some())
    }

    pub(super) fn measured(&self, row: usize) -> Measured {
        let text = |texts: &StringViewArray| texts.is_valid(row).then(|| hash(texts.value(row).as_bytes()));
        let holds = |flags: &BooleanArray| flags.is_valid(row) && flags.value(row);
        Measured {
            trace: hash(self.traces.value(row)),
            user: text(self.users),
            model: text(self.models),
            is_failed: number(self.statuses, row) == Some(Status::Error.as_i8()),
            is_call: holds(self.calls),
            is_request: holds(self.requests),
            duration_ns: number(self.durations, row),
            first_token_ns: number(self.first_tokens, row),
            tokens: self.tokens.map(|tokens| number(tokens, row)),
            cost: self.cost.map(|cost| number(cost, row)),
        }
    }

    pub(super) fn bucket(&self, row: usize) -> Result<usize, Error> {
        usize::try_from(self.buckets.value(row)).map_err(|_| Error::Column(BUCKET))
    }

    /// Tells of each group that the row is in; of group 0 when there are no groups.
    pub(super) fn groups(&self, row: usize, mut tell: impl FnMut(usize)) -> Result<(), Error> {
        let place = |number: i32| usize::try_from(number).map_err(|_| Error::Column(GROUP));
        let Some(groups) = self.groups else {
            tell(0);
            return Ok(());
        };
        if let Some(numbers) = groups.as_primitive_opt::<Int32Type>() {
            tell(place(numbers.value(row))?);
            return Ok(());
        }
        let lists = groups.as_list_opt::<i32>().ok_or(Error::Column(GROUP))?;
        let numbers = lists.values().as_primitive_opt::<Int32Type>().ok_or(Error::Column(GROUP))?;
        let offsets = lists.value_offsets();
        for at in offsets[row]..offsets[row + 1] {
            tell(place(numbers.value(usize::try_from(at).map_err(|_| Error::Column(GROUP))?))?);
        }
        Ok(())
    }
}
