//! Stretches of time that a series is cut into, by the calendar of a time zone.

use std::sync::Arc;

use arrow::array::{AsArray, Int32Array};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use chrono::{
    DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;
use spanlake_engine::datafusion::error::DataFusionError;
use spanlake_engine::datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use spanlake_engine::datafusion::prelude::{Expr, col};
use spanlake_model::{TimeRange, Timestamp};
use spanlake_store::schema::timestamp;

/// Buckets of a series at most: a day of minutes, two months of hours.
pub(crate) const BUCKETS_MAX: usize = 1_500;

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Granularity {
    Minute,
    Hour,
    /// From midnight to midnight: 23 or 25 hours when clocks are changed.
    Day,
    /// From Monday.
    Week,
}

impl Granularity {
    /// The finest that gives a readable number: minutes up to three hours, hours up to a week, days up to a third of a year.
    pub(crate) fn auto(range: TimeRange) -> Self {
        match range.length().as_secs() {
            0..=10_800 => Self::Minute,
            10_801..=608_400 => Self::Hour,
            608_401..=10_800_000 => Self::Day,
            _ => Self::Week,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }
}

/// Consecutive buckets that cover a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Buckets {
    zone: Tz,
    /// Ascending; the last one is where the last bucket ends.
    bounds: Vec<Timestamp>,
}

/// More than [`BUCKETS_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Buckets {
    /// From the one with the first instant of the range to the one with the last.
    pub(crate) fn of(range: TimeRange, granularity: Granularity, zone: Tz) -> Result<Self, TooMany> {
        let mut bounds = vec![floor(at(range.start()), granularity, zone)];
        while let Some(last) = bounds.last().filter(|last| stamp(**last) < range.end()) {
            if bounds.len() > BUCKETS_MAX {
                return Err(TooMany);
            }
            bounds.push(next(*last, granularity, zone));
        }
        Ok(Self { zone, bounds: bounds.into_iter().map(stamp).collect() })
    }

    pub(crate) fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Those that a range within them touches, and the number of the first.
    pub(super) fn around(&self, range: TimeRange) -> (usize, Self) {
        let first = self.bounds.partition_point(|bound| *bound <= range.start()).saturating_sub(1);
        let last = self.bounds.partition_point(|bound| *bound < range.end()).clamp(first + 1, self.len());
        (first, Self { zone: self.zone, bounds: self.bounds[first..=last].to_vec() })
    }

    /// From where to where.
    pub(crate) fn bounds(&self, place: usize) -> (Timestamp, Timestamp) {
        (self.bounds[place], self.bounds[place + 1])
    }

    /// The date and the hour at which it begins, as clocks of the time zone show them.
    pub(crate) fn local(&self, place: usize) -> (String, u32) {
        let local = at(self.bounds[place]).with_timezone(&self.zone);
        (local.format("%Y-%m-%d").to_string(), local.hour())
    }

    /// The number of the bucket in which a span begins, which begins in the range.
    pub(super) fn place(&self) -> Expr {
        let bounds: Arc<[i64]> = self.bounds.iter().map(|bound| bound.as_micros()).collect();
        let place = move |arguments: &[ColumnarValue]| {
            let unexpected = || DataFusionError::Internal("bucket takes a time".into());
            let starts = arguments[0].to_array(1)?;
            let starts = starts.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(unexpected)?;
            let place = |start: i64| bounds.partition_point(|bound| *bound <= start).saturating_sub(1);
            let places = starts.values().iter().map(|start| i32::try_from(place(*start)).unwrap_or(i32::MAX));
            Ok(ColumnarValue::Array(Arc::new(Int32Array::from_iter_values(places))))
        };
        create_udf("bucket", vec![timestamp()], DataType::Int32, Volatility::Immutable, Arc::new(place))
            .call(vec![col("start_time")])
    }
}

fn at(time: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(time.as_nanos())
}

fn stamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp::from_secs(time.timestamp())
}

/// Where the bucket with this instant begins.
fn floor(time: DateTime<Utc>, granularity: Granularity, zone: Tz) -> DateTime<Utc> {
    let local = time.with_timezone(&zone);
    // Minutes and hours are counted back on the clock, which is right also in an hour that comes twice.
    let past = TimeDelta::nanoseconds(i64::from(local.nanosecond() % 1_000_000_000));
    let past = past + TimeDelta::seconds(i64::from(local.second()));
    match granularity {
        Granularity::Minute => time - past,
        Granularity::Hour => time - past - TimeDelta::minutes(i64::from(local.minute())),
        Granularity::Day => midnight(local.date_naive(), zone),
        Granularity::Week => {
            let past_monday = Days::new(u64::from(local.weekday().num_days_from_monday()));
            midnight(local.date_naive().checked_sub_days(past_monday).unwrap_or(NaiveDate::MIN), zone)
        }
    }
}

