//! Parameters that several routes take.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use spanlake_model::{Code, Fault, Status, TimeRange, Timestamp, Type};

use crate::read::order::Order;
use crate::read::sort_key::SortBy;

const DAY: Duration = Duration::from_secs(86_400);
/// What a list looks at when no range is given.
const RANGE: Duration = Duration::from_secs(30 * 86_400);
/// The longest range a list takes, and how far back a look-up by id goes.
const RANGE_MAX: Duration = Duration::from_secs(400 * 86_400);
/// Senders' clocks run ahead of ours; what is just a little in the future belongs to "until now".
const AHEAD: Duration = Duration::from_secs(3_600);
/// Rows a page may hold.
const LIMIT_MAX: usize = 1_000;

/// The fault of one parameter.
pub(super) fn refused(name: &str, why: impl Display) -> Fault {
    Fault::new(Code::InvalidQueryParams, format!("The query parameter '{name}' is refused: {why}."))
        .detail(name, why.to_string())
}

/// A parameter in a type of its own.
pub(super) fn parsed<T: FromStr<Err: Display>>(name: &str, value: Option<&str>) -> Result<Option<T>, Fault> {
    value.map(|value| value.parse().map_err(|why| refused(name, why))).transpose()
}

/// A parameter that is one of a few words.
pub(super) fn one_of<T: Copy>(name: &str, value: Option<&str>, words: &[(&str, T)]) -> Result<Option<T>, Fault> {
    let Some(value) = value else { return Ok(None) };
    let found = words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| Some(*meaning));
    found.ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        refused(name, format_args!("'{value}' is not one of {}", known.join(", ")))
    })
}

pub(super) fn order(value: Option<&str>) -> Result<Order, Fault> {
    let words = [("desc", Order::NewestFirst), ("asc", Order::OldestFirst)];
    Ok(one_of("sort_order", value, &words)?.unwrap_or_default())
}

/// Of a list of traces or spans.
pub(super) fn sort_by(value: Option<&str>) -> Result<SortBy, Fault> {
    let words = [
        ("start_time", SortBy::Start),
        ("latency", SortBy::Latency),
        ("cost", SortBy::Cost),
        ("tokens", SortBy::Tokens),
        ("name", SortBy::Name),
        ("status", SortBy::Status),
    ];
    Ok(one_of("sort_by", value, &words)?.unwrap_or_default())
}

pub(super) fn status(value: Option<&str>) -> Result<Option<Status>, Fault> {
    one_of("status", value, &[Status::Ok, Status::Error, Status::Unset].map(|status| (status.as_str(), status)))
}

pub(super) fn coarse_type(value: Option<&str>) -> Result<Option<Type>, Fault> {
    one_of("type", value, &[Type::Generation, Type::Span, Type::Event].map(|kind| (kind.as_str(), kind)))
}

pub(super) fn limit(value: Option<usize>, default: usize) -> Result<usize, Fault> {
    match value.unwrap_or(default) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        _ => Err(refused("limit", format_args!("must be from 1 to {LIMIT_MAX}"))),
    }
}

/// The range of a list: as given, half-open, else the thirty days until now.
pub(super) fn range(now: Timestamp, start: Option<&str>, end: Option<&str>) -> Result<TimeRange, Fault> {
    let end = time("end_date", end)?.unwrap_or_else(|| now.plus(AHEAD));
    let start = time("start_date", start)?.unwrap_or_else(|| end.minus(RANGE));
    let range = TimeRange::new(start, end).map_err(|_| refused("end_date", "must be after start_date"))?;
    // A default end lies a little ahead, which must not make a range of exactly 400 days too long.
    if range.length() > RANGE_MAX + AHEAD {
        return Err(refused("start_date", format_args!("a range is at most {} days", RANGE_MAX.as_secs() / 86_400)));
    }
    Ok(range)
}

/// Where a look-up by id searches.
pub(super) fn whole_range(now: Timestamp) -> TimeRange {
    TimeRange::new(now.minus(RANGE_MAX), now.plus(DAY)).unwrap_or(TimeRange::all())
}

/// From the first instant of either to the last.
pub(super) fn around(one: TimeRange, other: TimeRange) -> TimeRange {
    TimeRange::new(one.start().min(other.start()), one.end().max(other.end())).unwrap_or(one)
}

/// The range and so much on either side.
pub(super) fn reaching(range: TimeRange, reach: Duration) -> TimeRange {
    TimeRange::new(range.start().minus(reach), range.end().plus(reach)).unwrap_or(range)
}

fn time(name: &str, value: Option<&str>) -> Result<Option<Timestamp>, Fault> {
    let parse = |text| Timestamp::parse(text).ok_or_else(|| refused(name, "must be RFC 3339, or a date YYYY-MM-DD"));
    value.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_767_312_000);

    #[test]
    fn a_list_looks_at_thirty_days_unless_told_otherwise() {
        let range = range(NOW, None, None).unwrap();
        assert_eq!(range.length(), RANGE);
        assert!(range.contains(NOW));
    }

    #[test]
    fn a_range_that_is_backwards_or_too_long_is_refused_by_name() {
        let backwards = range(NOW, Some("2026-01-02"), Some("2026-01-01")).unwrap_err();
        assert!(backwards.details.contains_key("end_date"));
        let long = range(NOW, Some("2024-01-01"), None).unwrap_err();
        assert!(long.details.contains_key("start_date"));
        assert!(range(NOW, Some("yesterday"), None).unwrap_err().details["start_date"].contains("RFC 3339"));
    }

    #[test]
    fn a_word_that_is_not_known_is_answered_with_those_that_are() {
        let fault = status(Some("BAD")).unwrap_err();
        assert_eq!(fault.details["status"], "'BAD' is not one of OK, ERROR, UNSET");
    }
}
