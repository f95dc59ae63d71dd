//! The values of one field of spans, and how many spans have each.

use serde::{Deserialize, Serialize};
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::common::{NullHandling, UnnestOptions};
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::count;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};

use super::filter::literally;
use super::metrics::dimension::{Dimension, shown};
use super::row::Row;
use crate::error::Error;

/// A value, and how many spans have it. Also its place in the list: most spans first, then by value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facet {
    pub(crate) value: String,
    pub(crate) count: i64,
}

/// Which values.
#[derive(Clone, Debug)]
pub(crate) struct FacetQuery {
    pub(crate) field: Dimension,
    /// That begin so, in any case; only of texts.
    pub(crate) prefix: Option<String>,
    pub(crate) after: Option<Facet>,
    pub(crate) limit: usize,
}

const VALUE: &str = "value";
const COUNT: &str = "count";

/// The values among these spans, and whether there are more.
pub(crate) async fn read(
    session: &TenantSession,
    spans: DataFrame,
    query: &FacetQuery,
) -> Result<(Vec<Facet>, bool), Error> {
    let mut values = spans.select(vec![query.field.own().alias(VALUE)])?;
    if query.field == Dimension::Tag {
        let each = UnnestOptions::new().with_null_handling(NullHandling::Drop);
        values = values.unnest_columns_with_options(&[VALUE], each)?;
    }
    values = values.filter(col(VALUE).is_not_null())?;
    if let Some(prefix) = &query.prefix {
        values = values.filter(col(VALUE).ilike(lit(format!("{}%", literally(prefix)))))?;
    }
    let mut counted = values.aggregate(vec![col(VALUE)], vec![count(lit(1_i64)).alias(COUNT)])?;
    if let Some(last) = &query.after {
        counted = counted.filter(follows(&query.field, last)?)?;
    }
    let sort = vec![col(COUNT).sort(false, false), col(VALUE).sort(true, false)];
    let page = counted.sort(sort)?.limit(0, Some(query.limit.saturating_add(1)))?;
    let mut facets = Vec::new();
    for batch in session.collect(page).await? {
        for row in Row::all(&batch) {
            let value = shown(batch.column(0), row.place())?.ok_or(Error::Column(VALUE))?;
            facets.push(Facet { value, count: row.required(COUNT)? });
        }
    }
    let has_more = facets.len() > query.limit;
    facets.truncate(query.limit);
    Ok((facets, has_more))
}

fn follows(field: &Dimension, last: &Facet) -> Result<Expr, Error> {
    let value = field.literal(&last.value).ok_or(Error::Column(VALUE))?;
    let (count, tie) = (col(COUNT), col(COUNT).eq(lit(last.count)));
    Ok(count.lt(lit(last.count)).or(tie.and(col(VALUE).gt(value))))
}
