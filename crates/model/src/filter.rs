//! Which spans.

mod condition;
mod field;
mod language;
mod number;
mod scores;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use condition::{Condition, ConditionError, Operator, Part, Test, VALUE_CHARS_MAX, VALUES_MAX};
pub use field::{Field, Holds, KNOWN, KNOWN_OF_SCORES, Known};
pub use number::Number;

use crate::ids::{AgentId, SpanId, TraceId};
use crate::span::{Status, Type};
use crate::time::Timestamp;

/// Which spans: every field that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanFilter {
    /// Of this trace.
    pub trace_id: Option<TraceId>,
    /// With exactly this name.
    pub name: Option<String>,
    /// With this in the name, in any case.
    pub name_contains: Option<String>,
    /// Of this coarse type.
    pub coarse_type: Option<Type>,
    /// Of this kind.
    pub kind: Option<String>,
    /// That ended so.
    pub status: Option<Status>,
    /// Of exactly this model, requested or answering.
    pub model: Option<String>,
    /// Of this end user.
    pub user_id: Option<String>,
    /// Of this session.
    pub session_id: Option<String>,
    /// From this environment.
    pub environment: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Whose metadata holds this value under this key, compared as text.
    pub metadata: Option<(String, String)>,
    /// Attributed to this agent.
    pub agent_id: Option<AgentId>,
    /// And what the filter language says.
    pub filter: Filter,
}

/// Conditions of a filter at most.
pub const CONDITIONS_MAX: usize = 20;

/// What the filter language says, in either of its forms: clauses that all hold, of each of which one condition holds.
///
/// ```
/// # use spanlake_model::Filter;
/// let filter: Filter = "model = gpt-4o and (status = ERROR or latency_ms > 2000)".parse().unwrap();
/// assert_eq!(filter.clauses().len(), 2);
/// assert_eq!(filter.to_string().parse(), Ok(filter));
/// let slip = "modle = gpt-4o".parse::<Filter>().unwrap_err();
/// assert_eq!(slip.to_string(), "at character 1: there is no field 'modle'; did you mean 'model'?");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    clauses: Vec<Vec<Condition>>,
}

impl Filter {
    /// Of clauses that were read elsewhere.
    ///
    /// # Errors
    /// A clause is empty, or there are more than [`CONDITIONS_MAX`] conditions.
    pub fn new(clauses: Vec<Vec<Condition>>) -> Result<Self, String> {
        if clauses.iter().any(Vec::is_empty) {
            return Err("a clause holds at least one condition".into());
        }
        if clauses.iter().map(Vec::len).sum::<usize>() > CONDITIONS_MAX {
            return Err(format!("there are more than {CONDITIONS_MAX} conditions"));
        }
        Ok(Self { clauses })
    }

    /// Reads the text language as it is spoken of scores, whose fields are [`KNOWN_OF_SCORES`].
    ///
    /// ```
    /// # use spanlake_model::Filter;
    /// let filter = Filter::of_scores("name = quality and value >= 0.5 and source in (annotation, eval)").unwrap();
    /// assert_eq!(Filter::of_scores(&filter.to_string()), Ok(filter));
    /// ```
    ///
    /// # Errors
    /// It is not in the language, or names a field that scores do not have.
    pub fn of_scores(text: &str) -> Result<Self, FilterError> {
        language::parse(text, Field::parse_of_score)
    }

    /// Each holds when one of its conditions does.
    pub fn clauses(&self) -> &[Vec<Condition>] {
        &self.clauses
    }

    /// Those of all clauses.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.clauses.iter().flatten()
    }

    /// Whether it takes scores to know what fits.
    pub fn asks_for_scores(&self) -> bool {
        self.conditions().any(|condition| matches!(condition.field, Field::Score(_) | Field::AnyScore))
    }

    /// Whether every span fits.
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// And this one as well.
    ///
    /// # Errors
    /// There are [`CONDITIONS_MAX`] conditions already.
    pub fn and(self, condition: Condition) -> Result<Self, String> {
        let mut clauses = self.clauses;
        clauses.push(vec![condition]);
        Self::new(clauses)
    }
}

/// What is wrong with a filter, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {}: {why}", .at + 1)]
pub struct FilterError {
    /// Characters before the place.
    pub at: usize,
    /// What would be right.
    pub why: String,
}

impl FromStr for Filter {
    type Err = FilterError;
    fn from_str(text: &str) -> Result<Self, FilterError> {
        language::parse(text, Field::parse)
    }
}

/// In the text language; reads back as the same.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, clause) in self.clauses.iter().enumerate() {
            let conditions: Vec<_> = clause.iter().map(Condition::to_string).collect();
            let and = if place > 0 { " and " } else { "" };
            match conditions.as_slice() {
                [one] => write!(f, "{and}{one}")?,
                several => write!(f, "{and}({})", several.join(" or "))?,
            }
        }
        Ok(())
    }
}

/// A place in the order "newest start first, then trace id, then span id, all descending".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When the span began.
    pub start: Timestamp,
    /// Its trace.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
}
