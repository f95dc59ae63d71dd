//! The spans of a piece of the snapshot, or of what is left, measured by themselves.

use std::sync::Arc;

use spanlake_engine::datafusion::common::{NullHandling, UnnestOptions};
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions::core::expr_fn::coalesce;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::{count, sum};
use spanlake_engine::datafusion::logical_expr::ExprFunctionExt;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::{Pieces, Uncounted, reports, starts_in};
use spanlake_model::{Caller, Kind, Status};

use super::buckets::Buckets;
use super::counted::Counted;
use super::dimension::Dimension;
use super::labels::Labels;
use super::ranks::Ranks;
use super::rows::{BUCKET, GROUP, IS_CALL, IS_REQUEST, columns};
use super::summed::Summed;
use super::{MetricsQuery, RankBy};
use crate::error::Error;
use crate::read::attribution::{Attributed, attributed};
use crate::read::columns::{own, text};
use crate::read::filter::{matches, scored};
use crate::read::pieces;

/// Some of the traces.
pub(super) struct Part<'q> {
    of: pieces::Part<'q>,
    caller: &'q Caller,
    query: &'q MetricsQuery,
    /// Those that its spans may be in.
    buckets: Buckets,
    /// The first of them is this one of the query.
    first: usize,
}

impl<'q> Part<'q> {
    pub(super) fn all(pieces: &'q Pieces, caller: &'q Caller, query: &'q MetricsQuery) -> Vec<Self> {
        let part = |of: pieces::Part<'q>| {
            let whole = || (0, query.buckets.clone());
            let (first, buckets) = of.range().map_or_else(whole, |range| query.buckets.around(range));
            Self { of, caller, query, buckets, first }
        };
        pieces::Part::all(pieces, caller).into_iter().map(part).collect()
    }

    /// What each group has of what groups are ranked by.
    pub(super) async fn ranks(&self) -> Result<Arc<Ranks>, Error> {
        let settle = async {
            let mut spans = self.selected().await?;
            if self.query.group_by.contains(&Dimension::Tag) {
                spans = spans.unnest_columns_with_options(&["tags"], expanding())?;
            }
            let columns = self.query.group_by.iter().map(Dimension::column).collect();
            let ranked = spans.aggregate(columns, vec![rank(self.query.rank_by)?.alias("rank")])?;
            let ranks = self.of.session.fold(ranked, Ranks::add).await?;
            let together = |parts: Vec<Ranks>| {
                let mut parts = parts.into_iter();
                let first = parts.next().unwrap_or_default();
                parts.fold(first, |mut ranks, part| {
                    ranks.merge(&part);
                    ranks
                })
            };
            let ranks = ranks.finish(together).await?;
            let bytes = ranks.held();
            Ok((ranks, bytes))
        };
        let asked = format!("ranks by {:?} of {:?}", self.query.rank_by, self.selection());
        self.of.remembered(asked, settle).await
    }

    /// What its spans came to, and the number of the first bucket they may be in.
    pub(super) async fn summed(&self, labels: &Labels) -> Result<(usize, Arc<Summed>), Error> {
        let has_groups = !self.query.group_by.is_empty();
        let settle = async {
            let mut spans = self.selected().await?.with_column(BUCKET, self.buckets.place())?;
            let mut wanted: Vec<_> = columns().map(col).collect();
            if has_groups {
                let dimensions = self.query.group_by.iter().map(Dimension::column).collect();
                spans = spans.with_column(GROUP, labels.clone().of_span(dimensions))?;
                wanted.push(col(GROUP));
            }
            let counted = self.of.session.fold(spans.select(wanted)?, Counted::add).await?;
            let summed = counted.finish(move |parts| Summed::of(parts, has_groups)).await?;
            let bytes = summed.held();
            Ok((summed, bytes))
        };
        let asked = format!("cells in {:?} of groups {} of {:?}", self.buckets, labels.hash(), self.selection());
        Ok((self.first, self.of.remembered(asked, settle).await?))
    }

    /// All that decides which spans are looked at, and how.
    fn selection(&self) -> impl std::fmt::Debug {
        (&self.query.filter, &self.query.group_by)
    }

    /// The spans, with what each of them is.
    async fn selected(&self) -> Result<DataFrame, Error> {
        let (session, caller, query) = (self.of.session, self.caller, self.query);
        let mut spans = session.priced(session.frame()?.filter(own(caller))?)?;
        let uncounted = self.uncounted(&spans).await?;
        let filter = matches(session, &query.filter)?;
        if self.of.range().is_none() {
            spans = spans.filter(starts_in(query.range))?;
        }
        let spans = attributed(session, caller, spans, &needed(query, &filter))?;
        let spans = scored::spans(session, caller, spans, &query.filter.filter).await?.filter(filter)?;
        let generations = [Kind::LLM, Kind::EMBEDDING].map(text).to_vec();
        let is_request = col("kind").in_list(generations, false).and(uncounted.counts());
        let spans = spans.with_column(IS_CALL, reports().and(uncounted.counts()))?;
        Ok(spans.with_column(IS_REQUEST, is_request)?)
    }

    /// Whose usage repeats others', of spans that are not filtered yet. The same whatever is asked.
    async fn uncounted(&self, spans: &DataFrame) -> Result<Arc<Uncounted>, Error> {
        let settle = async {
            let uncounted = Uncounted::among(self.of.session, spans.clone()).await?;
            Ok(if self.of.range().is_some() { uncounted.kept() } else { (uncounted, 0) })
        };
        self.of.remembered("whose usage repeats others'".to_owned(), settle).await
    }
}

/// What spans have from their traces that the query wants to know.
fn needed(query: &MetricsQuery, filter: &Expr) -> Vec<Attributed> {
    let mut wanted: Vec<_> = query.group_by.iter().filter_map(Dimension::attributed).collect();
    wanted.extend(filter.column_refs().into_iter().filter_map(|column| Attributed::in_column(&column.name)));
    if !wanted.is_empty() || *filter != lit(true) || !query.group_by.is_empty() {
        // Users are counted: also of the spans below the one that names them.
        wanted.push(Attributed::User);
    }
    let mut once: Vec<Attributed> = Vec::new();
    wanted.into_iter().for_each(|one| once.extend((!once.contains(&one)).then_some(one)));
    once
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
