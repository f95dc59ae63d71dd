//! Traces: all spans of one trace id, as one row.
//!
//! A page is made in two steps over one snapshot: [`choose`] finds which traces it holds, reading only the columns that
//! the filter and the order need; [`describe`] then reads the rest for those few. The choice of plan is in `choose` alone.
//!
//! - The root is the earliest span without a parent; while there is none (it is late, or lives elsewhere), the earliest span.
//! - What belongs to the whole trace (name, user, session, environment) is the root's, else that of the earliest span
//!   that has it.
//! - Tokens and cost are summed over calls of providers, each once ([`TenantSession::call_totals`]).
//! - A trace matches a filter when one of its spans does; `name` and `status` are held against the trace's own.

mod by_start;
mod filtered;
mod most;
mod row;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions::core::expr_fn::{coalesce, get_field};
use spanlake_engine::datafusion::functions_aggregate::expr_fn::{array_agg, bool_or, count, first_value, max, min};
use spanlake_engine::datafusion::logical_expr::{ExprFunctionExt, SortExpr, cast, when};
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::{TenantSession, joined, microsecond, starts_in_any};
use spanlake_model::{Caller, Filter, Kind, SpanFilter, Status, TimeRange, Trace, TraceId};

use super::columns::{id, own, start_ns, text};
use super::filter::grouped::{TOTALS, add_once};
use super::filter::{conditions, scored};
use super::order::Order;
use super::pieces::{Part, of_each};
use super::row::Row;
use super::sort_key::{Key, SortBy, least_money};
use super::{logs, scores};
use crate::error::Error;

/// Which traces.
#[derive(Clone, Debug)]
pub(crate) struct TraceQuery {
    /// Whose first span starts in this range.
    pub(crate) range: TimeRange,
    /// With a span like this; its name and status are ignored.
    pub(crate) with_span: SpanFilter,
    pub(crate) name: Option<String>,
    pub(crate) status: Option<Status>,
    pub(crate) sort_by: SortBy,
    pub(crate) order: Order,
    /// Strictly after this place in the order.
    pub(crate) after: Option<Place>,
    pub(crate) limit: usize,
}

/// Where a trace stands in the order asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    key: Key,
    trace: TraceId,
}

/// A trace that fits, and when its first and its last span begin, in nanoseconds.
#[derive(Clone, Debug)]
struct Found {
    place: Place,
    first_ns: i64,
    last_ns: i64,
}

/// Ranges of a page's traces that lie closer together than this are one.
const GAP: Duration = Duration::from_secs(60);
/// Ranges of a page at most.
const RANGES_MAX: usize = 64;

/// The traces of one page, in order, and whether more follow.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) places: Vec<Place>,
    pub(crate) has_more: bool,
    /// Each of their spans starts in one of them.
    pub(crate) ranges: Vec<TimeRange>,
}

impl Found {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.place.key.bytes()
    }

    /// In which all its spans begin.
    fn range(&self) -> Option<TimeRange> {
        // Whole microseconds make for shorter conditions.
        let micros = |nanos: i64| nanos.div_euclid(1_000);
        let end = microsecond(micros(self.last_ns)).end();
        TimeRange::new(microsecond(micros(self.first_ns)).start(), end).ok()
    }
}

impl Place {
    fn compared(&self, other: &Self, order: Order) -> Ordering {
        let compared = self.key.compared(&other.key).then_with(|| self.trace.cmp(&other.trace));
        if order.is_ascending() { compared } else { compared.reverse() }
    }
}

impl Chosen {
    pub(crate) fn ids(&self) -> Vec<TraceId> {
        self.places.iter().map(|place| place.trace).collect()
    }
}

/// Which traces the page holds. By start they are found part by part of the range, as far as the page needs. Any other order needs all
/// traces of the range: the first of each piece of the snapshot, which is remembered, and of these the first.
pub(crate) async fn choose(session: &TenantSession, caller: &Caller, query: &TraceQuery) -> Result<Chosen, Error> {
    if scored::is_hopeless(session, &query.with_span.filter) {
        return Ok(Chosen::of(Vec::new(), query.limit));
    }
    if query.sort_by == SortBy::Start
        && let Some(chosen) = by_start::choose(session, caller, query).await?
    {
        return Ok(chosen);
    }
    // A score may be about anything, and come at any time.
    let pieces = match query.with_span.filter.asks_for_scores() {
        true => session.whole(),
        false => session.pieces(Some(query.range)).await?,
    };
    let parts = Part::all(&pieces, caller);
    let found = of_each(parts.iter().map(|part| first_of(part, caller, query)).collect()).await?;
    let mut found: Vec<Found> = found.iter().flat_map(|found| found.iter().cloned()).collect();
    found.sort_by(|one, other| one.place.compared(&other.place, query.order));
    Ok(Chosen::of(found, query.limit))
}

