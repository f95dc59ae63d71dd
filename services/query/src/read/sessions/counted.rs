//! Sessions and traces counted over the spans of a snapshot, by [`Tally`].

use std::collections::HashMap;

use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_engine::{Named, TenantSession, starts_in};
use spanlake_model::{Caller, TimeRange, TraceId};

use super::tally::{AMOUNT, END, FITS_MAX, NAMES_IN_RANGE, START, Tally, fits};
use crate::error::Error;
use crate::read::columns::{own, start_ns, text};
use crate::read::row::Row;
use crate::read::trace_set::is_among;
use crate::read::traces::end_ns;

/// What is counted beside when traces begin and end, and whose they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// In which the spans begin that name a session.
    pub(super) range: Option<TimeRange>,
    /// Summed up: a number, or money, of a span.
    pub(super) amount: Option<Expr>,
    /// What spans are held against; [`FITS_MAX`] at most.
    pub(super) fits: Vec<Expr>,
}

impl Wanted {
    fn columns(&self) -> Vec<Expr> {
        let in_range = self.range.map_or(lit(false), |range| col("session_id").is_not_null().and(starts_in(range)));
        let mut columns = ["trace_id", "span_id", "is_root", "session_id"].map(col).to_vec();
        columns.extend([start_ns().alias(START), end_ns().alias(END), in_range.alias(NAMES_IN_RANGE)]);
        columns.extend(self.amount.iter().map(|amount| amount.clone().alias(AMOUNT)));
        let held = self.fits.iter().take(FITS_MAX).enumerate();
        columns.extend(held.map(|(number, like)| like.clone().alias(fits(number))));
        columns
    }
}

/// The caller's spans, of these traces or of all, counted.
pub(super) async fn counted(
    session: &TenantSession,
    caller: &Caller,
    wanted: &Wanted,
    of: Option<&[TraceId]>,
) -> Result<Tally, Error> {
    let spans = of.map_or_else(|| own(caller), |traces| own(caller).and(is_among(traces)));
    let spans = session.frame()?.filter(spans)?.select(wanted.columns())?;
    Ok(session.fold(spans, Tally::add).await?.finish(Tally::together).await?)
}

/// By the id of a session, the traces with a span that names it.
pub(super) type Naming = HashMap<String, Vec<TraceId>>;

/// The traces with a span that names one of these sessions: all that belong to it, and some that belong to others.
pub(super) async fn naming(session: &TenantSession, caller: &Caller, sessions: &[String]) -> Result<Naming, Error> {
    let mut traces = Naming::new();
    if sessions.is_empty() {
        return Ok(traces);
    }
    let is_named = col("session_id").in_list(sessions.iter().map(text).collect(), false);
    let spans = session.near_named(Named::Session, sessions).await?.frame()?.filter(own(caller).and(is_named))?;
    for batch in session.collect(spans.aggregate(vec![col("session_id"), col("trace_id")], vec![])?).await? {
        for row in Row::all(&batch) {
            let name = row.text("session_id")?.ok_or(Error::Column("session_id"))?;
            traces.entry(name).or_default().push(row.trace("trace_id")?);
        }
    }
    Ok(traces)
}

/// Each once.
pub(super) fn all_of<'a>(named: impl IntoIterator<Item = &'a Vec<TraceId>>) -> Vec<TraceId> {
    let mut traces: Vec<_> = named.into_iter().flatten().copied().collect();
    traces.sort_unstable();
    traces.dedup();
    traces
}
