//! Sessions whole: all spans of all their traces, wherever these lie, found by ids.
//!
//! ```text
//!   ids ──► files with spans that name them ──► traces ──► files that hold these ──► which belong to them ──► all spans of those
//! ```
//! So only as much is read as the sessions have, however long the range is.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use foldhash::fast::FixedState;
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::error::DataFusionError;
use spanlake_engine::datafusion::functions::core::expr_fn::get_field;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::{array_agg, count, first_value, max, min};
use spanlake_engine::datafusion::logical_expr::{ColumnarValue, ExprFunctionExt, Volatility, create_udf};
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::{TenantSession, distinct};
use spanlake_model::{Caller, Status, Timestamp, TraceId};

use super::counted::{Wanted, all_of, counted, naming};
use super::tally::{END, Member, START};
use super::{Chosen, Moment, SESSION, Session};
use crate::error::Error;
use crate::read::columns::{own, start_ns};
use crate::read::filter::grouped::TOTALS;
use crate::read::order::Order;
use crate::read::row::Row;
use crate::read::trace_set::is_among;
use crate::read::traces::end_ns;

/// Traces whose spans are summed at a time; a session with more is summed by itself.
const TRACES_AT_ONCE: usize = 10_000;

/// Some sessions, and which traces they have.
pub(crate) struct Whole {
    /// With the files that hold those traces.
    near: TenantSession,
    caller: Caller,
    sessions: Vec<String>,
    members: Vec<Member>,
}

/// Some sessions, and the traces with a span that names one of them.
pub(super) struct Portion<'a> {
    sessions: &'a [String],
    traces: Vec<TraceId>,
}

/// These sessions, as many at a time as have [`TRACES_AT_ONCE`], so that memory does not grow with their number.
pub(super) async fn portions<'a>(
    session: &TenantSession,
    caller: &Caller,
    sessions: &'a [String],
) -> Result<Vec<Portion<'a>>, Error> {
    let naming = naming(session, caller, sessions).await?;
    let count = |id: &String| naming.get(id).map_or(0, Vec::len);
    let (mut portions, mut rest) = (Vec::new(), sessions);
    while !rest.is_empty() {
        let mut traces = 0;
        let fitting = rest.iter().take_while(|id| {
            traces += count(id);
            traces <= TRACES_AT_ONCE
        });
        let (some, others) = rest.split_at(fitting.count().max(1));
        portions.push(Portion { sessions: some, traces: all_of(some.iter().filter_map(|id| naming.get(id))) });
        rest = others;
    }
    Ok(portions)
}

impl Portion<'_> {
    pub(super) async fn whole(self, session: &TenantSession, caller: &Caller) -> Result<Whole, Error> {
        let near = session.near(&self.traces).await?;
        // A trace that one of them names may belong to another: all its names are looked at.
        let traces = counted(&near, caller, &Wanted::default(), Some(&self.traces)).await?;
        let members = traces.members(self.sessions);
        Ok(Whole { near, caller: *caller, sessions: self.sessions.to_vec(), members })
    }
}

impl Whole {
    /// This session.
    pub(crate) async fn one(session: &TenantSession, caller: &Caller, id: &str) -> Result<Self, Error> {
        let naming = naming(session, caller, &[id.to_owned()]).await?;
        Portion { sessions: &[id.to_owned()], traces: all_of(naming.values()) }.whole(session, caller).await
    }

    /// Where its spans are read.
    pub(super) fn near(&self) -> &TenantSession {
        &self.near
    }

    /// All spans, priced, with their [`SESSION`]; `None` when there is none.
    pub(super) fn spans(&self) -> Result<Option<DataFrame>, Error> {
        if self.members.is_empty() {
            return Ok(None);
        }
        let traces: Vec<_> = self.members.iter().map(|member| member.trace).collect();
        let spans = self.near.frame()?.filter(own(&self.caller).and(is_among(&traces)))?;
        Ok(Some(self.near.priced(spans)?.with_column(SESSION, self.session_of())?))
    }

