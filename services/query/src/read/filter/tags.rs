//! Conditions on tags: one of them is so.
//!
//! The tags of all rows are held against the text at once, and then each row looks at its own.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, BooleanArray, Datum};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use spanlake_engine::datafusion::error::{DataFusionError, Result};
use spanlake_engine::datafusion::functions_nested::expr_fn::array_length;
use spanlake_engine::datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_model::Test;
use spanlake_store::schema;

use super::literally;
use crate::read::columns::text;

/// On any of the tags.
pub(super) fn hold(test: &Test) -> Expr {
    let like = |pattern: String| LIKE.call(vec![col("tags"), text(pattern)]);
    match test {
        Test::Is(wanted) => wanted.iter().map(|tag| is(tag)).reduce(Expr::or).unwrap_or(lit(false)),
        Test::Contains(part) => like(format!("%{}%", literally(part))),
        Test::StartsWith(part) => like(format!("{}%", literally(part))),
        Test::EndsWith(part) => like(format!("%{}", literally(part))),
        _ => array_length(col("tags")).gt(lit(0_u64)),
    }
}

/// One of them is exactly this.
pub(super) fn is(tag: &str) -> Expr {
    IS.call(vec![col("tags"), text(tag)])
}

type Compared = fn(&dyn Datum, &dyn Datum) -> std::result::Result<BooleanArray, ArrowError>;

static IS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function("a_tag_is", arrow::compute::kernels::cmp::eq));
static LIKE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function("a_tag_is_like", arrow::compute::ilike));

fn function(name: &'static str, compared: Compared) -> Arc<ScalarUDF> {
    let tags = schema::spans().field_with_name("tags").expect("a column of spans").data_type().clone();
    let any = move |arguments: &[ColumnarValue]| any(name, arguments, compared);
    Arc::new(create_udf(name, vec![tags, DataType::Utf8View], DataType::Boolean, Volatility::Immutable, Arc::new(any)))
}

fn any(name: &str, arguments: &[ColumnarValue], compared: Compared) -> Result<ColumnarValue> {
    let unexpected = || DataFusionError::Internal(format!("{name} takes the column of tags and a text"));
    let [tags, ColumnarValue::Scalar(wanted)] = arguments else { return Err(unexpected()) };
    let tags = tags.to_array(1)?;
    let lists = tags.as_list_opt::<i32>().ok_or_else(unexpected)?;
    let each = compared(lists.values(), &wanted.to_scalar()?)?;
    let of_row = |bounds: &[i32]| {
        let places = usize::try_from(bounds[0]).ok()?..usize::try_from(bounds[1]).ok()?;
        Some(places.into_iter().any(|place| each.is_valid(place) && each.value(place)))
    };
    // A row without tags, whose bounds are equal, is like nothing.
    let held: BooleanArray = lists.value_offsets().windows(2).map(of_row).collect();
    Ok(ColumnarValue::Array(Arc::new(held)))
}
