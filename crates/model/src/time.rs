//! Instants and half-open ranges, UTC.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z. Reaches from 1677 to 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }
    /// From microseconds since the epoch; what does not fit becomes the nearest that does.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros.saturating_mul(1_000))
    }
    /// From seconds since the epoch; what does not fit becomes the nearest that does.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }
    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }
    /// Whole microseconds since the epoch, rounded down.
    pub const fn as_micros(self) -> i64 {
        self.0.div_euclid(1_000)
    }
    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }
    /// Time from `earlier` to here; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
    /// Later by `duration`, or the last instant there is.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
    /// Earlier by `duration`, or the first instant there is.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
    /// Reads RFC 3339 (any offset), or a bare date `YYYY-MM-DD`, meaning its midnight in UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let instant = DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc)).ok().or_else(|| {
            let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            Some(date.and_hms_opt(0, 0, 0)?.and_utc())
        })?;
        instant.timestamp_nanos_opt().map(Self)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with as many of 0, 3, 6 or 9 decimals as it needs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&DateTime::<Utc>::from_timestamp_nanos(self.0).to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// From `start` up to but not including `end`; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    start: Timestamp,
    end: Timestamp,
}

/// A range that cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the end of the time range must be after its start")]
pub struct RangeError;

impl TimeRange {
    /// The range from `start` to `end`, half-open.
    ///
    /// # Errors
    /// When `end` is not after `start`.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self, RangeError> {
        if start < end { Ok(Self { start, end }) } else { Err(RangeError) }
    }
    /// Everything that can be told.
    pub const fn all() -> Self {
        Self { start: Timestamp(i64::MIN), end: Timestamp(i64::MAX) }
    }
    /// The first instant inside.
    pub const fn start(&self) -> Timestamp {
        self.start
    }
    /// The first instant after it.
    pub const fn end(&self) -> Timestamp {
        self.end
    }
    /// Whether `at` is inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
    /// Whether any instant from `first` to `last`, both included, is inside.
    pub fn touches(&self, first: Timestamp, last: Timestamp) -> bool {
        first < self.end && self.start <= last
    }
    /// The part of it that is not before `start`; `None` when all of it is.
    #[must_use]
    pub fn not_before(self, start: Timestamp) -> Option<Self> {
        Self::new(self.start.max(start), self.end).ok()
    }
    /// How long it is.
    pub fn length(&self) -> Duration {
        self.end.since(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_survives_its_text_to_the_nanosecond() {
        let at = Timestamp::from_nanos(1_763_700_000_123_456_789);
        assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        assert_eq!(Timestamp::parse("1970-01-02"), Some(Timestamp::from_secs(86_400)));
        assert_eq!(Timestamp::parse("1970-01-01T01:00:00+01:00"), Some(Timestamp::from_secs(0)));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn an_empty_range_cannot_be_made() {
        assert_eq!(TimeRange::new(Timestamp::from_secs(1), Timestamp::from_secs(1)), Err(RangeError));
    }

    #[test]
    fn a_range_is_cut_at_its_start_and_never_made_longer() {
        let at = Timestamp::from_secs;
        let range = TimeRange::new(at(2), at(5)).unwrap();
        assert_eq!(range.not_before(at(1)), Some(range));
        assert_eq!(range.not_before(at(4)), TimeRange::new(at(4), at(5)).ok());
        assert_eq!(range.not_before(at(5)), None);
    }

    #[test]
    fn time_before_the_epoch_rounds_down() {
        assert_eq!(Timestamp::from_nanos(-1).as_micros(), -1);
    }
}
