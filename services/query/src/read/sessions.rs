//! Sessions: traces that share a session id, as one row.
//!
//! - A trace belongs to one session, the one its own row names: the root's, else that of its earliest span that has any.
//! - A session is listed when a span that names it began in the range, and shown whole: over all its traces, wherever they began.
//! - It matches a filter when one of its spans does, and in the filter language each condition by one of them; latency, cost and tokens
//!   are its own, and so are the scores that it was given itself, beside those of its spans.
//! - Tokens and cost are summed over calls of providers, each once, also where two traces report one call ([`TenantSession::call_totals`]).

mod by_start;
mod row;

use arrow::array::{AsArray, RecordBatch};
use serde::{Deserialize, Serialize};
use spanlake_engine::datafusion::common::{Column, JoinType};
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions::core::expr_fn::{coalesce, get_field};
use spanlake_engine::datafusion::functions_aggregate::expr_fn::{array_agg, bool_or, count, first_value, max, min};
use spanlake_engine::datafusion::logical_expr::ExprFunctionExt;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::{Named, TenantSession, distinct, starts_in};
use spanlake_model::{Caller, Condition, Field, SpanFilter, Status, TimeRange, Timestamp, TraceId};

pub(crate) use self::row::Session;
use super::columns::{id, own, start_ns, text};
use super::filter::condition::holds;
use super::filter::grouped::{Grouped, TOTALS, add_once, sum_holds};
use super::filter::{conditions, scored};
use super::order::Order;
use super::row::{Row, trace_ids};
use super::sort_key::{Key, least_money};
use super::traces::{end_ns, first_set, is_one_of};
use crate::error::Error;

/// What a list can be sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SortBy {
    #[default]
    Start,
    End,
    Latency,
    Cost,
    Tokens,
    Traces,
}

/// Which sessions.
#[derive(Clone, Debug)]
pub(crate) struct SessionQuery {
    /// In which a span that names it begins.
    pub(crate) range: TimeRange,
    /// With a span like this.
    pub(crate) with_span: SpanFilter,
    pub(crate) sort_by: SortBy,
    pub(crate) order: Order,
    /// Strictly after this place in the order.
    pub(crate) after: Option<Place>,
    pub(crate) limit: usize,
}

/// Where a session stands in the order asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    key: Key,
    id: String,
}

impl Place {
    /// Of a list by start.
    fn began(&self) -> Timestamp {
        match self.key {
            Key::Number(start) => Timestamp::from_nanos(start),
            Key::Money(_) | Key::Text(_) => Timestamp::from_nanos(i64::MIN),
        }
    }
}

/// Where a trace stands in the timeline of its session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moment(Timestamp, TraceId);

/// Of one page, in order, and whether more follow.
#[derive(Debug)]
pub(crate) struct Chosen<T> {
    pub(crate) places: Vec<T>,
    pub(crate) has_more: bool,
}

impl Chosen<Place> {
    pub(crate) fn ids(&self) -> Vec<String> {
        self.places.iter().map(|place| place.id.clone()).collect()
    }
}

impl Chosen<Moment> {
    pub(crate) fn ids(&self) -> Vec<TraceId> {
        self.places.iter().map(|Moment(_, trace)| *trace).collect()
    }
}

/// Names a span's session in joined frames: that of its trace.
const SESSION: &str = "session";
/// Names the trace on the other side of a join.
const OF_TRACE: &str = "of_trace";

/// Sessions, and traces of them, that are looked up by their ids; more are found by reading all.
const LOOKED_UP_MAX: usize = 1_000;

/// Which sessions the page holds. Newest first they are found part by part of the range, as far as the page needs. In any other order:
/// those that the range names, then one aggregate by session, then Top-K.
pub(crate) async fn choose(
    session: &TenantSession,
    caller: &Caller,
    query: &SessionQuery,
) -> Result<Chosen<Place>, Error> {
    if scored::is_hopeless(session, &query.with_span.filter) {
        return Ok(Chosen { places: Vec::new(), has_more: false });
    }
    if let (SortBy::Start, Order::NewestFirst) = (query.sort_by, query.order)
        && let Some(chosen) = by_start::choose(session, caller, query).await?
    {
        return Ok(chosen);
    }
    let in_range = named(session.frame()?, caller)?.filter(starts_in(query.range))?;
    let Some(listed) = names(session, in_range, LOOKED_UP_MAX).await? else {
        return ranked(session, caller, query, None, query.limit).await;
    };
    if listed.is_empty() {
        return Ok(Chosen { places: Vec::new(), has_more: false });
    }
    ranked(session, caller, query, Some(&listed), query.limit).await
}

