//! What a list is sorted by, as a cursor keeps it.

use std::cmp::Ordering;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use serde::{Deserialize, Serialize};
use spanlake_engine::datafusion::prelude::{Expr, lit};
use spanlake_engine::datafusion::scalar::ScalarValue;

use super::columns::text;

/// Digits of a sum of money, ten more than of a column of it, and places.
const MONEY_SUM: (u8, i8) = (28, 12);

/// What lists of traces and of spans can be sorted by; what is unknown is less than all that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SortBy {
    #[default]
    Start,
    Latency,
    Cost,
    Tokens,
    Name,
    /// Unset, then fine, then failed.
    Status,
}

/// A value that is sorted by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Key {
    Number(i64),
    /// Units of 10⁻¹² dollars, in digits: JSON numbers do not reach that far.
    Money(String),
    Text(String),
}

impl Key {
    pub(super) fn literal(&self) -> Expr {
        let (digits, places) = MONEY_SUM;
        match self {
            Self::Number(number) => lit(*number),
            Self::Money(pico) => lit(ScalarValue::Decimal128(pico.parse().ok(), digits, places)),
            Self::Text(name) => text(name),
        }
    }

    /// Of money; what is unknown is less than all that is known.
    pub(super) fn money(pico: Option<i128>) -> Self {
        Self::Money(pico.unwrap_or_else(least_pico).to_string())
    }

    /// Among keys of the same list.
    pub(super) fn compared(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (one, other) => one.amount().cmp(&other.amount()),
        }
    }

    /// In bytes, beside itself.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::Money(text) | Self::Text(text) => text.len(),
        }
    }

    /// Of a number, or of money in units of 10⁻¹² dollars.
    pub(super) fn amount(&self) -> Option<i128> {
        match self {
            Self::Number(number) => Some(i128::from(*number)),
            Self::Money(pico) => pico.parse().ok(),
            Self::Text(_) => None,
        }
    }

    pub(super) fn read(keys: &ArrayRef, row: usize) -> Option<Self> {
        if let Some(numbers) = keys.as_primitive_opt::<Int64Type>() {
            Some(Self::Number(numbers.value(row)))
        } else if let Some(money) = keys.as_primitive_opt::<Decimal128Type>() {
            Some(Self::Money(money.value(row).to_string()))
        } else {
            keys.as_string_view_opt().map(|texts| Self::Text(texts.value(row).to_string()))
        }
    }
}

/// The least that [`MONEY_SUM`] holds.
fn least_pico() -> i128 {
    1 - 10_i128.pow(u32::from(MONEY_SUM.0))
}

/// Less than every sum of money: what is unknown is less than all that is known.
pub(super) fn least_money() -> Expr {
    let (digits, places) = MONEY_SUM;
    lit(ScalarValue::Decimal128(Some(least_pico()), digits, places))
}

/// The type of a sum of money.
pub(super) fn money_sum() -> DataType {
    let (digits, places) = MONEY_SUM;
    DataType::Decimal128(digits, places)
}
