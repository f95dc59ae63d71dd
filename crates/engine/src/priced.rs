//! What a span costs, computed when it is read: under other prices, the same span costs something else.
//!
//! ```text
//!   scan ──► cost, input_cost, output_cost as sent ─┐
//!            models, provider, start, tokens ───────┴─► price() ──► the same columns, settled, and where they are from
//! ```
//! Columns that a query does not ask for are not computed.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Builder, PrimitiveArray, StringViewArray, StringViewBuilder, StructArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Field, Fields, Int64Type, TimestampMicrosecondType,
};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::dataframe::DataFrame;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use datafusion::prelude::{Expr, col};
use spanlake_model::{Cost, CostSource, Money, Timestamp, Usage};
use spanlake_prices::{Book, Desk, Spent};

use crate::columns::{SPENT, kind, signature};

/// The columns it reads beside [`SPENT`]: texts, then the start.
const TEXTS: [&str; 5] = ["provider", "request_model", "model", "usage_details", "model_parameters"];
const START: &str = "start_time";

fn columns() -> impl Iterator<Item = &'static str> {
    TEXTS.into_iter().chain([START]).chain(SPENT)
}

/// The columns it settles.
const SETTLED: [&str; 4] = ["cost", "input_cost", "output_cost", "cost_source"];

/// The settled cost of a row that has all columns of spans.
pub(crate) fn cost(book: &Arc<Book>) -> Expr {
    get_field(ScalarUDF::from(Price::new(book.clone())).call(columns().map(col).collect()), "cost")
}

/// The frame, which has all columns of spans, with costs by this book where the client sent none.
pub(crate) fn priced(frame: DataFrame, book: &Arc<Book>) -> Result<DataFrame> {
    let price = ScalarUDF::from(Price::new(book.clone())).call(columns().map(col).collect());
    let column = |field: &Arc<Field>| match SETTLED.iter().find(|name| **name == field.name()) {
        Some(name) => get_field(price.clone(), *name).alias(*name),
        None => col(field.name()),
    };
    let columns: Vec<Expr> = spanlake_store::schema::spans().fields().iter().map(column).collect();
    frame.select(columns)
}

#[derive(Debug)]
struct Price {
    book: Arc<Book>,
    signature: Signature,
}

impl PartialEq for Price {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.book, &other.book)
    }
}

impl Eq for Price {}

impl Hash for Price {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.book).hash(state);
    }
}

impl Price {
    fn new(book: Arc<Book>) -> Self {
        Self { book, signature: signature(columns()) }
    }
}

fn fields() -> Fields {
    SETTLED.iter().map(|name| Field::new(*name, kind(name), true)).collect()
}

impl ScalarUDFImpl for Price {
    fn name(&self) -> &str {
        "price"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays =
            args.args.into_iter().map(|value| value.into_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let rows =
            Rows::of(&arrays).ok_or_else(|| internal_datafusion_err!("price was given columns of other types"))?;
        let (mut settled, mut desk) = (Settled::new(), Desk::new(&self.book));
        for row in 0..args.number_rows {
            settled.append(if rows.says_something(row) { rows.settle(&mut desk, row) } else { None });
        }
        Ok(ColumnarValue::Array(Arc::new(settled.finish()?)))
    }
}

/// The columns of one batch, in the order of [`columns`].
struct Rows<'a> {
    texts: [&'a StringViewArray; 5],
    start: &'a PrimitiveArray<TimestampMicrosecondType>,
    counts: [&'a PrimitiveArray<Int64Type>; 6],
    money: [&'a PrimitiveArray<Decimal128Type>; 3],
}

fn numbers<T: ArrowPrimitiveType, const N: usize>(arrays: &[ArrayRef]) -> Option<[&PrimitiveArray<T>; N]> {
    arrays.iter().map(|array| array.as_primitive_opt()).collect::<Option<Vec<_>>>()?.try_into().ok()
}

fn number<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    array.is_valid(row).then(|| array.value(row))
}

impl<'a> Rows<'a> {
    fn of(arrays: &'a [ArrayRef]) -> Option<Self> {
        let texts: Vec<_> = arrays[..5].iter().map(|array| array.as_string_view_opt()).collect::<Option<_>>()?;
        let [start] = numbers(&arrays[5..6])?;
        Some(Self {
            texts: texts.try_into().ok()?,
            start,
            counts: numbers(&arrays[6..12])?,
            money: numbers(&arrays[12..])?,
        })
    }

    fn text(&self, place: usize, row: usize) -> Option<&'a str> {
        self.texts[place].is_valid(row).then(|| self.texts[place].value(row))
    }

    /// Most spans are no calls: neither tokens nor money.
    fn says_something(&self, row: usize) -> bool {
        self.counts.iter().any(|counts| counts.is_valid(row)) || self.money.iter().any(|money| money.is_valid(row))
    }

    fn settle(&self, desk: &mut Desk<'_, 'a>, row: usize) -> Option<(Cost, CostSource)> {
        let money = |place: usize| number(self.money[place], row).map(Money::from_pico);
        let sent = Cost { total: money(0), input: money(1), output: money(2) };
        let count = |place: usize| number(self.counts[place], row);
        let usage = Usage {
            input: count(0),
            output: count(1),
            total: count(2),
            cache_read: count(3),
            cache_write: count(4),
            reasoning: count(5),
        };
        let [provider, request_model, model, usage_details, model_parameters] =
            std::array::from_fn(|place| self.text(place, row));
        let start = Timestamp::from_micros(self.start.value(row));
        desk.settle(&Spent { provider, request_model, model, start, usage, usage_details, model_parameters, sent })
    }
}

/// The settled columns of one batch.
struct Settled {
    money: [Decimal128Builder; 3],
    source: StringViewBuilder,
}

impl Settled {
    fn new() -> Self {
        let money = || Decimal128Builder::new().with_data_type(DataType::Decimal128(Money::PRECISION, Money::SCALE));
        Self { money: [money(), money(), money()], source: StringViewBuilder::new() }
    }

    fn append(&mut self, settled: Option<(Cost, CostSource)>) {
        let (cost, source) = settled.map_or_else(Default::default, |(cost, source)| (cost, Some(source)));
        for (column, amount) in self.money.iter_mut().zip([cost.total, cost.input, cost.output]) {
            column.append_option(amount.map(Money::as_pico));
        }
        self.source.append_option(source.map(CostSource::as_str));
    }

    fn finish(mut self) -> Result<StructArray> {
        let mut columns: Vec<ArrayRef> =
            self.money.iter_mut().map(|money| Arc::new(money.finish()) as ArrayRef).collect();
        columns.push(Arc::new(self.source.finish()));
        Ok(StructArray::try_new(fields(), columns, None)?)
    }
}
