//! Counts, sums and durations of spans: over all, over time, and in groups.
//!
//! ```text
//!   spans of the range and an hour around it ──► which usage repeats others' (Uncounted) ─┐
//!     └─► of the range, attributed, filtered ──────────────────────────────────────────────┴─► all; each bucket
//!            └─ with groups: top N by one aggregate ──► a number each, one for all others ──► each group; group × bucket
//! ```
//! Which usage counts is settled before anything is filtered or grouped, so that the sums of the groups are the whole. Each span is
//! counted in one cell of group and bucket; groups and the whole are put together from those.

pub(crate) mod buckets;
mod cell;
mod counted;
pub(crate) mod dimension;
mod labels;
mod rows;
mod sketch;
mod tally;

use spanlake_engine::datafusion::common::{NullHandling, UnnestOptions};
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions::core::expr_fn::coalesce;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::{count, sum};
use spanlake_engine::datafusion::logical_expr::ExprFunctionExt;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::{TenantSession, Uncounted, reports, starts_in};
use spanlake_model::{Caller, Kind, SpanFilter, Status, TimeRange};

use self::buckets::Buckets;
pub(crate) use self::cell::{Cell, Durations};
use self::counted::Counted;
use self::dimension::{Dimension, shown};
use self::labels::Labels;
use self::rows::{BUCKET, GROUP, IS_CALL, IS_REQUEST, columns};
use super::attribution::{Attributed, attributed};
use super::columns::{own, text};
use super::filter::{matches, scored};
use crate::error::Error;

/// What the groups are chosen by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RankBy {
    #[default]
    Spans,
    Requests,
    Errors,
    Tokens,
    Cost,
}

/// What is measured.
#[derive(Clone, Debug)]
pub(crate) struct MetricsQuery {
    /// In which the spans begin.
    pub(crate) range: TimeRange,
    /// Which spans. What belongs to their trace counts as theirs.
    pub(crate) filter: SpanFilter,
    /// None for no groups.
    pub(crate) group_by: Vec<Dimension>,
    pub(crate) rank_by: RankBy,
    /// Groups at most, beside that of all others.
    pub(crate) groups_max: usize,
    pub(crate) buckets: Buckets,
}

/// All of some spans, and those of each bucket.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) whole: Cell,
    /// As many as there are buckets.
    pub(crate) buckets: Vec<Cell>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metrics {
    pub(crate) all: Series,
    /// The top groups, the greatest first, with a value for each dimension.
    pub(crate) groups: Vec<(Vec<Option<String>>, Series)>,
    /// All other spans, if there are any.
    pub(crate) other: Option<Series>,
}

/// Measures.
pub(crate) async fn measure(session: &TenantSession, caller: &Caller, query: &MetricsQuery) -> Result<Metrics, Error> {
    let spans = session.priced(session.frame()?.filter(own(caller))?)?;
    let uncounted = Uncounted::among(session, spans.clone()).await?;
    let mut selected = selected(session, caller, query, spans, &uncounted).await?;
    let mut names = Vec::new();
    let mut wanted: Vec<_> = columns().map(col).collect();
    if !query.group_by.is_empty() {
        let labels;
        (labels, names) = top(session, &selected, query).await?;
        selected =
            selected.with_column(GROUP, labels.of_span(query.group_by.iter().map(Dimension::column).collect()))?;
        wanted.push(col(GROUP));
    }
    let counted = session.fold(selected.select(wanted)?, Counted::add).await?;
    let buckets = query.buckets.len();
    Ok(counted.finish(move |parts| Counted::together(parts, names, buckets)).await?)
}

/// The spans, with what each of them is.
async fn selected(
    session: &TenantSession,
    caller: &Caller,
    query: &MetricsQuery,
    spans: DataFrame,
    uncounted: &Uncounted,
) -> Result<DataFrame, Error> {
    let filter = matches(session, &query.filter)?;
    let mut wanted: Vec<_> = query.group_by.iter().filter_map(Dimension::attributed).collect();
    wanted.extend(filter.column_refs().into_iter().filter_map(|column| Attributed::in_column(&column.name)));
    if !wanted.is_empty() || filter != lit(true) || !query.group_by.is_empty() {
        // Users are counted: also of the spans below the one that names them.
        wanted.push(Attributed::User);
    }
    wanted.dedup();
    let mut once: Vec<Attributed> = Vec::new();
    wanted.into_iter().for_each(|one| once.extend((!once.contains(&one)).then_some(one)));
    let in_range = spans.filter(starts_in(query.range))?;
    let spans = attributed(session, caller, in_range, &once)?;
    let spans = scored::spans(session, caller, spans, &query.filter.filter).await?.filter(filter)?;
    let generations = [Kind::LLM, Kind::EMBEDDING].map(text).to_vec();
    let is_request = col("kind").in_list(generations, false).and(uncounted.counts());
    let spans = spans.with_column(IS_CALL, reports().and(uncounted.counts()))?.with_column(IS_REQUEST, is_request)?;
    Ok(spans.with_column(BUCKET, query.buckets.place())?)
}

/// The top groups by number, and their values.
async fn top(
    session: &TenantSession,
    selected: &DataFrame,
    query: &MetricsQuery,
) -> Result<(Labels, Vec<Vec<Option<String>>>), Error> {
    let mut spans = selected.clone();
    if query.group_by.contains(&Dimension::Tag) {
        spans = spans.unnest_columns_with_options(&["tags"], expanding())?;
    }
    let columns: Vec<_> = query.group_by.iter().map(Dimension::column).collect();
    let ranked = spans.aggregate(columns.clone(), vec![rank(query.rank_by)?.alias("rank")])?;
    let by_value = columns.iter().map(|column| column.clone().sort(true, true));
    let sort = std::iter::once(col("rank").sort(false, false)).chain(by_value).collect();
    let ranked = ranked.sort(sort)?.limit(0, Some(query.groups_max))?;
    let (mut labels, mut names) = (Labels::default(), Vec::new());
    for batch in session.collect(ranked).await? {
        let columns = &batch.columns()[..query.group_by.len()];
        labels.add(columns, batch.num_rows())?;
        for row in 0..batch.num_rows() {
            names.push(columns.iter().map(|column| shown(column, row)).collect::<Result<_, _>>()?);
        }
    }
    Ok((labels, names))
}

fn rank(by: RankBy) -> Result<Expr, Error> {
    let of_calls = |column: &str| Ok::<_, Error>(sum(col(column)).filter(col(IS_CALL)).build()?);
    Ok(match by {
        RankBy::Spans => count(lit(1_i64)),
        RankBy::Requests => count(lit(1_i64)).filter(col(IS_REQUEST)).build()?,
        RankBy::Errors => count(lit(1_i64)).filter(col("status").eq(lit(Status::Error.as_i8()))).build()?,
        RankBy::Tokens => coalesce(vec![of_calls("total_tokens")?, lit(0_i64)]),
        RankBy::Cost => of_calls("cost")?,
    })
}

/// Empty lists and missing ones are one null.
fn expanding() -> UnnestOptions {
    UnnestOptions::new().with_null_handling(NullHandling::PreserveAndExpandEmpty)
}