async fn ranked(
    session: &TenantSession,
    caller: &Caller,
    query: &SessionQuery,
    listed: Option<&[String]>,
    limit: usize,
) -> Result<Chosen<Place>, Error> {
    let matched = conditions(&query.with_span);
    let filter = &query.with_span.filter;
    let asked = Grouped::of(session, filter, |condition, columns| match &condition.field {
        Field::Known(known) => Ok(sum_holds(session, known, &condition.test, columns)),
        Field::Metadata(_) => Ok(None),
        Field::Score(_) | Field::AnyScore => of_scores(session, condition, columns),
    })?;
    let names_it = col("session_id").eq(col(SESSION)).and(starts_in(query.range));
    let mut needed = sort_columns(session, query.sort_by);
    needed.push(bool_or(names_it).alias("is_in_range"));
    add_once(&mut needed, asked.columns);
    needed.extend(matched.iter().enumerate().map(|(place, like)| bool_or(like.clone()).alias(format!("like_{place}"))));
    let is_wanted =
        (0..matched.len()).fold(col("is_in_range"), |wanted, place| wanted.and(col(format!("like_{place}"))));
    let is_wanted = asked.wanted.into_iter().fold(is_wanted, Expr::and);
    let spans = scored::spans(session, caller, members(session, caller, listed).await?, filter).await?;
    let sessions = spans.aggregate(vec![col(SESSION)], needed)?;
    let sessions = scored::sessions(session, caller, sessions, filter, SESSION)?.filter(is_wanted)?;
    let keyed = sessions.select(vec![sort_key(query.sort_by).alias("key"), col(SESSION)])?;
    let keyed = match &query.after {
        Some(place) => keyed.filter(beyond(place, query.order))?,
        None => keyed,
    };
    let sort = ["key", SESSION].map(|key| col(key).sort(query.order.is_ascending(), false));
    page(session, keyed.sort(sort.to_vec())?, limit, read_places).await
}

/// Whether one of the spans has such a score, or the session itself.
fn of_scores(session: &TenantSession, condition: &Condition, columns: &mut Vec<Expr>) -> Result<Option<Expr>, Error> {
    let column = format!("scored {condition:?}");
    columns.push(bool_or(holds(session, condition)?).alias(&column));
    let of_spans = Expr::Column(Column::new_unqualified(column));
    Ok(scored::of_session(condition).map(|of_session| of_spans.or(of_session)))
}

/// The rows of these sessions, in the order of their ids here; sessions without any trace are left out.
pub(crate) async fn describe(session: &TenantSession, caller: &Caller, ids: &[String]) -> Result<Vec<Session>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let newest = ["start_time", "start_nanos", "span_id"].map(|key| col(key).sort(false, false)).to_vec();
    let name = first_value(col("session_name"), vec![]).order_by(newest).filter(col("session_name").is_not_null());
    let failed = col("status").eq(lit(Status::Error.as_i8()));
    let all_of = |column: &str| array_agg(col(column)).distinct().filter(col(column).is_not_null()).build();
    let columns = vec![
        name.build()?.alias("name"),
        min(start_ns()).alias("start_ns"),
        max(end_ns()).alias("end_ns"),
        distinct(col("trace_id")).alias("trace_count"),
        count(lit(1_i64)).alias("span_count"),
        count(lit(1_i64)).filter(failed).build()?.alias("error_count"),
        session.call_totals().alias(TOTALS),
        all_of("user_id")?.alias("user_ids"),
        all_of("model")?.alias("models"),
        all_of("environment")?.alias("environments"),
        array_agg(col("tags")).distinct().build()?.alias("tags"),
    ];
    let mut described = members(session, caller, Some(ids)).await?.aggregate(vec![col(SESSION)], columns)?;
    for total in ["cost", "total_tokens", "input_tokens", "output_tokens"] {
        described = described.with_column(total, get_field(col(TOTALS), total))?;
    }
    let mut sessions = Vec::new();
    for batch in session.collect(described).await? {
        for row in Row::all(&batch) {
            sessions.push(Session::read(&row)?);
        }
    }
    sessions.sort_by_key(|session| ids.iter().position(|id| *id == session.id));
    Ok(sessions)
}

/// The traces of a session after a moment, oldest first unless ordered otherwise.
pub(crate) async fn timeline(
    session: &TenantSession,
    caller: &Caller,
    id_of: &str,
    order: Order,
    after: Option<&Moment>,
    limit: usize,
) -> Result<Chosen<Moment>, Error> {
    let of_session = members(session, caller, Some(&[id_of.to_owned()])).await?;
    let traces = of_session.aggregate(vec![col("trace_id")], vec![min(start_ns()).alias("key")])?;
    let traces = traces.select(vec![col("key"), col("trace_id")])?;
    let traces = match after {
        Some(Moment(start, trace)) => {
            let key = lit(start.as_nanos());
            let later_trace = order.beyond(col("trace_id"), id(trace.as_bytes()));
            traces.filter(order.beyond(col("key"), key.clone()).or(col("key").eq(key).and(later_trace)))?
        }
        None => traces,
    };
    let sort = ["key", "trace_id"].map(|key| col(key).sort(order.is_ascending(), false));
    page(session, traces.sort(sort.to_vec())?, limit, read_moments).await
}

