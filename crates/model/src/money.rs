//! Dollars, exactly.

use std::fmt;

/// An amount of US dollars in units of 10⁻¹² dollars, as stored in a `decimal(18, 12)` column: up to ±999,999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

impl Money {
    /// Decimal places kept.
    pub const SCALE: i8 = 12;
    /// Digits kept in all.
    pub const PRECISION: u8 = 18;
    const PER_DOLLAR: i128 = 1_000_000_000_000;

    /// From units of 10⁻¹² dollars.
    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }
    /// Units of 10⁻¹² dollars.
    pub const fn as_pico(self) -> i128 {
        self.0
    }
    /// The nearest amount to a floating-point number of dollars; `None` when it is not finite or too large to keep.
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let pico = (dollars * Self::PER_DOLLAR as f64).round();
        (pico.is_finite() && pico.abs() < 1e18).then_some(Self(pico as i128))
    }
    /// For JSON, where money is a number; exact to about fifteen digits.
    pub fn as_dollars(self) -> f64 {
        self.0 as f64 / Self::PER_DOLLAR as f64
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, pico) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let per_dollar = Self::PER_DOLLAR.unsigned_abs();
        write!(f, "{sign}{}.{:012}", pico / per_dollar, pico % per_dollar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_a_cent_is_exact() {
        assert_eq!(Money::from_dollars(0.001).unwrap().to_string(), "0.001000000000");
        assert_eq!(Money::from_dollars(f64::NAN), None);
        assert_eq!(Money::from_dollars(2e6), None);
    }
}
