//! Numbers to compare with.

use std::cmp::Ordering;
use std::fmt;

/// A finite number. Whole numbers keep every digit up to 127 bits; all others are numbers of 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    near: f64,
    /// When it is whole, as far as this reaches.
    whole: Option<i128>,
}

impl Number {
    /// Reads a decimal number.
    ///
    /// ```
    /// # use spanlake_model::Number;
    /// assert!(Number::parse("9007199254740993") > Number::parse("9007199254740992"));
    /// assert!(Number::parse("3.0") == Number::parse("3") && Number::parse("NaN").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let near: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
        #[expect(clippy::cast_possible_truncation, reason = "what is beyond either end counts as that end")]
        let of_near = (near.fract() == 0.0).then_some(near as i128);
        Some(Self { near, whole: text.parse().ok().or(of_near) })
    }

    /// It, or the nearest number of 64 bits.
    pub const fn get(self) -> f64 {
        self.near
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let near = self.near.partial_cmp(&other.near).unwrap_or(Ordering::Equal);
        match (self.whole, other.whole) {
            (Some(one), Some(other)) => one.cmp(&other).then(near),
            // What is not whole is less than 2^53, and exact.
            _ => near,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

/// Reads back as the same.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whole {
            Some(whole) if i128::MIN < whole && whole < i128::MAX => whole.fmt(f),
            _ => self.near.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn whole_numbers_are_told_apart_however_large() {
        for (less, more) in [
            ("9007199254740992", "9007199254740993"),
            ("-9007199254740993", "-9007199254740992"),
            ("18446744073709551615", "18446744073709551616"),
            ("9007199254740993", "9007199254740994.5"),
            ("-1", "0"),
            ("0.5", "9007199254740993"),
            ("1e38", "100000000000000000000000000000000000001"),
            ("1e39", "1e40"),
            ("-1e300", "-1e40"),
        ] {
            assert!(number(less) < number(more) && number(less) != number(more), "{less} {more}");
        }
        for (one, same) in [("3", "3.0"), ("0", "-0"), ("1e3", "1000"), (" 5 ", "+5"), ("0.5", ".5"), ("-0.0", "0")] {
            assert_eq!(number(one), number(same));
        }
        for none in ["", "x", "NaN", "inf", "-infinity", "1e999", "0x10", "1 2"] {
            assert_eq!(Number::parse(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn it_reads_back_and_keeps_the_order_of_what_was_written(one in any::<i128>(), near in -2_i128..3, real in prop_oneof![-1e12..1e12_f64, proptest::num::f64::NORMAL]) {
            let other = one.saturating_add(near);
            prop_assert_eq!(number(&one.to_string()).cmp(&number(&other.to_string())), one.cmp(&other));
            prop_assert_eq!(number(&number(&one.to_string()).to_string()), number(&one.to_string()));
            prop_assert_eq!(number(&real.to_string()).get(), real);
            prop_assert_eq!(number(&number(&real.to_string()).to_string()), number(&real.to_string()));
        }
    }
}
