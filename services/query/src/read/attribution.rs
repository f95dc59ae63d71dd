//! What belongs to the whole trace, on each of its spans: senders put the user, the session or the tags on one span, mostly the root,
//! and mean all that happened below.

use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::common::JoinType;
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::functions::core::expr_fn::coalesce;
use spanlake_engine::datafusion::functions_aggregate::expr_fn::array_agg;
use spanlake_engine::datafusion::functions_nested::expr_fn::{array_distinct, array_length, flatten};
use spanlake_engine::datafusion::logical_expr::ExprFunctionExt;
use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_model::Caller;
use spanlake_store::schema;

use super::columns::own;
use super::metadata::text_at;
use super::traces::first_set;
use crate::error::Error;

/// What a span may have from its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attributed {
    /// The trace's: each trace is in one session.
    Session,
    /// Its own, else the trace's.
    User,
    /// Its own, else the trace's.
    Environment,
    /// Its own, else the trace's.
    Agent,
    /// Those of all spans of the trace.
    Tags,
    /// Its own value under this key, else the trace's. In a column of its own.
    Metadata(String),
}

impl Attributed {
    /// The column that it is in.
    pub(super) fn column(&self) -> String {
        match self {
            Self::Session => "session_id".into(),
            Self::User => "user_id".into(),
            Self::Environment => "environment".into(),
            Self::Agent => "agent_id".into(),
            Self::Tags => "tags".into(),
            Self::Metadata(key) => format!("metadata.{key}"),
        }
    }

    /// The one in a column of spans.
    pub(super) fn in_column(name: &str) -> Option<Self> {
        [Self::Session, Self::User, Self::Environment, Self::Agent, Self::Tags]
            .into_iter()
            .find(|attributed| attributed.column() == name)
    }

    /// On a span itself.
    fn own(&self) -> Expr {
        match self {
            Self::Metadata(key) => text_at(key),
            others => col(others.column()),
        }
    }

    /// Whether a span itself says it.
    fn is_said(&self) -> Expr {
        match self {
            Self::Tags => array_length(col("tags")).gt(lit(0_u64)),
            one => one.own().is_not_null(),
        }
    }

    /// Of all spans of a trace that say it.
    fn of_trace(&self) -> Result<Expr, Error> {
        Ok(match self {
            Self::Tags => array_agg(col("tags")).distinct().filter(self.is_said()).build()?,
            one => first_set(one.own(), one.is_said())?,
        })
    }

    /// From [`Self::of_trace`], before it is put on each span.
    fn condensed(&self, of_trace: Expr) -> Expr {
        match self {
            Self::Tags => array_distinct(flatten(of_trace)),
            _ => of_trace,
        }
    }

    fn settled(&self, of_trace: Expr) -> Expr {
        match self {
            Self::Session | Self::Tags => of_trace,
            others => coalesce(vec![others.own(), of_trace]),
        }
    }
}

/// The frame, which has all columns of spans, with these columns settled. What belongs to a trace is looked for among `all` its spans.
pub(super) fn attributed(
    session: &TenantSession,
    caller: &Caller,
    frame: DataFrame,
    wanted: &[Attributed],
) -> Result<DataFrame, Error> {
    if wanted.is_empty() {
        return Ok(frame);
    }
    let named = |place: usize| format!("of_trace_{place}");
    let values = wanted.iter().enumerate().map(|(place, one)| Ok(one.of_trace()?.alias(named(place))));
    let any_said = wanted.iter().map(Attributed::is_said).reduce(Expr::or).unwrap_or(lit(true));
    let saying = session.frame()?.filter(own(caller).and(any_said))?;
    let traces = saying.aggregate(vec![col("trace_id")], values.collect::<Result<Vec<_>, Error>>()?)?;
    let aliased = [col("trace_id").alias("attributed_trace")].into_iter();
    let condensed = wanted.iter().enumerate().map(|(place, one)| one.condensed(col(named(place))).alias(named(place)));
    let traces = traces.select(aliased.chain(condensed).collect::<Vec<_>>())?;
    // There are fewer traces than spans, so they are what is held in memory.
    let joined = traces.join(frame, JoinType::Right, &["attributed_trace"], &["trace_id"], None)?;
    let settled = |name: &str| {
        let place = wanted.iter().position(|one| one.column() == name)?;
        Some(wanted[place].settled(col(named(place))).alias(name))
    };
    let kept = schema::spans();
    let kept = kept.fields().iter().map(|field| settled(field.name()).unwrap_or_else(|| col(field.name())));
    let beside = wanted.iter().filter(|one| matches!(one, Attributed::Metadata(_)));
    let beside = beside.filter_map(|one| settled(&one.column()));
    Ok(joined.select(kept.chain(beside).collect::<Vec<_>>())?)
}