/// The first traces of a part, one more than a page.
async fn first_of(part: &Part<'_>, caller: &Caller, query: &TraceQuery) -> Result<Arc<Vec<Found>>, Error> {
    // All traces of a piece are in the range.
    let TraceQuery { range: _, with_span, name, status, sort_by, order, after, limit } = query;
    let asked =
        format!("first {limit} traces by {sort_by:?} {order:?} after {after:?}: {name:?} {status:?} {with_span:?}");
    let settle = async {
        let found = first(part.session, caller, query).await?;
        let bytes = found.iter().map(Found::bytes).sum();
        Ok((found, bytes))
    };
    part.remembered(asked, settle).await
}

/// As [`find`] of one more than a page; those with the most cost or tokens by sums that are cheaper than the exact ones.
async fn first(session: &TenantSession, caller: &Caller, query: &TraceQuery) -> Result<Vec<Found>, Error> {
    if let (SortBy::Cost | SortBy::Tokens, Order::NewestFirst) = (query.sort_by, query.order)
        && let Some(found) = most::first(session, caller, query).await?
    {
        return Ok(found);
    }
    find(session, caller, query, None, query.limit.saturating_add(1)).await
}

impl Chosen {
    /// The first of these, which are more than `limit` when more follow.
    fn of(mut found: Vec<Found>, limit: usize) -> Self {
        let has_more = found.len() > limit;
        found.truncate(limit);
        let ranges = joined(found.iter().filter_map(Found::range).collect(), GAP, RANGES_MAX);
        Self { places: found.into_iter().map(|found| found.place).collect(), has_more, ranges }
    }
}

/// The first `limit` traces of the query, of these traces or of all: one aggregate by trace id over the snapshot, then Top-K.
async fn find(
    session: &TenantSession,
    caller: &Caller,
    query: &TraceQuery,
    of: Option<&[TraceId]>,
    limit: usize,
) -> Result<Vec<Found>, Error> {
    let fitting = Fitting::of(session, query, sort_columns(session, query.sort_by)?)?;
    let traces = fitting.traces(session, caller, of).await?;
    let key = sort_key(query.sort_by)?.alias("key");
    let keyed = traces.select(vec![key, col("trace_id"), col("start_ns"), col("last_ns")])?;
    let keyed = match &query.after {
        Some(place) => keyed.filter(beyond(place, query.order))?,
        None => keyed,
    };
    let sort = ["key", "trace_id"].map(|key| col(key).sort(query.order.is_ascending(), false));
    let page = keyed.sort(sort.to_vec())?.limit(0, Some(limit))?;
    let mut found = Vec::new();
    for batch in session.collect(page).await? {
        found.extend(read_found(&batch)?);
    }
    Ok(found)
}

/// Traces of a query as rows, with columns of their own; which page they are on is another matter.
pub(super) struct Fitting<'a> {
    columns: Vec<Expr>,
    /// What it asks of scores stands in columns as well.
    filter: &'a Filter,
    wanted: Expr,
}

impl<'a> Fitting<'a> {
    pub(super) fn of(session: &TenantSession, query: &'a TraceQuery, extra: Vec<Expr>) -> Result<Self, Error> {
        let filter = &query.with_span.filter;
        let mut fitting = Self { columns: Vec::new(), filter, wanted: in_range(query.range) };
        fitting.needs([min(start_ns()).alias("start_ns"), max(start_ns()).alias("last_ns")]);
        fitting.needs(extra);
        for (place, like) in row_conditions(query).into_iter().enumerate() {
            let column = format!("like_{place}");
            fitting.needs([bool_or(like).alias(&column)]);
            fitting.wants(col(column));
        }
        if let Some(name) = &query.name {
            fitting.needs(names()?);
            fitting.wants(name_of_trace().eq(text(name)));
        }
        if let Some(status) = query.status {
            fitting.needs(statuses()?);
            fitting.wants(rank_of_status()?.eq(lit(rank(status))));
        }
        let asked = filtered::asked(session, filter)?;
        fitting.needs(asked.columns);
        asked.wanted.into_iter().for_each(|clause| fitting.wants(clause));
        Ok(fitting)
    }

    /// Adds columns, each once.
    fn needs(&mut self, columns: impl IntoIterator<Item = Expr>) {
        add_once(&mut self.columns, columns);
    }

