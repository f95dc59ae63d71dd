//! Scores of one snapshot: which are there now, and what they say of traces.
//!
//! A score that is given again replaces itself. On the day it was first given the store sees to that; given again on another day it
//! lies there twice, and [`latest`] takes what was received last. So everything here begins with it.
//!
//! A score of a span need not name the trace: [`of_traces`] finds that out by the spans themselves.

use std::collections::{BTreeMap, HashMap};

use arrow::array::Array;
use arrow::datatypes::{Float64Type, Int64Type};
use spanlake_engine::datafusion::common::JoinType;
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions::core::expr_fn::coalesce;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::{avg, count, max, min};
use spanlake_engine::datafusion::functions_window::expr_fn::row_number;
use spanlake_engine::datafusion::logical_expr::{ExprFunctionExt, when};
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::datafusion::scalar::ScalarValue;
use spanlake_engine::{TenantSession, starts_in};
use spanlake_model::{Caller, Resource, Score, SpanId, TimeRange, Timestamp, TraceId};
use spanlake_store::{rows, schema};

use super::columns::{id, is_trace, of_agent, of_app, own, text};
use super::row::{Row, trace_ids};
use super::traces::is_one_of;
use crate::error::Error;

/// Scores that a trace or a span shows; the newest.
const SHOWN_MAX: usize = 1_000;
/// Names that are told, and labels.
pub(crate) const NAMES_MAX: usize = 1_000;

/// Which scores: every field that is set must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// About exactly this.
    pub(crate) resource_id: Option<String>,
    pub(crate) resource_type: Option<Resource>,
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) span_id: Option<SpanId>,
    pub(crate) session_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) source: Option<String>,
}

/// A place in the order "newest first, then by id".
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place(Timestamp, String);

impl Place {
    pub(crate) fn of(score: &Score) -> Self {
        Self(score.created_at, score.id.clone())
    }

    /// Rows after it.
    fn after(&self) -> Expr {
        let start = lit(ScalarValue::TimestampMicrosecond(Some(self.0.as_micros()), Some("UTC".into())));
        let nanos = lit(i16::try_from(self.0.as_nanos().rem_euclid(1_000)).expect("below 1,000"));
        let later_id = col("score_id").lt(text(&self.1));
        let later_nanos = col("start_nanos").lt(nanos.clone()).or(col("start_nanos").eq(nanos).and(later_id));
        col("start_time").lt(start.clone()).or(col("start_time").eq(start).and(later_nanos))
    }
}

impl Filter {
    fn expression(&self) -> Expr {
        let is = |column: &str, value: &Option<String>| value.as_ref().map(|value| col(column).eq(text(value)));
        let conditions = [
            self.resource_id.as_deref().map(is_about),
            self.resource_type.map(is_about_a),
            self.trace_id.map(is_trace),
            self.span_id.map(|span| col("span_id").eq(id(span.as_bytes()))),
            is("session_id", &self.session_id),
            is("name", &self.name),
            is("source", &self.source),
        ];
        conditions.into_iter().flatten().reduce(Expr::and).unwrap_or(lit(true))
    }
}

pub(super) fn is_about_a(resource: Resource) -> Expr {
    match resource {
        Resource::Span => col("span_id").is_not_null(),
        Resource::Trace => col("span_id").is_null().and(col("trace_id").is_not_null()),
        Resource::Session => col("span_id").is_null().and(col("trace_id").is_null()),
    }
}

/// As [`Score::resource`] has it.
fn is_about(resource: &str) -> Expr {
    let session = is_about_a(Resource::Session).and(col("session_id").eq(text(resource)));
    if let Ok(trace) = resource.parse() {
        session.or(is_about_a(Resource::Trace).and(is_trace(trace)))
    } else if let Ok(span) = resource.parse::<SpanId>() {
        session.or(col("span_id").eq(id(span.as_bytes())))
    } else {
        session
    }
}

/// The caller's scores that are like this, each as it was received last. An agent's key sees those that came with it.
///
/// # Errors
/// When the session was made without scores.
pub(crate) fn latest(session: &TenantSession, caller: &Caller, like: Expr) -> Result<DataFrame, Error> {
    const KEY: [&str; 2] = schema::key_columns(spanlake_model::Table::Scores);
    const WANTED: [&str; 2] = ["wanted_high", "wanted_low"];
    let all = session.scores()?.filter(of_app(caller))?;
    // All versions of those of which one is like this; then the last of each, if that is.
    let wanted = all.clone().filter(like.clone())?;
    let wanted = wanted.select([col(KEY[0]).alias(WANTED[0]), col(KEY[1]).alias(WANTED[1])])?.distinct()?;
    let versions = all.join(wanted, JoinType::LeftSemi, &KEY, &WANTED, None)?;
    let last_first = ["received_at", "writer_id", "sequence"].map(|key| col(key).sort(false, false)).to_vec();
    let place = row_number().partition_by(KEY.map(col).to_vec()).order_by(last_first).build()?.alias("place");
    let last = versions.window(vec![place])?.filter(col("place").eq(lit(1_u64)))?.filter(like)?;
    let own = of_agent(caller).map_or(Ok(last.clone()), |of_agent| last.filter(of_agent))?;
    Ok(own.select(columns())?)
}

