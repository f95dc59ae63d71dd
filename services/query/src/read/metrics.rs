//! Counts, sums and durations of spans: over all, over time, and in groups.
//!
//! ```text
//!   each piece of the snapshot, and the rest (TenantSession::pieces): whole traces
//!     spans of the range and an hour around it ──► which usage repeats others' (Uncounted) ─┐
//!       └─► of the range, attributed, filtered ──────────────────────────────────────────────┴─► all; each bucket
//!              └─ with groups: ranks ──► of all parts the top N: a number each, one for all others ──► each group; group × bucket
//!   all parts, put together
//! ```
//! What a piece came to is remembered, so that asking again, of a range that has moved on, looks at what is new.
//!
//! Which usage counts is settled before anything is filtered or grouped, so that the sums of the groups are the whole. Each span is
//! counted in one cell of group and bucket; groups and the whole are put together from those.

pub(crate) mod buckets;
mod cell;
mod counted;
pub(crate) mod dimension;
mod labels;
mod part;
mod ranks;
mod rows;
mod sketch;
mod summed;
mod tally;

use spanlake_engine::{TenantSession, finished};
use spanlake_model::{Caller, SpanFilter, TimeRange};

use self::buckets::Buckets;
pub(crate) use self::cell::{Cell, Durations};
use self::dimension::Dimension;
use self::labels::Labels;
use self::part::Part;
use self::ranks::Ranks;
use self::summed::Summed;
use super::pieces::of_each;
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
    // A score may be about anything, and come at any time.
    let pieces = match query.filter.filter.asks_for_scores() {
        true => session.whole(),
        false => session.pieces(Some(query.range)).await?,
    };
    let parts = Part::all(&pieces, caller, query);
    let (labels, names) = match query.group_by.is_empty() {
        true => Default::default(),
        false => top(session, query, &parts).await?,
    };
    let summed = of_each(parts.iter().map(|part| part.summed(&labels)).collect()).await?;
    let buckets = query.buckets.len();
    Ok(finished(move || Summed::together(summed, names, buckets)).await?)
}

/// The top groups by number, and their values.
async fn top(
    session: &TenantSession,
    query: &MetricsQuery,
    parts: &[Part<'_>],
) -> Result<(Labels, Vec<Vec<Option<String>>>), Error> {
    let (mut all, mut held) = (Ranks::default(), session.held("ranked groups"));
    for ranks in of_each(parts.iter().map(Part::ranks).collect()).await? {
        held.grow(all.merge(&ranks))?;
    }
    Ok(all.top(&query.group_by, query.groups_max))
}
