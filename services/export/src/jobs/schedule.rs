//! When a scheduled export runs: cron in UTC, five fields, every five minutes at the most.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, Utc};
use spanlake_model::{Day, Timestamp};

/// Minutes between two runs at the least.
const MINUTES_APART: u32 = 5;
/// What fires less often than this does not fire: four years and a day, for the 29th of February.
const DAYS_AHEAD: i32 = 4 * 366 + 1;

/// Text that is no schedule, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; a schedule is five fields in UTC, minute hour day-of-month month day-of-week, such as '*/15 * * * *' or '0 3 * * 1', \
     or one of @hourly, @daily, @weekly, @monthly"
)]
pub(crate) struct ScheduleError(String);

/// When to run. Keeps the text it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    text: String,
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

/// Which of up to 60 numbers, and whether all of them were meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    numbers: u64,
    is_any: bool,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;
    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let spelled = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            other => other,
        };
        let fields: Vec<_> = spelled.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(ScheduleError(format!("'{text}' has {} fields", fields.len())));
        };
        let mut weekdays = Field::read(weekdays, "day-of-week", 0, 7)?;
        // Sunday has two numbers.
        weekdays.numbers |= u64::from(weekdays.has(7));
        let schedule = Self {
            text: fields.join(" "),
            minutes: Field::read(minutes, "minute", 0, 59)?,
            hours: Field::read(hours, "hour", 0, 23)?,
            days: Field::read(days, "day-of-month", 1, 31)?,
            months: Field::read(months, "month", 1, 12)?,
            weekdays,
        };
        if schedule.minutes_apart() < MINUTES_APART {
            return Err(ScheduleError(format!("'{text}' runs more often than every {MINUTES_APART} minutes")));
        }
        if schedule.next(Timestamp::from_secs(0)).is_none() {
            return Err(ScheduleError(format!("'{text}' never runs")));
        }
        Ok(schedule)
    }
}

impl Schedule {
    /// The first time after `after`; `None` when there is none within four years.
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let today = Day::of(after);
        (0..=DAYS_AHEAD).map(|ahead| Day(today.0.saturating_add(ahead))).find_map(|day| self.next_on(day, after))
    }

    fn next_on(&self, day: Day, after: Timestamp) -> Option<Timestamp> {
        let date = DateTime::<Utc>::from_timestamp_nanos(day.start().as_nanos()).date_naive();
        if !self.months.has(date.month()) || !self.is_on(date.day(), date.weekday().num_days_from_sunday()) {
            return None;
        }
        let times = (0..24).filter(|hour| self.hours.has(*hour));
        let times = times
            .flat_map(|hour| (0..60).filter(|minute| self.minutes.has(*minute)).map(move |minute| hour * 60 + minute));
        times.map(|minutes| day.start().plus(Duration::from_secs(60 * u64::from(minutes)))).find(|at| *at > after)
    }

    /// As cron has it: when both days are named, either will do.
    fn is_on(&self, day: u32, weekday: u32) -> bool {
        match (self.days.is_any, self.weekdays.is_any) {
            (false, false) => self.days.has(day) || self.weekdays.has(weekday),
            _ => self.days.has(day) && self.weekdays.has(weekday),
        }
    }

    /// Between neighbours within an hour, and from its last to the next one's first.
    fn minutes_apart(&self) -> u32 {
        let minutes: Vec<u32> = (0..60).filter(|minute| self.minutes.has(*minute)).collect();
        let (Some(first), Some(last)) = (minutes.first(), minutes.last()) else { return 60 };
        let between = minutes.windows(2).map(|pair| pair[1] - pair[0]);
        between.chain([60 - last + first]).min().unwrap_or(60)
    }
}

impl Field {
    fn has(self, number: u32) -> bool {
        self.numbers & (1 << number) != 0
    }