fn columns() -> Vec<Expr> {
    schema::scores().fields().iter().map(|field| col(field.name())).collect()
}

async fn collect(session: &TenantSession, frame: DataFrame) -> Result<Vec<Score>, Error> {
    let mut scores = Vec::new();
    for batch in session.collect(frame).await? {
        scores.extend(rows::decode_scores(&batch)?);
    }
    Ok(scores)
}

fn newest_first(frame: DataFrame, limit: usize) -> Result<DataFrame, Error> {
    let keys = ["start_time", "start_nanos", "score_id"].map(|key| col(key).sort(false, false));
    Ok(frame.sort(keys.to_vec())?.limit(0, Some(limit))?)
}

/// Scores given within the range, newest first.
pub(crate) async fn list(
    session: &TenantSession,
    caller: &Caller,
    filter: &Filter,
    range: TimeRange,
    after: Option<&Place>,
    limit: usize,
) -> Result<Vec<Score>, Error> {
    let mut frame = latest(session, caller, filter.expression().and(starts_in(range)))?;
    if let Some(place) = after {
        frame = frame.filter(place.after())?;
    }
    collect(session, newest_first(frame, limit)?).await
}

/// The score with this id.
pub(crate) async fn one(session: &TenantSession, caller: &Caller, score: &str) -> Result<Option<Score>, Error> {
    let frame = latest(session, caller, col("score_id").eq(text(score)))?;
    Ok(collect(session, frame.limit(0, Some(1))?).await?.pop())
}

/// What scores of one name come to. A score without a number counts, and is in no mean.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) name: String,
    pub(crate) count: i64,
    pub(crate) mean: Option<f64>,
    pub(crate) least: Option<f64>,
    pub(crate) most: Option<f64>,
    pub(crate) labels: BTreeMap<String, i64>,
}

/// By name, in the order of names; [`NAMES_MAX`] at most.
pub(crate) async fn summaries(
    session: &TenantSession,
    caller: &Caller,
    filter: &Filter,
    range: TimeRange,
) -> Result<Vec<Summary>, Error> {
    let frame = latest(session, caller, filter.expression().and(starts_in(range)))?;
    let value = || col("value");
    let sums = vec![
        count(lit(1_i64)).alias("score_count"),
        avg(value()).alias("mean"),
        min(value()).alias("least"),
        max(value()).alias("most"),
    ];
    let by_name = frame.clone().aggregate(vec![col("name")], sums)?;
    let by_name = by_name.sort(vec![col("name").sort(true, false)])?.limit(0, Some(NAMES_MAX))?;
    let mut summaries = Vec::new();
    for batch in session.collect(by_name).await? {
        for row in Row::all(&batch) {
            summaries.push(Summary {
                name: row.text("name")?.ok_or(Error::Column("name"))?,
                count: row.required("score_count")?,
                mean: row.number::<Float64Type>("mean")?,
                least: row.number::<Float64Type>("least")?,
                most: row.number::<Float64Type>("most")?,
                labels: BTreeMap::new(),
            });
        }
    }
    let by_label = frame.filter(col("label").is_not_null())?;
    let by_label = by_label.aggregate(vec![col("name"), col("label")], vec![count(lit(1_i64)).alias("score_count")])?;
    let by_label = by_label.sort(vec![col("score_count").sort(false, false)])?.limit(0, Some(NAMES_MAX))?;
    for batch in session.collect(by_label).await? {
        for row in Row::all(&batch) {
            let (name, label) = (row.text("name")?, row.text("label")?);
            let summary = summaries.iter_mut().find(|summary| Some(&summary.name) == name.as_ref());
            if let (Some(summary), Some(label)) = (summary, label) {
                summary.labels.insert(label, row.number::<Int64Type>("score_count")?.unwrap_or(0));
            }
        }
    }
    Ok(summaries)
}

/// Spans of scores without their trace that are looked up by their ids; those of more are found by reading the ids of all.
const LOOSE_MAX: usize = 1_000;

/// Scores of a span that does not name its trace.
pub(super) fn is_loose() -> Expr {
    col("trace_id").is_null().and(col("span_id").is_not_null())
}

/// The spans that scores without their trace are about, unless they are many.
pub(super) async fn loose_spans(
    session: &TenantSession,
    caller: &Caller,
    loose: Expr,
) -> Result<Option<Vec<Expr>>, Error> {
    let scores = session.scores()?.filter(col("app_id").eq(id(caller.app().as_bytes())).and(loose))?;
    let spans = scores.select(vec![col("span_id")])?.distinct()?.limit(0, Some(LOOSE_MAX + 1))?;
    let mut loose = Vec::new();
    for batch in session.collect(spans).await? {
        for span in rows::ids(&batch, "span_id")?.iter().flatten() {
            loose.push(id(SpanId::from_slice(span).map_err(|_| Error::Column("span_id"))?.as_bytes()));
        }
    }
    Ok((loose.len() <= LOOSE_MAX).then_some(loose))
}

