//! Scores as columns, so that conditions can be held against them.
//!
//! A span has its own scores of a name, else those that its trace was given: who exports the calls of runs that people liked scores
//! the runs. A trace has its own and those of its spans; a session its own beside those of its spans.

use std::collections::BTreeSet;

use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::common::{Column, JoinType};
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions::core::expr_fn::coalesce;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::{avg, count};
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::datafusion::scalar::ScalarValue;
use spanlake_model::{Caller, Condition, Field, Filter, Resource, Test, TraceId};

use super::condition::number_holds;
use crate::error::Error;
use crate::read::columns::text;
use crate::read::row::{texts_of, trace_ids};
use crate::read::scores::{is_about_a, latest, of_traces};
use crate::read::trace_set::is_among;

/// The trace of a score.
const OF_TRACE: &str = "of_trace";

/// What a condition wants to know of scores.
#[derive(Clone, Copy, Debug)]
enum Wanted<'a> {
    /// The mean of this name.
    Mean(&'a str),
    /// Whether the mean of any name passes.
    Any(&'a Test),
}

impl<'a> Wanted<'a> {
    fn of(condition: &'a Condition) -> Option<Self> {
        match &condition.field {
            Field::Score(name) => Some(Self::Mean(name)),
            Field::AnyScore => Some(Self::Any(&condition.test)),
            _ => None,
        }
    }

    /// All that a filter wants, each once, with the columns that it is in.
    fn all(filter: &'a Filter) -> Vec<(String, Self)> {
        let wanted = filter.conditions().filter_map(Self::of).map(|wanted| (wanted.column(), wanted));
        let mut all: Vec<(String, Self)> = Vec::new();
        wanted.for_each(|one| all.extend((!all.iter().any(|(column, _)| *column == one.0)).then_some(one)));
        all
    }

    fn column(self) -> String {
        match self {
            Self::Mean(name) => format!("score {name}"),
            Self::Any(test) => format!("any score {test:?}"),
        }
    }

    /// By what the column says.
    fn holds(self, column: String, condition: &Condition) -> Expr {
        // Unqualified as it is: a name may hold dots and capitals.
        let column = Expr::Column(Column::new_unqualified(column));
        match self {
            Self::Mean(_) => number_holds(&column, &condition.test),
            Self::Any(_) => column,
        }
    }

    /// From these scores a row for each of these keys that has any, in columns that begin with `prefix`: with the mean, or with how many
    /// names pass.
    fn found(self, scores: DataFrame, keys: &[&str], prefix: &str) -> Result<Found, Error> {
        let named = |key: &&str| format!("{prefix}_{key}");
        let columns: Vec<String> = keys.iter().map(named).collect();
        let aliased = || keys.iter().map(|key| col(*key).alias(named(key))).collect::<Vec<_>>();
        let value = format!("{prefix}_value");
        let mean = || avg(col("value")).alias(&value);
        let frame = match self {
            Self::Mean(name) => scores.filter(col("name").eq(text(name)))?.aggregate(aliased(), vec![mean()])?,
            Self::Any(test) => {
                let by_name = scores.aggregate([aliased(), vec![col("name")]].concat(), vec![mean()])?;
                let passing = by_name.filter(number_holds(&col(&value), test))?;
                passing.aggregate(columns.iter().map(col).collect(), vec![count(lit(1_i64)).alias(&value)])?
            }
        };
        Ok(Found { frame, columns, value })
    }

    /// What was found by itself.
    fn settled(self, found: &Found) -> Expr {
        match self {
            Self::Mean(_) => col(&found.value),
            Self::Any(_) => col(&found.value).is_not_null(),
        }
    }

    fn nothing(self) -> Expr {
        match self {
            Self::Mean(_) => lit(ScalarValue::Float64(None)),
            Self::Any(_) => lit(false),
        }
    }
}

/// What scores say by keys.
struct Found {
    frame: DataFrame,
    columns: Vec<String>,
    value: String,
}

impl Found {
    /// The frame with what was found beside its rows. What was found is few, so it is what is held in memory.
    fn beside(self, frame: DataFrame, keys: &[&str]) -> Result<DataFrame, Error> {
        let columns: Vec<_> = self.columns.iter().map(String::as_str).collect();
        Ok(self.frame.join(frame, JoinType::Right, &columns, keys, None)?)
    }
}

/// Whether the condition holds, in a frame that [`spans`] or [`traces`] made; `None` when it asks for no scores.
pub(super) fn holds(condition: &Condition) -> Option<Expr> {
    let wanted = Wanted::of(condition)?;
    Some(wanted.holds(wanted.column(), condition))
}

/// A clause that only scores can satisfy.
fn by_scores(filter: &Filter) -> Option<&[Condition]> {
    let is_said_by_scores = |condition: &Condition| !condition.is_not && Wanted::of(condition).is_some();
    filter.clauses().iter().map(|clause| &**clause).find(|clause| clause.iter().all(is_said_by_scores))
}

/// Whether nothing can fit, since it takes a score and there is none.
pub(in crate::read) fn is_hopeless(session: &TenantSession, filter: &Filter) -> bool {
    by_scores(filter).is_some() && !session.has_scores()
}

/// The traces that may fit by what their scores say, where that decides and they are no more than `most`.
///
/// # Errors
/// As [`spans`].
pub(in crate::read) async fn candidates(
    session: &TenantSession,
    caller: &Caller,
    filter: &Filter,
    most: usize,
) -> Result<Option<Vec<TraceId>>, Error> {
    let Some(clause) = by_scores(filter) else { return Ok(None) };
    let Some(scores) = numbers(session, caller, None).await? else { return Ok(Some(Vec::new())) };
    let mut found = BTreeSet::new();
    for condition in clause {
        let Some(wanted) = Wanted::of(condition) else { return Ok(None) };
        let means = wanted.found(scores.clone(), &["of_trace"], "candidate")?;
        let passing = match wanted {
            Wanted::Mean(_) => means.frame.filter(number_holds(&col(&means.value), &condition.test))?,
            Wanted::Any(_) => means.frame,
        };
        let passing = passing.select(vec![col("candidate_of_trace").alias(OF_TRACE)])?.limit(0, Some(most + 1))?;
        found.extend(trace_ids(session, passing, OF_TRACE).await?);
    }
    Ok((found.len() <= most).then(|| found.into_iter().collect()))
}

/// The spans of the frame, with a column for each thing that the filter wants to know of their scores.
///
/// # Errors
/// When there is such a thing and the session was made without scores.
pub(in crate::read) async fn spans(
    session: &TenantSession,
    caller: &Caller,
    mut frame: DataFrame,
    filter: &Filter,
) -> Result<DataFrame, Error> {
    let all = Wanted::all(filter);
    let numbers = if all.is_empty() { None } else { numbers(session, caller, None).await? };
    for (place, (column, wanted)) in all.into_iter().enumerate() {
        let Some(scores) = numbers.clone() else {
            frame = frame.with_column(&column, wanted.nothing())?;
            continue;
        };
        let own = scores.clone().filter(col("span_id").is_not_null())?;
        let of_trace = scores.filter(col("span_id").is_null())?;
        let hidden = match wanted {
            Wanted::Mean(_) => None,
            Wanted::Any(test) => Some(hidden(&own, &of_trace, test, &format!("hidden_{place}"))?),
        };
        let own = wanted.found(own, &["of_trace", "span_id"], &format!("own_{place}"))?;
        let of_trace = wanted.found(of_trace, &["of_trace"], &format!("traces_{place}"))?;
        let (its_own, its_traces) = (col(&own.value), col(&of_trace.value));
        frame = own.beside(of_trace.beside(frame, &["trace_id"])?, &["trace_id", "span_id"])?;
        let settled = match hidden {
            None => coalesce(vec![its_own, its_traces]),
            Some(hidden) => {
                let or_none = |names: Expr| coalesce(vec![names, lit(0_i64)]);
                let its_traces = or_none(its_traces).gt(or_none(col(&hidden.value)));
                frame = hidden.beside(frame, &["trace_id", "span_id"])?;
                its_own.is_not_null().or(its_traces)
            }
        };
        frame = frame.with_column(&column, settled)?;
    }
    Ok(frame)
}

/// Of each span, how many names pass at its trace that it has scores of its own of.
fn hidden(own: &DataFrame, of_trace: &DataFrame, test: &Test, prefix: &str) -> Result<Found, Error> {
    let [trace, span, name, its_trace, its_name, value] =
        ["trace", "span", "name", "its_trace", "its_name", "value"].map(|column| format!("{prefix}_{column}"));
    let own =
        own.clone().select([col("of_trace").alias(&trace), col("span_id").alias(&span), col("name").alias(&name)])?;
    let keys = vec![col("of_trace").alias(&its_trace), col("name").alias(&its_name)];
    let passing = of_trace.clone().aggregate(keys, vec![avg(col("value")).alias(&value)])?;
    let passing = passing.filter(number_holds(&col(&value), test))?.select([col(&its_trace), col(&its_name)])?;
    let hiding = own.distinct()?.join(passing, JoinType::LeftSemi, &[&trace, &name], &[&its_trace, &its_name], None)?;
    let frame = hiding.aggregate(vec![col(&trace), col(&span)], vec![count(lit(1_i64)).alias(&value)])?;
    Ok(Found { frame, columns: vec![trace, span], value })
}

/// The traces of the frame, which has `trace_id`, of these or of all, likewise.
///
/// # Errors
/// As [`spans`].
pub(in crate::read) async fn traces(
    session: &TenantSession,
    caller: &Caller,
    mut frame: DataFrame,
    filter: &Filter,
    of: Option<&[TraceId]>,
) -> Result<DataFrame, Error> {
    let all = Wanted::all(filter);
    let numbers = if all.is_empty() { None } else { numbers(session, caller, of).await? };
    for (place, (column, wanted)) in all.into_iter().enumerate() {
        let Some(scores) = numbers.clone() else {
            frame = frame.with_column(&column, wanted.nothing())?;
            continue;
        };
        let found = wanted.found(scores, &["of_trace"], &format!("scored_{place}"))?;
        let settled = wanted.settled(&found);
        frame = found.beside(frame, &["trace_id"])?.with_column(&column, settled)?;
    }
    Ok(frame)
}

/// Those of these sessions for which the condition holds by their own scores alone; none when it asks for no scores.
///
/// # Errors
/// As [`spans`].
pub(in crate::read) async fn sessions(
    session: &TenantSession,
    caller: &Caller,
    condition: &Condition,
    sessions: &[String],
) -> Result<Vec<String>, Error> {
    let Some(wanted) = Wanted::of(condition).filter(|_| session.has_scores()) else { return Ok(Vec::new()) };
    let is_listed = col("session_id").in_list(sessions.iter().map(text).collect(), false);
    let own = latest(session, caller, is_about_a(Resource::Session).and(is_listed))?;
    let found = wanted.found(own.filter(col("value").is_not_null())?, &["session_id"], "own")?;
    let passing = match wanted {
        Wanted::Mean(_) => found.frame.filter(number_holds(&col(&found.value), &condition.test))?,
        Wanted::Any(_) => found.frame,
    };
    texts_of(session, passing.select(vec![col("own_session_id").alias("session_id")])?, "session_id").await
}

/// Sessions with scores of their own that are named in a plan, and traces with scores that are held to look spans up by.
const SESSIONS_MAX: usize = 1_000;
const TRACES_MAX: usize = 200_000;

/// What one span of a session must be like so that a condition of this clause, which asks for nothing but scores, may hold for it: of a
/// trace that was scored so, or naming a session that was. `None` where that would be too many to look for.
///
/// # Errors
/// As [`spans`].
pub(in crate::read) async fn necessary(
    session: &TenantSession,
    caller: &Caller,
    clause: &[Condition],
) -> Result<Option<Expr>, Error> {
    session.scores()?;
    let named = |condition: &Condition| match &condition.field {
        Field::Score(name) => col("name").eq(text(name)),
        _ => lit(true),
    };
    let is_named = clause.iter().map(named).reduce(Expr::or).unwrap_or(lit(true));
    let is_so = col("value").is_not_null().and(is_named);
    let each = |scores: DataFrame, id: &str, most: usize| {
        let scores = scores.filter(is_so.clone())?.aggregate(vec![col(id)], vec![count(lit(1_i64)).alias("scores")])?;
        Ok::<_, Error>(scores.limit(0, Some(most + 1))?)
    };
    let traces = each(of_traces(session, caller, None).await?, "of_trace", TRACES_MAX)?;
    let traces = trace_ids(session, traces, "of_trace").await?;
    let own = latest(session, caller, is_about_a(Resource::Session))?;
    let own = texts_of(session, each(own, "session_id", SESSIONS_MAX)?, "session_id").await?;
    let is_few = traces.len() <= TRACES_MAX && own.len() <= SESSIONS_MAX;
    Ok(is_few.then(|| is_among(&traces).or(col("session_id").in_list(own.into_iter().map(text).collect(), false))))
}

/// The scores with a number; `None` when there is no score at all.
async fn numbers(session: &TenantSession, caller: &Caller, of: Option<&[TraceId]>) -> Result<Option<DataFrame>, Error> {
    session.scores()?;
    if !session.has_scores() {
        return Ok(None);
    }
    Ok(Some(of_traces(session, caller, of).await?.filter(col("value").is_not_null())?))
}