/// Spans that name a session.
fn named(spans: DataFrame, caller: &Caller) -> Result<DataFrame, Error> {
    Ok(spans.filter(own(caller).and(col("session_id").is_not_null()))?)
}

/// The sessions that these spans name, unless they are more than `most`.
async fn names(session: &TenantSession, spans: DataFrame, most: usize) -> Result<Option<Vec<String>>, Error> {
    let names = spans.select(vec![col("session_id")])?.distinct()?.limit(0, Some(most + 1))?;
    let mut listed = Vec::new();
    for batch in session.collect(names).await? {
        let names = batch.column(0).as_string_view_opt().ok_or(Error::Column("session_id"))?;
        listed.extend(names.iter().flatten().map(str::to_owned));
    }
    Ok((listed.len() <= most).then_some(listed))
}

/// Each trace that belongs to a session, and which; `naming` are its spans that name any.
fn membership(naming: DataFrame) -> Result<DataFrame, Error> {
    let own_session = first_set(col("session_id"), col("session_id").is_not_null())?.alias(SESSION);
    let traces = naming.aggregate(vec![col("trace_id")], vec![own_session])?;
    Ok(traces.select(vec![col("trace_id").alias(OF_TRACE), col(SESSION)])?)
}

fn is_listed(column: &str, ids: &[String]) -> Expr {
    col(column).in_list(ids.iter().map(text).collect(), false)
}

/// All spans of all traces of these sessions, or of all, priced, with their [`SESSION`].
async fn members(session: &TenantSession, caller: &Caller, listed: Option<&[String]>) -> Result<DataFrame, Error> {
    let (spans, traces) = match listed {
        None => (session.frame()?, membership(named(session.frame()?, caller)?)?),
        Some(ids) => of_listed(session, caller, ids).await?,
    };
    let spans = session.priced(spans.filter(own(caller))?)?;
    // Traces with their sessions are fewer than spans, so they are what is held in memory.
    Ok(traces.join(spans, JoinType::Inner, &[OF_TRACE], &["trace_id"], None)?)
}

/// Spans among which are all of these sessions', and which traces those are. Where the traces are few, only files that hold one of them
/// are read. A trace that one of the sessions is named by may belong to another: all its names are looked at.
async fn of_listed(session: &TenantSession, caller: &Caller, ids: &[String]) -> Result<(DataFrame, DataFrame), Error> {
    let near = session.near_named(Named::Session, ids).await?;
    let naming = named(near.frame()?, caller)?.filter(is_listed("session_id", ids))?;
    let naming = naming.select(vec![col("trace_id").alias(OF_TRACE)])?.distinct()?;
    let few = trace_ids(session, naming.clone().limit(0, Some(LOOKED_UP_MAX + 1))?, OF_TRACE).await?;
    let (spans, names) = if few.len() <= LOOKED_UP_MAX {
        let near = session.near(&few).await?;
        let spans = near.frame()?.filter(is_one_of(&few))?;
        (spans.clone(), named(spans, caller)?)
    } else {
        let names = named(session.frame()?, caller)?;
        (session.frame()?, naming.join(names, JoinType::RightSemi, &[OF_TRACE], &["trace_id"], None)?)
    };
    Ok((spans, membership(names)?.filter(is_listed(SESSION, ids))?))
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

fn beyond(place: &Place, order: Order) -> Expr {
    let key = place.key.literal();
    let later = order.beyond(col(SESSION), text(&place.id));
    order.beyond(col("key"), key.clone()).or(col("key").eq(key).and(later))
}

/// One page of what is sorted.
async fn page<T>(
    session: &TenantSession,
    sorted: DataFrame,
    limit: usize,
    read: impl Fn(&RecordBatch) -> Result<Vec<T>, Error>,
) -> Result<Chosen<T>, Error> {
    let mut places = Vec::new();
    for batch in session.collect(sorted.limit(0, Some(limit.saturating_add(1)))?).await? {
        places.extend(read(&batch)?);
    }
    let has_more = places.len() > limit;
    places.truncate(limit);
    Ok(Chosen { places, has_more })
}

fn read_places(batch: &RecordBatch) -> Result<Vec<Place>, Error> {
    let ids = batch.column(1).as_string_view_opt().ok_or(Error::Column(SESSION))?;
    let key = |row| Key::read(batch.column(0), row).ok_or(Error::Column("key"));
    (0..batch.num_rows()).map(|row| Ok(Place { key: key(row)?, id: ids.value(row).to_owned() })).collect()
}

fn read_moments(batch: &RecordBatch) -> Result<Vec<Moment>, Error> {
    let moment = |row: Row<'_>| Ok(Moment(Timestamp::from_nanos(row.required("key")?), row.trace("trace_id")?));
    Row::all(batch).map(moment).collect()
}