    fn wants(&mut self, condition: Expr) {
        self.wanted = std::mem::take(&mut self.wanted).and(condition);
    }

    /// Of these traces, or of all.
    async fn traces(
        self,
        session: &TenantSession,
        caller: &Caller,
        of: Option<&[TraceId]>,
    ) -> Result<DataFrame, Error> {
        Ok(self.all(session, caller, of, lit(true)).await?.filter(self.wanted)?)
    }

    /// Likewise of those with a span like this, whether they are wanted or not: the column `fits` says so.
    pub(super) async fn marked(
        self,
        session: &TenantSession,
        caller: &Caller,
        of: Option<&[TraceId]>,
        like: Expr,
    ) -> Result<DataFrame, Error> {
        let traces = self.all(session, caller, of, like).await?;
        Ok(traces.with_column("fits", coalesce(vec![self.wanted, lit(false)]))?)
    }

    async fn all(
        &self,
        session: &TenantSession,
        caller: &Caller,
        of: Option<&[TraceId]>,
        like: Expr,
    ) -> Result<DataFrame, Error> {
        let spans = of.map_or_else(|| own(caller), |traces| own(caller).and(is_one_of(traces)));
        let spans = session.priced(session.frame()?.filter(spans.and(like))?)?;
        let traces = spans.aggregate(vec![col("trace_id")], self.columns.clone())?;
        scored::traces(session, caller, traces, self.filter, of).await
    }
}

/// Traces that begin in it.
fn in_range(range: TimeRange) -> Expr {
    let begun = col("start_ns").gt_eq(lit(range.start().as_nanos()));
    begun.and(col("start_ns").lt(lit(range.end().as_nanos())))
}

/// What one span of a trace must be like, beside the filter language; each may be another span.
fn row_conditions(query: &TraceQuery) -> Vec<Expr> {
    conditions(&SpanFilter { name: None, status: None, ..query.with_span.clone() })
}

pub(crate) fn is_one_of(traces: &[TraceId]) -> Expr {
    col("trace_id").in_list(traces.iter().map(|trace| id(trace.as_bytes())).collect(), false)
}

/// The rows of these traces, each of whose spans starts in one of `ranges`, in the order of their ids here; traces that are not there
/// are left out.
pub(crate) async fn describe(
    session: &TenantSession,
    caller: &Caller,
    ids: &[TraceId],
    ranges: &[TimeRange],
) -> Result<Vec<Trace>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let session = &session.near(ids).await?;
    let mut spans = session.frame()?.filter(own(caller).and(is_one_of(ids)))?;
    if ranges != [TimeRange::all()] {
        spans = spans.filter(starts_in_any(ranges))?;
    }
    let spans = session.priced(spans)?;
    let mut traces = Vec::new();
    for batch in session.collect(described(session, spans)?).await? {
        traces.extend(row::read(&batch)?);
    }
    logs::fill_previews(session, caller, &mut traces).await?;
    let mut means = scores::means(session, caller, ids).await?;
    for trace in &mut traces {
        trace.scores = means.remove(&trace.id).unwrap_or_default();
    }
    let places: HashMap<&TraceId, usize> = ids.iter().enumerate().map(|(place, id)| (id, place)).collect();
    traces.sort_by_key(|trace: &Trace| places.get(&trace.id).copied());
    Ok(traces)
}

fn described(session: &TenantSession, spans: DataFrame) -> Result<DataFrame, Error> {
    let newest = || vec![col("start_time").sort(false, false), col("start_nanos").sort(false, false)];
    let oldest = || vec![col("start_time").sort(true, false), col("start_nanos").sort(true, false)];
    let of_llm = |column: &str, order: Vec<SortExpr>| {
        let set = col("kind").eq(text(Kind::LLM)).and(col(column).is_not_null());
        first_value(col(column), vec![]).order_by(order).filter(set).build()
    };
    let mut columns = vec![
        min(start_ns()).alias("start_ns"),
        max(end_ns()).alias("end_ns"),
        count(lit(1_i64)).alias("span_count"),
        session.call_totals().alias(TOTALS),
        array_agg(col("model")).distinct().filter(col("model").is_not_null()).build()?.alias("models"),
        array_agg(col("tags")).distinct().build()?.alias("tags"),
        of_root(col("input_preview"))?.alias("root_input"),
        of_root(col("output_preview"))?.alias("root_output"),
        of_llm("input_preview", oldest())?.alias("llm_input"),
        of_llm("output_preview", newest())?.alias("llm_output"),
        first_set(col("metadata"), col("metadata").not_eq(text("{}")))?.alias("metadata"),
        of_root(col("app_id"))?.alias("app_id"),
    ];
    for column in ["agent_id", "session_id", "user_id", "environment"] {
        columns.push(first_set(col(column), col(column).is_not_null())?.alias(column));
    }
    columns.extend(names()?);
    columns.extend(statuses()?);
    let mut traces = spans.aggregate(vec![col("trace_id")], columns)?;
    for (name, total) in [
        ("cost", "cost"),
        ("tokens", "total_tokens"),
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
    ] {
        traces = traces.with_column(name, get_field(col(TOTALS), total))?;
    }
    Ok(traces)
}

