//! Points in time as people type them.

use std::fmt;
use std::time::Duration;

use spanlake_model::Timestamp;

/// A point in time, or a distance from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    At(Timestamp),
    Ago(Duration),
    Ahead(Duration),
}

const UNITS: [(char, u64); 4] = [('m', 60), ('h', 3_600), ('d', 86_400), ('w', 604_800)];

impl When {
    /// `2026-04-01`, `2026-04-01T12:00:00Z`, or `7d`, which is before now.
    pub(crate) fn back(text: &str) -> Result<Self, String> {
        Self::parse(text, Self::Ago)
    }

    /// As [`Self::back`], but `7d` is after now.
    pub(crate) fn ahead(text: &str) -> Result<Self, String> {
        Self::parse(text, Self::Ahead)
    }

    fn parse(text: &str, relative: fn(Duration) -> Self) -> Result<Self, String> {
        if let Some(time) = Timestamp::parse(text) {
            return Ok(Self::At(time));
        }
        let distance = UNITS.iter().find_map(|(unit, seconds)| {
            let count: u64 = text.strip_suffix(*unit)?.parse().ok()?;
            count.checked_mul(*seconds).map(Duration::from_secs)
        });
        distance.map(relative).ok_or_else(|| {
            "must be a date like 2026-04-01, a time like 2026-04-01T12:00:00Z, or a distance like 7d (m, h, d, w)"
                .to_owned()
        })
    }

    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(distance) => now.minus(distance),
            Self::Ahead(distance) => now.plus(distance),
        }
    }
}

impl fmt::Display for When {
    /// What was meant, not when it was typed: a distance stays one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => time.fmt(f),
            Self::Ago(distance) => write!(f, "-{}s", distance.as_secs()),
            Self::Ahead(distance) => write!(f, "+{}s", distance.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_times_and_distances_are_understood() {
        let now = Timestamp::parse("2026-04-10T12:00:00Z").unwrap();
        for (text, expected) in [
            ("2026-04-01", "2026-04-01T00:00:00Z"),
            ("2026-04-01T10:00:00+02:00", "2026-04-01T08:00:00Z"),
            ("7d", "2026-04-03T12:00:00Z"),
            ("90m", "2026-04-10T10:30:00Z"),
            ("2w", "2026-03-27T12:00:00Z"),
            ("0h", "2026-04-10T12:00:00Z"),
        ] {
            assert_eq!(When::back(text).unwrap().at(now), Timestamp::parse(expected).unwrap(), "{text}");
        }
        assert_eq!(When::ahead("1d").unwrap().at(now), Timestamp::parse("2026-04-11T12:00:00Z").unwrap());
    }

    #[test]
    fn anything_else_is_refused_with_examples() {
        for text in ["", "d", "-7d", "7", "7y", "yesterday", "99999999999999999999d", "18446744073709551615w", "7д"] {
            assert!(When::back(text).unwrap_err().contains("7d"), "{text}");
        }
    }
}
