//! Sessions held against all that a query asks, one aggregate over all their spans.

use spanlake_engine::datafusion::functions::core::expr_fn::{coalesce, get_field};
use spanlake_engine::datafusion::functions_aggregate::expr_fn::{bool_or, max, min};
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::{TenantSession, distinct, starts_in};
use spanlake_model::{Caller, Condition, Field};

use super::whole::{Whole, portions};
use super::{SESSION, SessionQuery, SortBy, Standing};
use crate::error::Error;
use crate::read::columns::{start_ns, text};
use crate::read::filter::condition::holds;
use crate::read::filter::grouped::{Grouped, TOTALS, add_once, sum_holds};
use crate::read::filter::{conditions, scored};
use crate::read::row::Row;
use crate::read::sort_key::{Key, least_money};
use crate::read::traces::end_ns;

/// Those of these sessions that fit, and where they stand; in no order.
pub(super) async fn fitting(
    session: &TenantSession,
    caller: &Caller,
    query: &SessionQuery,
    ids: &[String],
) -> Result<Vec<Standing>, Error> {
    let mut standings = Vec::new();
    for portion in portions(session, caller, ids).await? {
        let whole = portion.whole(session, caller).await?;
        standings.extend(fitting_of(&whole, caller, query, ids).await?);
    }
    Ok(standings)
}

async fn fitting_of(
    whole: &Whole,
    caller: &Caller,
    query: &SessionQuery,
    ids: &[String],
) -> Result<Vec<Standing>, Error> {
    let Some(spans) = whole.spans()? else { return Ok(Vec::new()) };
    let (session, filter) = (whole.near(), &query.with_span.filter);
    let own_scores = OwnScores::of(session, caller, query, ids).await?;
    let asked = Grouped::of(session, filter, |condition, columns| match &condition.field {
        Field::Known(known) => Ok(sum_holds(session, known, &condition.test, columns)),
        Field::Metadata(_) => Ok(None),
        Field::Score(_) | Field::AnyScore => own_scores.or_of_a_span(session, condition, columns).map(Some),
    })?;
    let names_it = col("session_id").eq(col(SESSION)).and(starts_in(query.range));
    let mut needed = sort_columns(session, query.sort_by);
    needed.push(bool_or(names_it).alias("is_in_range"));
    add_once(&mut needed, asked.columns);
    let mut wanted = vec![col("is_in_range")];
    for (place, like) in conditions(&query.with_span).into_iter().enumerate() {
        let column = format!("like_{place}");
        needed.push(bool_or(like).alias(&column));
        wanted.push(col(column));
    }
    let is_wanted = wanted.into_iter().chain(asked.wanted).reduce(Expr::and).unwrap_or(lit(true));
    let spans = scored::spans(session, caller, spans, filter).await?;
    let sessions = spans.aggregate(vec![col(SESSION)], needed)?.filter(is_wanted)?;
    let keyed = sessions.select(vec![sort_key(query.sort_by).alias("key"), col(SESSION)])?;
    let mut standings = Vec::new();
    for batch in session.collect(keyed).await? {
        for row in Row::all(&batch) {
            let amount = Key::read(batch.column(0), row.place()).and_then(|key| key.amount());
            let id = row.text(SESSION)?.ok_or(Error::Column(SESSION))?;
            standings.push(Standing { amount: amount.ok_or(Error::Column("key"))?, id });
        }
    }
    Ok(standings)
}

/// For each condition on scores, the sessions that pass by scores of their own.
struct OwnScores<'a>(Vec<(&'a Condition, Vec<String>)>);

impl<'a> OwnScores<'a> {
    async fn of(
        session: &TenantSession,
        caller: &Caller,
        query: &'a SessionQuery,
        ids: &[String],
    ) -> Result<Self, Error> {
        let mut passing = Vec::new();
        for condition in query.with_span.filter.conditions() {
            if matches!(condition.field, Field::Score(_) | Field::AnyScore) {
                passing.push((condition, scored::sessions(session, caller, condition, ids).await?));
            }
        }
        Ok(Self(passing))
    }

    /// The session passes by its own scores, or one of its spans does.
    fn or_of_a_span(
        &self,
        session: &TenantSession,
        condition: &Condition,
        columns: &mut Vec<Expr>,
    ) -> Result<Expr, Error> {
        let place = self.0.iter().position(|(one, _)| std::ptr::eq(*one, condition));
        let column = format!("scored_{}", place.unwrap_or_default());
        columns.push(bool_or(holds(session, condition)?).alias(&column));
        let passing: Vec<_> = place.into_iter().flat_map(|place| &self.0[place].1).map(text).collect();
        Ok(col(column).or(col(SESSION).in_list(passing, false)))
    }
}

/// The aggregates that a sort needs.
fn sort_columns(session: &TenantSession, by: SortBy) -> Vec<Expr> {
    let (start, end) = (min(start_ns()).alias("start_ns"), max(end_ns()).alias("end_ns"));
    match by {
        SortBy::Start => vec![start],
        SortBy::End => vec![end],
        SortBy::Latency => vec![start, end],
        SortBy::Cost | SortBy::Tokens => vec![session.call_totals().alias(TOTALS)],
        SortBy::Traces => vec![distinct(col("trace_id")).alias("trace_count")],
    }
}

/// What is sorted by; what is unknown is less than all that is known.
fn sort_key(by: SortBy) -> Expr {
    let or_least = |value: Expr| coalesce(vec![value, lit(i64::MIN)]);
    match by {
        SortBy::Start => col("start_ns"),
        SortBy::End => or_least(col("end_ns")),
        SortBy::Latency => or_least(col("end_ns") - col("start_ns")),
        SortBy::Cost => coalesce(vec![get_field(col(TOTALS), "cost"), least_money()]),
        SortBy::Tokens => or_least(get_field(col(TOTALS), "total_tokens")),
        SortBy::Traces => col("trace_count"),
    }
}
