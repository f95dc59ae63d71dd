//! One model of the book.

use spanlake_model::Timestamp;

use crate::class::Prices;
use crate::tier::{Situation, Tier};

/// The list price of one model at one provider, as it was and as it is.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) as_of: String,
    /// Which file it stands in.
    pub(crate) file: usize,
    /// From the oldest to the present one, which alone has no end.
    pub(crate) periods: Vec<Period>,
}

/// Prices for a time.
#[derive(Clone, Debug)]
pub(crate) struct Period {
    /// From when on they no longer hold.
    pub(crate) until: Option<Timestamp>,
    pub(crate) prices: Prices,
    /// Applied in order, each to what the ones before it left.
    pub(crate) tiers: Vec<Tier>,
}

impl Entry {
    /// Provider and model, such as `openai/gpt-4o`; unique in the book.
    pub fn id(&self) -> &str {
        &self.id
    }
    /// The page or file the prices were read from.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// The day they were seen there, `YYYY-MM-DD`.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }
    /// Plain prices of a call that began then, before any tier.
    pub fn prices_at(&self, start: Timestamp) -> &Prices {
        &self.period(start).prices
    }

    /// Prices of this call, tiers applied.
    pub(crate) fn prices_for(&self, situation: &Situation<'_>) -> Prices {
        let period = self.period(situation.start);
        period.tiers.iter().fold(period.prices, |prices, tier| tier.applied(prices, situation))
    }

    fn period(&self, start: Timestamp) -> &Period {
        let holds = |period: &&Period| period.until.is_none_or(|until| start < until);
        self.periods.iter().find(holds).expect("the last period has no end; the list is checked when it is read")
    }
}