    /// The session of a span's trace.
    fn session_of(&self) -> Expr {
        let places: HashMap<[u8; 16], usize, FixedState> =
            self.members.iter().map(|member| (*member.trace.as_bytes(), member.session)).collect();
        let sessions = self.sessions.clone();
        let session_of = move |arguments: &[ColumnarValue]| {
            let unexpected = || DataFusionError::Internal("session_of takes trace ids".into());
            let [ids] = arguments else { return Err(unexpected()) };
            let ids = ids.to_array(1)?;
            let ids = ids.as_fixed_size_binary_opt().ok_or_else(unexpected)?;
            let mut named = StringViewBuilder::with_capacity(ids.len()).with_deduplicate_strings();
            for id in ids {
                let session = id.and_then(|id| places.get(id)).and_then(|place| sessions.get(*place));
                named.append_option(session);
            }
            Ok(ColumnarValue::Array(Arc::new(named.finish())))
        };
        let (id, name) = (DataType::FixedSizeBinary(16), DataType::Utf8View);
        create_udf("session_of", vec![id], name, Volatility::Immutable, Arc::new(session_of))
            .call(vec![col("trace_id")])
    }

    /// Their rows, in no order; sessions without any trace are left out.
    pub(crate) async fn rows(&self) -> Result<Vec<Session>, Error> {
        let Some(spans) = self.spans()? else { return Ok(Vec::new()) };
        let mut described = spans.aggregate(vec![col(SESSION)], columns(&self.near)?)?;
        for total in ["cost", "total_tokens", "input_tokens", "output_tokens"] {
            described = described.with_column(total, get_field(col(TOTALS), total))?;
        }
        let mut sessions = Vec::new();
        for batch in self.near.collect(described).await? {
            for row in Row::all(&batch) {
                sessions.push(Session::read(&row)?);
            }
        }
        Ok(sessions)
    }

    /// Their traces after a moment, oldest first unless ordered otherwise.
    pub(crate) fn timeline(&self, order: Order, after: Option<&Moment>, limit: usize) -> Chosen<Moment> {
        let moment = |member: &Member| Moment(Timestamp::from_nanos(member.start_ns), member.trace);
        let is_after = |moment: &Moment| after.is_none_or(|after| order.is_beyond(moment, after));
        let moments = self.members.iter().map(moment).filter(is_after).collect();
        Chosen::of(order.sorted(moments), limit)
    }
}

/// The rows of these sessions, in the order of their ids here; sessions without any trace are left out.
pub(crate) async fn describe(session: &TenantSession, caller: &Caller, ids: &[String]) -> Result<Vec<Session>, Error> {
    let mut rows = Vec::new();
    for portion in portions(session, caller, ids).await? {
        rows.extend(portion.whole(session, caller).await?.rows().await?);
    }
    let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    rows.sort_by_key(|row: &Session| places.get(row.id.as_str()).copied());
    Ok(rows)
}

/// What a row of a session says.
fn columns(session: &TenantSession) -> Result<Vec<Expr>, Error> {
    let newest = ["start_time", "start_nanos", "span_id"].map(|key| col(key).sort(false, false)).to_vec();
    let name = first_value(col("session_name"), vec![]).order_by(newest).filter(col("session_name").is_not_null());
    let failed = col("status").eq(lit(Status::Error.as_i8()));
    let all_of = |column: &str| array_agg(col(column)).distinct().filter(col(column).is_not_null()).build();
    Ok(vec![
        name.build()?.alias("name"),
        min(start_ns()).alias(START),
        max(end_ns()).alias(END),
        distinct(col("trace_id")).alias("trace_count"),
        count(lit(1_i64)).alias("span_count"),
        count(lit(1_i64)).filter(failed).build()?.alias("error_count"),
        session.call_totals().alias(TOTALS),
        all_of("user_id")?.alias("user_ids"),
        all_of("model")?.alias("models"),
        all_of("environment")?.alias("environments"),
        array_agg(col("tags")).distinct().build()?.alias("tags"),
    ])
}
