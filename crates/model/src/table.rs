//! Where rows are kept.

use std::fmt;

use crate::time::{TimeRange, Timestamp};

/// A kind of row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Spans; an event is a span without duration.
    Spans,
    /// Judgements about traces, spans and sessions.
    Scores,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Spans, Self::Scores];

    /// In SQL, paths and the catalog.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Scores => "scores",
        }
    }
    /// How many days rows are kept when the tenant has not said; `None`: for ever.
    pub const fn kept_days(self) -> Option<u32> {
        match self {
            Self::Spans => None,
            Self::Scores => Some(90),
        }
    }
    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.as_str() == text)
    }
}

/// A UTC day: days since 1970-01-01. Every data file holds rows that start on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

const NANOS: i64 = 86_400 * 1_000_000_000;

impl Day {
    /// The day `at` falls on.
    pub fn of(at: Timestamp) -> Self {
        Self(i32::try_from(at.as_nanos().div_euclid(NANOS)).expect("i64 nanoseconds reach about 107,000 days"))
    }
    /// Its first instant.
    pub const fn start(self) -> Timestamp {
        Timestamp::from_nanos((self.0 as i64).saturating_mul(NANOS))
    }
    /// From midnight to midnight.
    pub fn range(self) -> TimeRange {
        TimeRange::new(self.start(), Self(self.0.saturating_add(1)).start()).unwrap_or(TimeRange::all())
    }
}

/// `YYYY-MM-DD`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.start().to_string();
        f.write_str(&text[..10])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_nanosecond_belongs_to_its_day() {
        let day = Day::of(Timestamp::from_nanos(-1));
        assert_eq!((day, day.to_string().as_str()), (Day(-1), "1969-12-31"));
        assert!(!day.range().contains(Timestamp::from_nanos(0)));
    }
}
