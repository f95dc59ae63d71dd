//! What a query asks of sessions, in two halves: what can be seen while spans are counted, and the rest.

use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::prelude::{Expr, col};
use spanlake_model::{Caller, Condition, Field};

use super::counted::Wanted;
use super::tally::{FITS_MAX, Sums};
use super::{SessionQuery, SortBy};
use crate::error::Error;
use crate::read::filter::condition::{any, holds};
use crate::read::filter::grouped::is_sum;
use crate::read::filter::{conditions, scored};

/// What a session must have, each in one of its spans; and whether that is all that is asked.
pub(super) struct Asked {
    pub(super) of_spans: Vec<Expr>,
    /// Nothing is asked of sums or of scores, or not to be so.
    pub(super) is_all: bool,
}

impl Asked {
    pub(super) async fn of(session: &TenantSession, caller: &Caller, query: &SessionQuery) -> Result<Self, Error> {
        let mut asked = Self { of_spans: conditions(&query.with_span), is_all: true };
        for clause in query.with_span.filter.clauses() {
            let is_kept = asked.of_spans.len() < FITS_MAX;
            if is_kept && clause.iter().all(is_of_a_span) {
                asked.of_spans.push(any(clause, |condition| holds(session, condition))?);
                continue;
            }
            asked.is_all = false;
            if is_kept && clause.iter().all(is_of_scores) {
                asked.of_spans.extend(scored::necessary(session, caller, clause).await?);
            }
        }
        Ok(asked)
    }

    /// What is counted for it, to sort by.
    pub(super) fn wanted(&self, session: &TenantSession, query: &SessionQuery) -> Wanted {
        let amount = match query.sort_by {
            SortBy::Cost => Some(session.cost()),
            SortBy::Tokens => Some(col("total_tokens")),
            SortBy::Start | SortBy::End | SortBy::Latency | SortBy::Traces => None,
        };
        Wanted { range: Some(query.range), amount, fits: self.of_spans.clone() }
    }

    /// Whether a session has it, as far as was counted.
    pub(super) fn may_fit(&self, sums: &Sums) -> bool {
        sums.is_in_range && (0..self.of_spans.len()).all(|number| sums.fits & (1 << number) != 0)
    }
}

/// It is enough that one span is like this.
fn is_of_a_span(condition: &Condition) -> bool {
    let is_of_a_span = match &condition.field {
        Field::Known(known) => !is_sum(known),
        Field::Metadata(_) => true,
        Field::Score(_) | Field::AnyScore => false,
    };
    is_of_a_span && !condition.is_not
}

/// It takes a score.
fn is_of_scores(condition: &Condition) -> bool {
    matches!(condition.field, Field::Score(_) | Field::AnyScore) && !condition.is_not
}