/// Where the one after the bucket that begins here begins.
fn next(start: DateTime<Utc>, granularity: Granularity, zone: Tz) -> DateTime<Utc> {
    let days = |days| {
        let date = start.with_timezone(&zone).date_naive();
        midnight(date.checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX), zone)
    };
    match granularity {
        Granularity::Minute => start + TimeDelta::minutes(1),
        Granularity::Hour => {
            // Where clocks are changed by half an hour, an hour on the clock is not an hour.
            let floored = floor(start + TimeDelta::hours(1), granularity, zone);
            if floored > start { floored } else { start + TimeDelta::hours(1) }
        }
        Granularity::Day => days(1),
        Granularity::Week => days(7),
    }
}

/// The first instant of a date, which is not midnight where clocks are put forward then.
fn midnight(date: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let instant = |local: NaiveDateTime| match zone.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Some(time.with_timezone(&Utc)),
        LocalResult::None => None,
    };
    let start = date.and_time(NaiveTime::MIN);
    // No zone has ever skipped more than a day.
    let quarters = (0..=96).map(|quarter| start + TimeDelta::minutes(15 * quarter));
    quarters.into_iter().find_map(instant).unwrap_or_else(|| start.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(start: &str, end: &str, granularity: Granularity, zone: &str) -> Vec<String> {
        let [start, end] = [start, end].map(|text| Timestamp::parse(text).unwrap());
        let buckets = Buckets::of(TimeRange::new(start, end).unwrap(), granularity, zone.parse().unwrap()).unwrap();
        assert_eq!(buckets.len() + 1, buckets.bounds.len());
        buckets.bounds.iter().map(Timestamp::to_string).collect()
    }

    #[test]
    fn days_follow_the_clocks_of_the_zone() {
        let spring = cut("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", Granularity::Day, "Europe/Berlin");
        assert_eq!(
            spring,
            ["2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"]
        );
        let autumn = cut("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", Granularity::Day, "Europe/Berlin");
        assert_eq!(autumn, ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]);
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_buckets_and_one_that_does_not_come_is_none() {
        let autumn = cut("2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z", Granularity::Hour, "Europe/Berlin");
        assert_eq!(autumn.len(), 4);
        let zone: Tz = "Europe/Berlin".parse().unwrap();
        let range =
            TimeRange::new(Timestamp::parse("2026-10-25").unwrap(), Timestamp::parse("2026-10-25T03:00:00Z").unwrap());
        let buckets = Buckets::of(range.unwrap(), Granularity::Hour, zone).unwrap();
        assert_eq!((0..3).map(|place| buckets.local(place).1).collect::<Vec<_>>(), [2, 2, 3]);
    }

    #[test]
    fn zones_of_half_hours_and_days_without_midnight_are_covered_without_gaps() {
        assert_eq!(
            cut("2026-01-01T00:40:00Z", "2026-01-01T02:00:00Z", Granularity::Hour, "Asia/Kolkata"),
            ["2026-01-01T00:30:00Z", "2026-01-01T01:30:00Z", "2026-01-01T02:30:00Z"]
        );
        // Lord Howe's clocks change by half an hour.
        for zone in ["Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Asia/Beirut", "UTC"] {
            for (start, end) in
                [("2011-12-20", "2012-01-10"), ("2018-10-25", "2018-11-12"), ("2026-03-20", "2026-04-10")]
            {
                for granularity in [Granularity::Hour, Granularity::Day, Granularity::Week] {
                    let bounds = cut(start, end, granularity, zone);
                    assert!(
                        bounds.is_sorted() && bounds.windows(2).all(|pair| pair[0] != pair[1]),
                        "{zone} {bounds:?}"
                    );
                }
            }
        }
        let brazil = cut("2018-11-04T12:00:00Z", "2018-11-04T13:00:00Z", Granularity::Day, "America/Sao_Paulo");
        assert_eq!(brazil, ["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"]);
    }

    #[test]
    fn weeks_begin_on_mondays() {
        let weeks = cut("2026-01-01", "2026-01-06", Granularity::Week, "UTC");
        assert_eq!(weeks, ["2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z"]);
    }

    #[test]
    fn too_many_are_refused_and_auto_never_asks_for_them() {
        let range = |days: i64| TimeRange::new(Timestamp::from_secs(0), Timestamp::from_secs(days * 86_400)).unwrap();
        assert_eq!(Buckets::of(range(2), Granularity::Minute, Tz::UTC), Err(TooMany));
        assert_eq!(Buckets::of(range(1), Granularity::Minute, Tz::UTC).unwrap().len(), 1_440);
        for days in [1, 7, 30, 90, 200, 401] {
            assert!(Buckets::of(range(days), Granularity::auto(range(days)), Tz::UTC).unwrap().len() <= 200);
        }
    }
}