/// The root first, then by start.
pub(super) fn from_root() -> Vec<SortExpr> {
    let by_start = ["start_time", "start_nanos", "span_id"].map(|key| col(key).sort(true, false));
    [vec![col("is_root").sort(false, false)], by_start.to_vec()].concat()
}

fn of_root(value: Expr) -> Result<Expr, Error> {
    Ok(first_value(value, vec![]).order_by(from_root()).build()?)
}

pub(super) fn first_set(value: Expr, is_set: Expr) -> Result<Expr, Error> {
    Ok(first_value(value, vec![]).order_by(from_root()).filter(is_set).build()?)
}

pub(crate) fn end_ns() -> Expr {
    start_ns() + col("duration_ns")
}

fn names() -> Result<[Expr; 2], Error> {
    let given = first_set(col("trace_name"), col("trace_name").is_not_null())?.alias("given_name");
    Ok([given, of_root(col("name"))?.alias("root_name")])
}

fn name_of_trace() -> Expr {
    coalesce(vec![col("given_name"), col("root_name")])
}

fn statuses() -> Result<[Expr; 2], Error> {
    let failed = col("status").eq(lit(Status::Error.as_i8()));
    let errors = count(lit(1_i64)).filter(failed).build()?.alias("error_count");
    Ok([errors, of_root(cast(col("status"), DataType::Int64))?.alias("root_status")])
}

/// Failed when any span failed, else fine when the root says so.
fn rank_of_status() -> Result<Expr, Error> {
    let fine = col("root_status").eq(lit(i64::from(Status::Ok.as_i8())));
    let failed = col("error_count").gt(lit(0_i64));
    Ok(when(failed, lit(rank(Status::Error))).when(fine, lit(rank(Status::Ok))).otherwise(lit(rank(Status::Unset)))?)
}

fn rank(status: Status) -> i64 {
    i64::from(status.as_i8())
}

/// The aggregates that a sort needs beside the start.
fn sort_columns(session: &TenantSession, by: SortBy) -> Result<Vec<Expr>, Error> {
    Ok(match by {
        SortBy::Start => vec![],
        SortBy::Latency => vec![max(end_ns()).alias("end_ns")],
        SortBy::Cost | SortBy::Tokens => vec![session.call_totals().alias(TOTALS)],
        SortBy::Name => names()?.to_vec(),
        SortBy::Status => statuses()?.to_vec(),
    })
}

/// What is sorted by; what is unknown is less than all that is known.
fn sort_key(by: SortBy) -> Result<Expr, Error> {
    Ok(match by {
        SortBy::Start => col("start_ns"),
        SortBy::Latency => coalesce(vec![col("end_ns") - col("start_ns"), lit(i64::MIN)]),
        SortBy::Cost => coalesce(vec![get_field(col(TOTALS), "cost"), least_money()]),
        SortBy::Tokens => coalesce(vec![get_field(col(TOTALS), "total_tokens"), lit(i64::MIN)]),
        // Unlike the name in a filter, though never without one: where a filter fixes the very key, DataFusion 55.2 drops it from the sort and
        // misses it in the merge of several partitions.
        SortBy::Name => coalesce(vec![col("given_name"), col("root_name"), text("")]),
        SortBy::Status => rank_of_status()?,
    })
}

fn beyond(place: &Place, order: Order) -> Expr {
    let key = place.key.literal();
    let later_trace = order.beyond(col("trace_id"), id(place.trace.as_bytes()));
    order.beyond(col("key"), key.clone()).or(col("key").eq(key).and(later_trace))
}

fn read_found(batch: &RecordBatch) -> Result<Vec<Found>, Error> {
    let found = |row: Row<'_>| {
        let key = Key::read(batch.column(0), row.place()).ok_or(Error::Column("key"))?;
        let place = Place { key, trace: row.trace("trace_id")? };
        Ok(Found { place, first_ns: row.required("start_ns")?, last_ns: row.required("last_ns")? })
    };
    Row::all(batch).map(found).collect()
}