    fn read(text: &str, name: &str, least: u32, most: u32) -> Result<Self, ScheduleError> {
        let refused = || ScheduleError(format!("'{text}' is no {name}, which is from {least} to {most}"));
        let mut numbers = 0;
        for part in text.split(',') {
            let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
            let step: u32 = step.map_or(Ok(1), str::parse).map_err(|_| refused())?;
            let number = |text: &str| text.parse::<u32>().map_err(|_| refused());
            let (from, to) = match (range, range.split_once('-')) {
                ("*", _) => (least, most),
                (_, Some((from, to))) => (number(from)?, number(to)?),
                // A step without an end goes on to the last.
                (one, None) if part.contains('/') => (number(one)?, most),
                (one, None) => (number(one)?, number(one)?),
            };
            if step == 0 || from < least || to > most || from > to {
                return Err(refused());
            }
            numbers |= (from..=to).step_by(step as usize).fold(0, |all, number| all | 1_u64 << number);
        }
        // Cron takes a star with a step for a star where it asks whether a day was named.
        Ok(Self { numbers, is_any: text.starts_with('*') })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn after(schedule: &str, time: &str, count: usize) -> Vec<String> {
        let schedule: Schedule = schedule.parse().unwrap();
        let times = std::iter::successors(schedule.next(at(time)), |last| schedule.next(*last));
        times.take(count).map(|time| time.to_string()).collect()
    }

    #[test]
    fn runs_come_when_cron_says() {
        let from = "2026-02-27T23:50:00Z";
        assert_eq!(
            after("*/5 * * * *", from, 3),
            ["2026-02-27T23:55:00Z", "2026-02-28T00:00:00Z", "2026-02-28T00:05:00Z"]
        );
        assert_eq!(after("50 23 * * *", from, 1), ["2026-02-28T23:50:00Z"], "not now: after");
        assert_eq!(after("@monthly", from, 2), ["2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"]);
        assert_eq!(after("0 3 * * 1", from, 2), ["2026-03-02T03:00:00Z", "2026-03-09T03:00:00Z"]);
        assert_eq!(after("0 0 * * 7", from, 1), after("@weekly", from, 1));
        assert_eq!(
            after("0 0 1 * 1", from, 3),
            ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"]
        );
        assert_eq!(
            after("0 0 */2 * 1", "2026-02-28T23:50:00Z", 2),
            ["2026-03-09T00:00:00Z", "2026-03-23T00:00:00Z"],
            "Mondays on odd days: a star with a step names no day"
        );
        assert_eq!(
            after("30 10-12/2,20 31 * *", from, 3),
            ["2026-03-31T10:30:00Z", "2026-03-31T12:30:00Z", "2026-03-31T20:30:00Z"]
        );
        assert_eq!(after("0 0 29 2 *", from, 1), ["2028-02-29T00:00:00Z"]);
        assert_eq!(
            after("7/20 0 * * *", from, 3),
            ["2026-02-28T00:07:00Z", "2026-02-28T00:27:00Z", "2026-02-28T00:47:00Z"]
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_a_reason() {
        for (text, why) in [
            ("", "0 fields"),
            ("* * * *", "4 fields"),
            ("0 0 0 0 0 0", "6 fields"),
            ("@yearly", "1 fields"),
            ("* * * * *", "more often"),
            ("*/4 * * * *", "more often"),
            ("0,58 * * * *", "more often"),
            ("60 * * * *", "no minute"),
            ("0 24 * * *", "no hour"),
            ("0 0 0 * *", "no day-of-month"),
            ("0 0 * 13 *", "no month"),
            ("0 0 * * 8", "no day-of-week"),
            ("5-1 * * * *", "no minute"),
            ("*/0 * * * *", "no minute"),
            ("x * * * *", "no minute"),
            ("-1 * * * *", "no minute"),
            ("0 0 30 2 *", "never"),
        ] {
            let refused = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(refused.contains(why), "{text}: {refused}");
        }
        assert_eq!(" 0  3 * * 1 ".parse::<Schedule>().unwrap().to_string(), "0 3 * * 1");
    }
}