/// The scores of these traces, or of all, and of their spans, with all columns of scores and `of_trace`, the trace each belongs to. For a
/// plan over many traces, by their mean or not: `of_traces(…)?.aggregate([of_trace, name], [avg(value)])`.
pub(crate) async fn of_traces(
    session: &TenantSession,
    caller: &Caller,
    traces: Option<&[TraceId]>,
) -> Result<DataFrame, Error> {
    const LOOSE: &str = "loose_span";
    let is_of = || traces.map_or(col("trace_id").is_not_null(), is_one_of);
    let with_trace = |trace: Expr| columns().into_iter().chain([trace.alias("of_trace")]).collect::<Vec<_>>();
    let wanted = match loose_spans(session, caller, is_loose()).await? {
        Some(loose) if loose.is_empty() => {
            return Ok(latest(session, caller, is_of())?.select(with_trace(col("trace_id")))?);
        }
        Some(loose) => is_of().and(col("span_id").in_list(loose, false)),
        None => is_of(),
    };
    let scores = latest(session, caller, is_of().or(is_loose()))?;
    // A score that names its trace is of no other, whatever trace has a span of that id.
    let scores = scores.with_column(LOOSE, when(col("trace_id").is_null(), col("span_id")).end()?)?;
    let spans = session.frame()?.filter(own(caller).and(wanted))?;
    let spans = spans.select([col("trace_id").alias("span_trace"), col("span_id").alias("span_span")])?;
    let found = scores.join(spans, JoinType::Left, &[LOOSE], &["span_span"], None)?;
    let found = found.select(with_trace(coalesce(vec![col("trace_id"), col("span_trace")])))?;
    Ok(found.filter(col("of_trace").is_not_null())?)
}

/// The mean of the numbers of each name.
pub(crate) type Means = BTreeMap<String, f64>;

/// The means of each of these traces that has any, its spans' scores among its own.
pub(crate) async fn means(
    session: &TenantSession,
    caller: &Caller,
    traces: &[TraceId],
) -> Result<HashMap<TraceId, Means>, Error> {
    let mut means: HashMap<TraceId, Means> = HashMap::new();
    if traces.is_empty() || !session.has_scores() {
        return Ok(means);
    }
    let numbers = of_traces(session, caller, Some(traces)).await?.filter(col("value").is_not_null())?;
    let frame = numbers.aggregate(vec![col("of_trace"), col("name")], vec![avg(col("value")).alias("mean")])?;
    for batch in session.collect(frame).await? {
        for row in Row::all(&batch) {
            let trace = row.trace("of_trace")?;
            if let (Some(name), Some(mean)) = (row.text("name")?, row.number::<Float64Type>("mean")?) {
                means.entry(trace).or_default().insert(name, mean);
            }
        }
    }
    Ok(means)
}

/// The means of each of these traces' spans that has any, and of the traces themselves, without their spans', beside no span.
pub(crate) async fn means_of_spans(
    session: &TenantSession,
    caller: &Caller,
    traces: &[TraceId],
) -> Result<HashMap<(TraceId, Option<SpanId>), Means>, Error> {
    let mut means: HashMap<(TraceId, Option<SpanId>), Means> = HashMap::new();
    let numbers = of_traces(session, caller, Some(traces)).await?.filter(col("value").is_not_null())?;
    let keys = ["of_trace", "span_id", "name"].map(col).to_vec();
    for batch in session.collect(numbers.aggregate(keys, vec![avg(col("value")).alias("mean")])?).await? {
        let spans = rows::ids(&batch, "span_id")?;
        for row in Row::all(&batch) {
            let span = spans.is_valid(row.place()).then(|| SpanId::from_slice(spans.value(row.place())));
            let span = span.transpose().map_err(|_| Error::Column("span_id"))?;
            if let (Some(name), Some(mean)) = (row.text("name")?, row.number::<Float64Type>("mean")?) {
                means.entry((row.trace("of_trace")?, span)).or_default().insert(name, mean);
            }
        }
    }
    Ok(means)
}

/// The trace's scores and those of its spans, newest first, [`SHOWN_MAX`] at most.
pub(crate) async fn of_trace(session: &TenantSession, caller: &Caller, trace: TraceId) -> Result<Vec<Score>, Error> {
    if !session.has_scores() {
        return Ok(Vec::new());
    }
    let frame = of_traces(session, caller, Some(&[trace])).await?.select(columns())?;
    collect(session, newest_first(frame, SHOWN_MAX)?).await
}

/// What names these scores in an erasure, each in a trace id's place; no more than `most`.
pub(crate) async fn erasable(session: &TenantSession, frame: DataFrame, most: usize) -> Result<Vec<TraceId>, Error> {
    // With a count, since this version of DataFusion cannot plan a DISTINCT with a limit over a window.
    let each = frame.aggregate(vec![col("key_high")], vec![count(lit(1_i64)).alias("versions")])?;
    trace_ids(session, each.limit(0, Some(most))?, "key_high").await
}
