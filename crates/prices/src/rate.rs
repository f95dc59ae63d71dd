//! The price of a token, exactly.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Dollars for a million tokens, kept in units of 10⁻⁹ dollars: a single token then costs a whole number of 10⁻¹⁵ dollars.
/// From zero to [`Rate::DOLLARS_MAX`], with up to nine decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

/// A price that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Something else than digits with at most one point.
    #[error("`{0}` is not a price: write dollars per million tokens as a decimal, such as \"2.50\"")]
    NotDecimal(String),
    /// Nobody is paid for using a model.
    #[error("`{0}` is not a price: it is below zero")]
    Negative(String),
    /// More than anybody charges; most likely meant per token, or in another unit.
    #[error("`{0}` is not a price: at most {max} dollars per million tokens are allowed", max = Rate::DOLLARS_MAX)]
    TooLarge(String),
    /// Finer than we keep.
    #[error("`{0}` is not a price: at most {digits} decimals are allowed", digits = Rate::DECIMALS)]
    TooFine(String),
}

impl Rate {
    /// The highest price for a million tokens.
    pub const DOLLARS_MAX: u64 = 1_000_000;
    /// Decimals kept.
    pub const DECIMALS: usize = 9;
    const PER_DOLLAR: u64 = 1_000_000_000;
    const TEXT_BYTES_MAX: usize = 40;

    /// What one token costs, in units of 10⁻¹⁵ dollars.
    pub const fn per_token_femto(self) -> i128 {
        self.0 as i128
    }

    /// Reads dollars per million tokens: digits, and a point followed by at most nine more. Zeros at the end are free.
    ///
    /// # Errors
    /// When it is something else, below zero, above [`Rate::DOLLARS_MAX`], or finer than we keep.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let shown = || text.chars().take(Self::TEXT_BYTES_MAX).collect::<String>();
        if text.strip_prefix('-').is_some_and(is_decimal) {
            return Err(RateError::Negative(shown()));
        }
        if !is_decimal(text) {
            return Err(RateError::NotDecimal(shown()));
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > Self::DECIMALS {
            return Err(RateError::TooFine(shown()));
        }
        let whole = whole.parse::<u64>().ok().filter(|whole| *whole <= Self::DOLLARS_MAX);
        let nanos: u64 = format!("{fraction:0<9}").parse().unwrap_or_default();
        let rate = whole.map(|whole| whole * Self::PER_DOLLAR + nanos);
        rate.filter(|rate| *rate <= Self::DOLLARS_MAX * Self::PER_DOLLAR).map(Self).ok_or(RateError::TooLarge(shown()))
    }

    /// This price times `factor` thousandths, to the nearest we keep; a half goes up.
    pub(crate) fn times(self, factor: Factor) -> Self {
        let product = u128::from(self.0) * u128::from(factor.0);
        Self(u64::try_from((product + 500) / 1_000).unwrap_or(u64::MAX))
    }
}

/// Digits, with a point between two of them at most once.
fn is_decimal(text: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => is_digits(text),
    }
}

impl fmt::Display for Rate {
    /// The shortest decimal that reads back as this price.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:09}", self.0 / Self::PER_DOLLAR, self.0 % Self::PER_DOLLAR);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for Rate {
    /// As a string: a price never passes through a floating-point number.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RateVisitor)
    }
}

/// Reads strings, and numbers by their shortest spelling, which is what the sender wrote.
struct RateVisitor;

impl Visitor<'_> for RateVisitor {
    type Value = Rate;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dollars per million tokens, as a decimal string or a number")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
        Rate::parse(text).map_err(E::custom)
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Rate, E> {
        self.visit_str(&number.to_string())
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Rate, E> {
        self.visit_str(&number.to_string())
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Rate, E> {
        self.visit_str(&number.to_string())
    }
}

/// What a tier multiplies a price by, in thousandths: up to a hundredfold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Factor(u32);

impl Factor {
    const MAX: u32 = 100_000;

    /// Reads a decimal with at most three decimals, such as `0.5`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rate = Rate::parse(text).ok()?;
        let thousandths = u32::try_from(rate.0 / 1_000_000).ok()?;
        (rate.0 % 1_000_000 == 0 && (1..=Self::MAX).contains(&thousandths)).then_some(Self(thousandths))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_read_and_written_without_a_loss() {
        for text in ["0", "0.003625", "2.5", "150", "1000000", "0.000000001"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Rate::parse("2.50").unwrap(), Rate::parse("2.5000000000000").unwrap());
        assert_eq!(Rate::parse("0.02").unwrap().per_token_femto(), 20_000_000);
    }

    #[test]
    fn what_is_no_price_says_why() {
        for text in ["", ".", "1.", ".5", "1,5", "1e3", "NaN", "inf", "+1", " 1", "0x1", "$2", "1.2.3", "½"] {
            assert!(matches!(Rate::parse(text), Err(RateError::NotDecimal(_))), "{text}");
        }
        assert!(matches!(Rate::parse("-1"), Err(RateError::Negative(_))));
        assert!(matches!(Rate::parse("1000000.1"), Err(RateError::TooLarge(_))));
        assert!(matches!(Rate::parse(&"9".repeat(500)), Err(RateError::TooLarge(_))));
        assert!(matches!(Rate::parse("0.0000000001"), Err(RateError::TooFine(_))));
        assert!(Rate::parse(&"x".repeat(10_000)).unwrap_err().to_string().len() < 200, "an error stays short");
    }

    #[test]
    fn strings_and_numbers_mean_the_same() {
        let read = |json: &str| serde_json::from_str::<Rate>(json);
        assert_eq!(read("0.1").unwrap(), read("\"0.1\"").unwrap());
        assert_eq!(read("3").unwrap(), Rate::parse("3").unwrap());
        assert_eq!(serde_json::to_string(&read("1e-3").unwrap()).unwrap(), "\"0.001\"");
        for json in ["-1", "-0.5", "1e300", "true", "null", "[]", "\"free\""] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_factor_rounds_half_up() {
        let half = Factor::parse("0.5").unwrap();
        assert_eq!(Rate::parse("0.000000003").unwrap().times(half), Rate::parse("0.000000002").unwrap());
        assert_eq!(Rate::parse("0.003625").unwrap().times(half), Rate::parse("0.0018125").unwrap());
        assert_eq!(["0", "0.0001", "101", "x"].map(Factor::parse), [None; 4]);
    }
}
