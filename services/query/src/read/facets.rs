//! The values of one field of spans, and how many spans have each.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use spanlake_engine::datafusion::common::{NullHandling, UnnestOptions};
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::count;
use spanlake_engine::datafusion::prelude::{col, lit};
use spanlake_engine::{TenantSession, starts_in};
use spanlake_model::{Caller, Filter, SpanFilter, TimeRange};

use super::filter::{filtered, literally};
use super::metrics::dimension::{Dimension, shown};
use super::pieces::{Part, of_each};
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
    /// Of spans that begin in it.
    pub(crate) range: TimeRange,
    pub(crate) filter: Filter,
    /// That begin so, in any case; only of texts.
    pub(crate) prefix: Option<String>,
    pub(crate) after: Option<Facet>,
    pub(crate) limit: usize,
}

const VALUE: &str = "value";
const COUNT: &str = "count";
/// What a value takes beside its text.
const VALUE_BYTES: usize = 64;

/// How many spans have each value.
#[derive(Debug, Default)]
struct Counts(HashMap<String, i64>);

/// The values, and whether there are more.
pub(crate) async fn read(
    session: &TenantSession,
    caller: &Caller,
    query: &FacetQuery,
) -> Result<(Vec<Facet>, bool), Error> {
    // A score may be about anything, and come at any time.
    let pieces = match query.filter.asks_for_scores() {
        true => session.whole(),
        false => session.pieces(Some(query.range)).await?,
    };
    let parts = Part::all(&pieces, caller);
    let (mut all, mut held) = (Counts::default(), session.held("values"));
    for counts in of_each(parts.iter().map(|part| of_part(part, caller, query)).collect()).await? {
        held.grow(all.merge(&counts))?;
    }
    Ok(all.page(query))
}

/// The values that spans of a part have. Of a piece all begin in the range.
async fn of_part(part: &Part<'_>, caller: &Caller, query: &FacetQuery) -> Result<Arc<Counts>, Error> {
    let FacetQuery { field, range: _, filter, prefix, after: _, limit: _ } = query;
    let settle = async {
        let mut spans = part.session.frame()?;
        if part.range().is_none() {
            spans = spans.filter(starts_in(query.range))?;
        }
        let filter = SpanFilter { filter: filter.clone(), ..SpanFilter::default() };
        let spans = filtered(part.session, caller, spans, &filter).await?;
        let counts = part.session.fold(counted(spans, query)?, Counts::add).await?;
        let counts = counts.finish(Counts::together).await?;
        let bytes = counts.held();
        Ok((counts, bytes))
    };
    part.remembered(format!("values of {field:?} that begin with {prefix:?}, of {filter:?}"), settle).await
}

fn counted(spans: DataFrame, query: &FacetQuery) -> Result<DataFrame, Error> {
    let mut values = spans.select(vec![query.field.own().alias(VALUE)])?;
    if query.field == Dimension::Tag {
        let each = UnnestOptions::new().with_null_handling(NullHandling::Drop);
        values = values.unnest_columns_with_options(&[VALUE], each)?;
    }
    values = values.filter(col(VALUE).is_not_null())?;
    if let Some(prefix) = &query.prefix {
        values = values.filter(col(VALUE).ilike(lit(format!("{}%", literally(prefix)))))?;
    }
    Ok(values.aggregate(vec![col(VALUE)], vec![count(lit(1_i64)).alias(COUNT)])?)
}

impl Counts {
    /// Adds values, a row each, and returns by how many bytes it grew.
    fn add(&mut self, batch: &RecordBatch) -> Result<usize, Error> {
        let mut grown = 0;
        for row in Row::all(batch) {
            let value = shown(batch.column(0), row.place())?.ok_or(Error::Column(VALUE))?;
            grown += self.meet(&value, row.required(COUNT)?);
        }
        Ok(grown)
    }

    fn meet(&mut self, value: &str, count: i64) -> usize {
        if let Some(known) = self.0.get_mut(value) {
            *known += count;
            return 0;
        }
        self.0.insert(value.to_owned(), count);
        VALUE_BYTES + value.len()
    }

    fn merge(&mut self, other: &Self) -> usize {
        other.0.iter().map(|(value, count)| self.meet(value, *count)).sum()
    }

    fn together(parts: Vec<Self>) -> Self {
        parts
            .into_iter()
            .reduce(|mut all, part| {
                all.merge(&part);
                all
            })
            .unwrap_or_default()
    }

    fn held(&self) -> usize {
        self.0.keys().map(|value| VALUE_BYTES + value.len()).sum()
    }

    /// The page asked for, and whether more follow.
    fn page(self, query: &FacetQuery) -> (Vec<Facet>, bool) {
        let facets = self.0.into_iter().map(|(value, count)| Facet { value, count });
        let compared = |one: &Facet, other: &Facet| {
            let by_value = || query.field.order(Some(&one.value)).cmp(&query.field.order(Some(&other.value)));
            other.count.cmp(&one.count).then_with(by_value)
        };
        let follows = |facet: &Facet| query.after.as_ref().is_none_or(|after| compared(facet, after).is_gt());
        let mut facets: Vec<_> = facets.filter(follows).collect();
        facets.sort_unstable_by(compared);
        let has_more = facets.len() > query.limit;
        facets.truncate(query.limit);
        (facets, has_more)
    }
}
