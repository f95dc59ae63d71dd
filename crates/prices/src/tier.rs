//! When a call costs something else than the plain price: long prompts, service tiers, hours of the day.

use serde::Deserialize;
use spanlake_model::Timestamp;

use crate::class::Prices;
use crate::rate::Factor;

/// What a tier looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    /// All prompt tokens, caches included.
    pub(crate) input_tokens: i64,
    /// As the provider or the client named it.
    pub(crate) service_tier: Option<&'a str>,
    pub(crate) start: Timestamp,
}

/// A change of prices under conditions, all of which must hold; a condition that is not given always does.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Tier {
    over_input_tokens: Option<i64>,
    service: Vec<String>,
    weekday_hours_utc: Vec<[u8; 2]>,
    change: Change,
}

#[derive(Clone, Debug, PartialEq)]
enum Change {
    /// These prices instead; what they do not name stays.
    Prices(Prices),
    /// Everything, so many times.
    Times(Factor),
}

/// A tier as it stands in the book.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    over_input_tokens: Option<i64>,
    #[serde(default)]
    service: Vec<String>,
    #[serde(default)]
    weekday_hours_utc: Vec<[u8; 2]>,
    prices: Option<Prices>,
    times: Option<String>,
}

impl TryFrom<Written> for Tier {
    type Error = String;
    fn try_from(written: Written) -> Result<Self, String> {
        let Written { over_input_tokens, service, weekday_hours_utc, prices, times } = written;
        let change = match (prices, times) {
            (Some(prices), None) if !prices.is_empty() => Change::Prices(prices),
            (None, Some(times)) => Change::Times(Factor::parse(&times).ok_or(format!("`{times}` is no factor"))?),
            _ => return Err("a tier has either prices or times".to_owned()),
        };
        if over_input_tokens.is_none() && service.is_empty() && weekday_hours_utc.is_empty() {
            return Err("a tier without a condition is the price itself".to_owned());
        }
        if weekday_hours_utc.iter().any(|[from, to]| from >= to || *to > 24) {
            return Err("hours go from the earlier to the later, at most to 24".to_owned());
        }
        Ok(Self { over_input_tokens, service, weekday_hours_utc, change })
    }
}

impl Tier {
    /// `prices` as this tier leaves them.
    pub(crate) fn applied(&self, prices: Prices, situation: &Situation<'_>) -> Prices {
        match &self.change {
            _ if !self.holds(situation) => prices,
            Change::Prices(other) => prices.overlaid(other),
            Change::Times(factor) => prices.times(*factor),
        }
    }

    fn holds(&self, situation: &Situation<'_>) -> bool {
        self.over_input_tokens.is_none_or(|limit| situation.input_tokens > limit)
            && (self.service.is_empty() || situation.service_tier.is_some_and(|named| self.serves(named)))
            && (self.weekday_hours_utc.is_empty() || self.is_open_at(situation.start))
    }

    fn serves(&self, named: &str) -> bool {
        self.service.iter().any(|service| service.eq_ignore_ascii_case(named))
    }

    fn is_open_at(&self, start: Timestamp) -> bool {
        let (day, second) = (start.as_secs().div_euclid(86_400), start.as_secs().rem_euclid(86_400));
        // The first day of 1970 was a Thursday.
        let is_weekday = (day + 3).rem_euclid(7) < 5;
        let is_within = |[from, to]: &[u8; 2]| (i64::from(*from) * 3_600..i64::from(*to) * 3_600).contains(&second);
        is_weekday && self.weekday_hours_utc.iter().any(is_within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Class;
    use crate::rate::Rate;

    fn tier(toml: &str) -> Result<Tier, toml::de::Error> {
        toml::from_str(toml)
    }

    fn at(start: &str) -> Situation<'static> {
        Situation { input_tokens: 0, service_tier: None, start: Timestamp::parse(start).unwrap() }
    }

    #[test]
    fn a_long_prompt_is_one_above_the_limit() {
        let tier = tier("over_input_tokens = 200000\ntimes = \"2\"").unwrap();
        let plain = Prices::default().with(Class::Input, Rate::parse("1").unwrap());
        let with = |input_tokens| tier.applied(plain, &Situation { input_tokens, ..at("2026-01-01") });
        assert_eq!(with(200_000), plain);
        assert_eq!(with(200_001).get(Class::Input), Rate::parse("2").ok());
    }

    #[test]
    fn a_service_is_matched_whatever_its_case() {
        let tier = tier("service = [\"batch\"]\ntimes = \"0.5\"").unwrap();
        let holds = |service_tier| tier.holds(&Situation { service_tier, ..at("2026-01-01") });
        assert!(holds(Some("BATCH")) && !holds(Some("default")) && !holds(None));
    }

    #[test]
    fn peak_hours_are_those_of_a_weekday_in_utc() {
        let tier = tier("weekday_hours_utc = [[1, 4], [6, 10]]\ntimes = \"2\"").unwrap();
        // 2026-11-27 is a Friday.
        for (start, peak) in [
            ("2026-11-27T00:59:59Z", false),
            ("2026-11-27T01:00:00Z", true),
            ("2026-11-27T04:00:00Z", false),
            ("2026-11-27T09:59:59.999Z", true),
            ("2026-11-28T02:00:00Z", false),
            ("2026-11-30T02:00:00Z", true),
            ("1969-12-31T02:00:00Z", true),
        ] {
            assert_eq!(tier.holds(&at(start)), peak, "{start}");
        }
    }

    #[test]
    fn a_tier_that_says_nothing_is_refused() {
        for text in [
            "times = \"2\"",
            "service = [\"batch\"]",
            "service = [\"batch\"]\nprices = {}",
            "service = [\"batch\"]\ntimes = \"free\"",
            "weekday_hours_utc = [[4, 1]]\ntimes = \"2\"",
            "service = [\"batch\"]\ntimes = \"2\"\nprices = { input = \"1\" }",
        ] {
            assert!(tier(text).is_err(), "{text}");
        }
    }
}
