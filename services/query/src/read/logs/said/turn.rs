//! Which of the answers of an agent's turn is which call's.
//!
//! Claude Code logs its answers at the span of the turn, not at the call's: for each call an `api_request` as it ends and, if
//! the model wrote text, an `assistant_response` right after. A call that only used tools has none.

use std::sync::Arc;
use std::time::Duration;

use spanlake_engine::datafusion::prelude::{Expr, col, lit};
use spanlake_model::Timestamp;

use super::{CLOCK_SLACK, Mute, Record};

const ANSWER: &str = "assistant_response";
/// Without content, but it says whose answer comes next.
const MARK: &str = "api_request";
/// A call's mark is written about when its span ends: another's is further away.
const MARK_SLACK: Duration = Duration::from_secs(1);

/// Rows that are marks.
pub(super) fn is_mark() -> Expr {
    col("log_name").like(lit(format!("%.{MARK}")))
}

/// What the call answered, out of the records at the turn that it is part of, oldest first.
pub(super) fn answer(of_turn: &[Arc<Record>], call: &Mute) -> Option<String> {
    let end = call.end.filter(|_| call.is_call)?;
    let mut after = match mark(of_turn, end) {
        Some(mark) => &of_turn[mark + 1..],
        None => &of_turn[of_turn.partition_point(|record| record.time < end.minus(CLOCK_SLACK))..],
    }
    .iter();
    let next = after.find(|record| record.is(ANSWER) || record.is(MARK))?;
    next.output.clone().filter(|_| next.is(ANSWER))
}

/// The place of the mark that lies closest to the end of the call.
fn mark(of_turn: &[Arc<Record>], end: Timestamp) -> Option<usize> {
    let marks = of_turn.iter().enumerate().filter(|(_, record)| record.is(MARK));
    let away = |record: &Record| record.time.as_nanos().abs_diff(end.as_nanos());
    let (place, mark) = marks.min_by_key(|(_, record)| away(record))?;
    (u128::from(away(mark)) <= MARK_SLACK.as_nanos()).then_some(place)
}

impl Record {
    fn is(&self, event: &str) -> bool {
        self.name.rsplit('.').next() == Some(event)
    }
}
